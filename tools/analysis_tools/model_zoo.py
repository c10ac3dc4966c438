"""Write the model zoo and OpenMMLab's index of models from the ledgers of sweeps."""

import argparse
import shlex
import sys
from pathlib import Path

from arml.cli import HelpFormatter, run_tool


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/analysis_tools/model_zoo.py docs/ledgers/table1_*.jsonl',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('ledgers', nargs='+', metavar='LEDGER', help='ledgers of sweeps')
    parser.add_argument('--out', default='docs/model_zoo.md', help='the page')
    parser.add_argument('--metafile', default='configs/metafile.yml', help='the index')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='as given to tools/sweep.py run: where the data lie',
    )  # fmt: skip
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from arml.startup import start

    start()
    from arml.ablation import Ledger, shipped_lines
    from arml.atomic import write_text
    from arml.errors import DataError
    from arml.report.model_zoo import metafile, models_of, zoo_page

    missing = [path for path in args.ledgers if not Path(path).is_file()]
    if missing:
        raise DataError(f'{missing[0]}: no such ledger; tools/sweep.py run writes one')
    lines = [line for path in args.ledgers for line in Ledger(path).rows()]
    found, left = shipped_lines(lines, args.cfg_options)
    reasons = '; '.join(f'{count} {why}' for why, count in left.items())
    if not found:
        raise DataError(
            f'{", ".join(args.ledgers)}: no finished run of a config as it is now; finished lines left out: '
            f'{reasons or "none"}. Run the config, with its data in place and at this commit'
        )
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(['python', 'tools/analysis_tools/model_zoo.py', *words])
    models = models_of(found)
    write_text(Path(args.out), zoo_page(models, command, Path(args.out).parent))
    write_text(Path(args.metafile), metafile(models, command))
    print(f'{args.out}, {args.metafile}: {len(models)} models of {len(found)} runs')
    if reasons:
        print(f'left out: {reasons}')
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main))
