"""Draw synthetic H&E-like tiles in the BCSS-WSSS layout: the data of the demo.

Nothing is downloaded. The tiles are drawn from a seed: tumour nests, fibrous stroma, lymphocytes,
necrosis and white background, with exact masks and image-level labels.
"""

import argparse
import sys

from arml.cli import ADVICE_OUT, run_tool
from arml.startup import without_chatter

with without_chatter():
    from arml.datasets.synthesis import format_table, write_dataset


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default='data/synthetic', help='folder to make (%(default)s)')
    parser.add_argument('--train', type=int, default=240, help='training tiles (%(default)s)')
    parser.add_argument('--val', type=int, default=40, help='validation tiles (%(default)s)')
    parser.add_argument('--test', type=int, default=60, help='test tiles (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same bytes (%(default)s)')
    parser.add_argument('--size', type=int, default=224, help='side in pixels (%(default)s)')
    parser.add_argument('--workers', type=int, default=1, help='processes (%(default)s)')
    parser.add_argument(
        '--force', action='store_true', help='replace tiles that were drawn with other settings'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    print(format_table(write_dataset(**vars(args))))
    return 0


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT))
