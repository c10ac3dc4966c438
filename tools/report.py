"""Tables, tests and plots of sweeps from their ledgers: Markdown, LaTeX, CSV, JSON and one HTML page."""

import argparse
import shlex
import sys
from pathlib import Path

from arml.cli import HelpFormatter, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/report.py sweeps/table3_omega_tiny_ebhi.yaml --comparator none',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('sweeps', nargs='+', metavar='SWEEP', help="sweep files in W&B's schema")
    parser.add_argument(
        '--ledger', nargs='+', metavar='FILE',
        help='their ledgers, one a sweep (default: work_dirs/sweeps/<name>/ledger.jsonl)',
    )  # fmt: skip
    parser.add_argument('--out', help='folder to write into (default: work_dirs/report)')
    parser.add_argument(
        '--row', nargs='+', default=['segmentor'], metavar='ROW',
        help="lines of the runs' tables: segmentor, maps, or a name; several stand beside each other",
    )  # fmt: skip
    parser.add_argument('--metric', default='mIoU', help='score that is tested and drawn')
    parser.add_argument(
        '--comparator', nargs='+', default=[], metavar='NAME',
        help='line to test the others against: its value, or KEY=VALUE,KEY=VALUE; one a sweep. best-other: in each '
        'column the best method against the best of the others',
    )  # fmt: skip
    parser.add_argument(
        '--test', choices=['welch', 'paired', 'student'], default='welch', help='two-tailed t-test'
    )
    parser.add_argument(
        '--correction', choices=['holm', 'none'], default='holm', help='p-value of the dagger'
    )
    parser.add_argument('--protocol', choices=['A', 'B'], default='A', help='docs/metrics.md')
    parser.add_argument(
        '--paper-n', type=int, metavar='N',
        help="runs behind the paper's values with a spread, which it does not state; tests ours against them",
    )  # fmt: skip
    parser.add_argument(
        '--costs', metavar='FILE',
        help='what benchmark.py cost --out wrote: a table of costs below all sweeps',
    )  # fmt: skip
    parser.add_argument(
        '--no-tiles', action='store_true',
        help='show no tiles of the data: for a report that goes where the data must not',
    )  # fmt: skip
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='as given to tools/sweep.py run',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.ledger and len(args.ledger) != len(args.sweeps):
        parser.error(
            f'--ledger: found {len(args.ledger)}, expected one for each of the {len(args.sweeps)} sweeps'
        )
    if args.paper_n is not None and args.paper_n < 2:
        parser.error(f'--paper-n: found {args.paper_n}, expected at least 2')
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from arml.report.options import ReportOptions
    from arml.report.sweep_report import write_report

    ledgers = args.ledger or [None] * len(args.sweeps)
    sweeps, spaces = [], {}
    for path, ledger in zip(args.sweeps, ledgers, strict=True):
        runs, space = read_runs(path, ledger, args.cfg_options)
        sweeps.append(runs)
        spaces[runs.name] = space
    options = ReportOptions(
        rows=tuple(args.row), metric=args.metric, protocol=args.protocol, test=args.test,
        correction=args.correction, comparators=tuple(args.comparator), paper_n=args.paper_n,
        tiles=not args.no_tiles, costs=args.costs,
    )  # fmt: skip
    out = Path(args.out or Path('work_dirs') / 'report')
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(['python', 'tools/report.py', *words])
    parts = write_report(
        sweeps, options, out, command, lambda runs: importance_of(runs, spaces[runs.name])
    )
    for part in parts:
        for remark in part.remarks:
            print(remark, file=sys.stderr)
    print(f'{out}: report.md, report.html, report.json, tables.tex', end='')
    print(''.join(f', {file.name}' for part in parts for file in part.files))
    return 0


def read_runs(path, ledger_file, fixed):
    """A sweep with what its ledger says, and the space that it searches (empty for a grid)."""
    from arml.ablation import Ledger, cells_of, read_sweep, tried_in
    from arml.config.chosen_file import upper_bounds_in, variants_in
    from arml.config.load import read_config
    from arml.report.sweep_cells import SweepRuns, entries_of

    sweep = read_sweep(path)
    base = read_config(sweep.config)
    ledger = Ledger(ledger_file or Path('work_dirs') / 'sweeps' / sweep.name / 'ledger.jsonl')
    lines = ledger.rows()
    if sweep.method == 'grid':
        cells = [
            (parameters, cell.run)
            for cell in cells_of(sweep, fixed)
            for parameters in (cell.parameters, *cell.equal)
        ]
    else:
        cells = tried_in(sweep, lines, fixed)
    strangers = {line['run'] for line in lines if line['status'] == 'finished'}
    runs = SweepRuns(
        name=sweep.name, config=sweep.config.stem, tag=next(iter(sweep.tags), None),
        method=sweep.method, metric=sweep.metric, goal=sweep.goal,
        entries=entries_of(cells, lines, ledger.path.parent), strangers=len(strangers - {run for _, run in cells}),
        logarithmic=frozenset(name for name, found in sweep.space.items() if found.log),
        upper_bounds=upper_bounds_in(base), variants=variants_in(base),
    )  # fmt: skip
    return runs, sweep.space


def importance_of(runs, space):
    """Importances of a search's parameters and the method; or None and why not."""
    from arml.ablation.importance import importances
    from arml.report.search_report import searched

    trials, values = searched(runs)
    return importances(space, [trial.parameters for trial in trials], values, runs.goal)


if __name__ == '__main__':
    sys.exit(run_tool(main))
