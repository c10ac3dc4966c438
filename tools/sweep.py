"""Run the cells of a sweep file that its ledger lacks, and read the ledger as a table."""

import argparse
import shlex
import sys
from collections import Counter
from pathlib import Path

from arml.cli import HelpFormatter, run_tool


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'found {text!r}, expected a whole number from 1')
    return int(text)


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/sweep.py run sweeps/deviations_tiny_ebhi.yaml --workers 2',
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(dest='command', required=True)
    run = commands.add_parser(
        'run', help='run the cells that are not finished', formatter_class=HelpFormatter
    )
    run.add_argument('--workers', type=at_least_one, default=1, help='processes at a time')
    run.add_argument('--attempts', type=at_least_one, default=2, help='tries of a cell')
    run.add_argument('--dry-run', action='store_true', help='only print the commands')
    status = commands.add_parser(
        'status', help='say which cells are finished', formatter_class=HelpFormatter
    )
    table = commands.add_parser(
        'table', help='compare the values of a parameter', formatter_class=HelpFormatter
    )
    table.add_argument('--parameter', required=True, help='dotted path that is compared')
    table.add_argument('--reference', required=True, help='its value to compare with')
    table.add_argument('--row', default='ARML', help="line of the runs' tables")
    table.add_argument('--metric', default='mIoU', help='score of that line')
    for each in (run, status, table):
        each.add_argument('sweep', help="sweep file in W&B's schema, method grid")
        each.add_argument(
            '--ledger', help='its ledger (default: work_dirs/sweeps/<name>/ledger.jsonl)'
        )
        each.add_argument(
            '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
            help='for all cells; part of what tells them from others, so give it to each command',
        )  # fmt: skip
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from arml.ablation import Ledger, cells_of, command_of, read_sweep, run_cells

    sweep = read_sweep(args.sweep)
    folder = Path('work_dirs') / 'sweeps' / sweep.name
    ledger = Ledger(args.ledger or folder / 'ledger.jsonl')
    statuses = ledger.statuses()
    cells = cells_of(sweep, args.cfg_options)
    if args.command == 'status':
        for cell in cells:
            print(f'{cell.run} {statuses.get(cell.run, "to run"):<8} {cell.title}')
        counts = Counter(statuses.get(cell.run, 'to run') for cell in cells)
        print(f'{len(cells)} cells: ' + ', '.join(f'{n} {name}' for name, n in counts.items()))
        return 0
    if args.command == 'table':
        print_table(args, sweep, cells, ledger)
        return 0
    if args.dry_run:
        for cell in cells:
            if statuses.get(cell.run) != 'finished':
                command = command_of(sweep, cell, folder, args.cfg_options)
                print(shlex.join([sys.executable, *command]))
        return 0
    failed = run_cells(sweep, cells, ledger, folder, args.workers, args.attempts, args.cfg_options)
    for cell in failed:
        print(f'failed: {cell.title}; its log: {folder / cell.run / "log.txt"}', file=sys.stderr)
    return 1 if failed else 0


def print_table(args, sweep, cells, ledger) -> None:
    from arml.ablation import read_options, rows_of
    from arml.report.differences import differences, differences_table

    statuses, finished = ledger.statuses(), ledger.finished()
    missing = [cell for cell in cells if cell.run not in finished]
    strangers = len(finished.keys() - {cell.run for cell in cells})
    if missing and strangers:
        print(
            f'{ledger.path} has {strangers} finished runs that are no cells of this sweep: of another '
            'config, data or --cfg-options',
            file=sys.stderr,
        )
    # Read as the values of the sweep file are: 1e-3 is 0.001.
    reference = read_options([f'{args.parameter}={args.reference}'], '--reference')[args.parameter]
    found = differences(
        rows_of(cells, finished), args.parameter, reference, args.row, args.metric,
        values=sweep.parameters.get(args.parameter, ()),
    )  # fmt: skip
    print(differences_table(found, args.metric))
    if missing:
        print(f'\nMissing are {len(missing)} of {len(cells)} cells:')
        for cell in missing:
            print(f'- {cell.title}' + (' (failed)' if cell.run in statuses else ''))


if __name__ == '__main__':
    sys.exit(run_tool(main))
