"""Run the cells of a sweep file that its ledger lacks, and read the ledger as a table."""

import argparse
import sys
from pathlib import Path

from arml.cli import HelpFormatter, run_tool


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
    run.add_argument('--workers', type=int, default=1, help='processes at a time')
    run.add_argument('--attempts', type=int, default=2, help='tries of a cell')
    run.add_argument('--dry-run', action='store_true', help='only say what would be run')
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
    for each in (run, status):
        each.add_argument(
            '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='for all cells'
        )
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.ablation import Ledger, cells_of, read_sweep, run_cells
    from arml.report.differences import differences, differences_table
    from arml.startup import start

    sweep = read_sweep(args.sweep)
    folder = Path('work_dirs') / 'sweeps' / sweep.name
    ledger = Ledger(args.ledger or folder / 'ledger.jsonl')
    if args.command == 'table':
        rows = list(ledger.finished().values())
        found = differences(rows, args.parameter, args.reference, args.row, args.metric)
        print(differences_table(found, args.metric))
        return 0
    start()
    cells = cells_of(sweep, args.cfg_options)
    done = ledger.finished()
    if args.command == 'status' or args.dry_run:
        for cell in cells:
            print(f'{cell.run} {"finished" if cell.run in done else "to run  "} {cell.title}')
        return 0
    failed = run_cells(sweep, cells, ledger, folder, args.workers, args.attempts, args.cfg_options)
    for cell in failed:
        print(f'failed: {cell.title}; its log: {folder / cell.run / "log.txt"}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(run_tool(main))
