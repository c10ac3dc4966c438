"""Report all faults of a data folder at once."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from arml.atomic import write_json
from arml.cli import ADVICE_OUT, HelpFormatter, run_tool
from arml.startup import without_chatter

with without_chatter():
    from arml.datasets.checker import check, format_faults, has_errors
    from arml.datasets.conversion.progress import Progress
    from arml.datasets.layout import SPLITS
    from arml.datasets.names import DATASET_CLASSES


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/check_dataset.py bcss data/bcss. '
        'Exit status: 0 no errors (warnings are allowed), 1 errors, 2 wrong use.',
        formatter_class=HelpFormatter,
    )
    parser.add_argument('dataset', choices=sorted(DATASET_CLASSES), help='which data set it is')
    parser.add_argument('folder', help='data folder, such as data/bcss')
    parser.add_argument(
        '--splits', nargs='+', choices=SPLITS, default=list(SPLITS), help='splits to look at'
    )
    parser.add_argument(
        '--fast', action='store_true', help='read names only, decode no image (as training does)'
    )
    parser.add_argument('--limit', type=int, default=200, help='faults to print, 0 for all')
    parser.add_argument('--out', metavar='FILE.json', help='also write all faults as JSON')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    faults = check(
        DATASET_CLASSES[args.dataset],
        args.folder,
        splits=args.splits,
        deep=not args.fast,
        progress=Progress('decoding').at,
    )
    print(format_faults(faults, limit=args.limit or None))
    if args.out:
        write_json(args.out, [asdict(fault) for fault in faults])
    return int(has_errors(faults))


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT))
