"""What the converters' command lines share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from arml.datasets.conversion.report import Conversion, format_conversion


def make_parser(
    description: str, out: str, origin: str, subset_help: str
) -> argparse.ArgumentParser:
    """Make a converter's parser.

    Args:
        description: What the tool does, one sentence.
        out: Default data folder.
        origin: Where the data come from and under which licence; printed by ``--help``.
        subset_help: What ``--subset`` takes.
    """
    parser = argparse.ArgumentParser(
        description=f'{description} Nothing is downloaded.',
        epilog=origin,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'source', nargs='+', help='the published zip archive or folder; several are read as one'
    )
    parser.add_argument('--out', default=out, help=f'data folder to make (default: {out})')
    parser.add_argument('--subset', metavar='FILE', help=subset_help)
    parser.add_argument('--force', action='store_true', help='replace an existing data folder')
    return parser


def run_converter(
    args: argparse.Namespace, convert: Callable[..., Conversion], details: dict[str, str]
) -> int:
    """Convert and print the table."""
    sources: Sequence[str] = args.source
    result = convert(sources, args.out, subset=args.subset, force=args.force, details=details)
    print(format_conversion(result, args.out))
    print(f'manifest: {Path(args.out) / "manifest.json"}')
    return 0
