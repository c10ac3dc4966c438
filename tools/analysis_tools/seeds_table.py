"""Mean and spread over seeds of finished runs, as a Markdown table and JSON."""

import argparse
import sys

from arml.cli import HelpFormatter, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/analysis_tools/seeds_table.py work_dirs/arml_tiny_ebhi-*',
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        'runs', nargs='+', help='work dirs of finished runs; one table, a block a config'
    )
    parser.add_argument('--protocol', choices=['A', 'B'], default='A', help='docs/metrics.md')
    parser.add_argument('--out', help='JSON file for means, standard deviations, seeds and keys')
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.atomic import write_json
    from arml.report.result import load_result
    from arml.report.seeds import collect, seeds_table

    results = [load_result(run) for run in args.runs]
    rows = collect(results)
    print(seeds_table(rows, results[0]['classes'], args.protocol))
    if args.out:
        keep = ('name', 'run', 'seed', 'commit', 'command', 'versions', 'seconds', 'rows')
        write_json(
            args.out,
            {
                'rows': [vars(row) for row in rows],
                'runs': [{key: result.get(key) for key in keep} for result in results],
            },
        )
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main))
