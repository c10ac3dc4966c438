"""Make data/luad from the published LUAD-HistoSeg archive."""

import argparse
import functools
import sys
from collections.abc import Sequence

from arml.cli import ADVICE_OUT, run_tool
from arml.startup import without_chatter

with without_chatter():
    from arml.datasets.conversion.tool import make_parser, run_converter
    from arml.datasets.conversion.weak import convert_weak
    from arml.datasets.luad_histoseg import LUADHistoSegDataset

LICENCE = 'not stated with LUAD-HistoSeg. Ask the authors'
ORIGIN = """\
where the data come from:
  LUAD-HistoSeg, a Google Drive folder linked from https://github.com/ChuHan89/WSSS-Tissue
  (Han C, et al. Multi-layer pseudo-supervision for histopathology tissue semantic segmentation
  using patch-level classification labels. Med Image Anal 2022. doi:10.1016/j.media.2022.102487)
licence: none is stated with the data. Check with the authors before you pass the tiles on.

It is not the data of the WSSS4LUAD challenge, which has other tiles, classes and counts.

expected: 16,678 / 300 / 307 tiles in train/ (or training/), val/ (or valid/) and test/, the last
two with img/ and mask/. No masks of the training tiles are published.

example:
  python tools/dataset_converters/luad.py LUAD-HistoSeg.zip
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    subset = 'a list of tiles to take: one name a line, or a CSV with a column "file"'
    return make_parser(__doc__, 'data/luad', ORIGIN, subset).parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    convert = functools.partial(convert_weak, LUADHistoSegDataset, separator=' ')
    return run_converter(parse_args(argv), convert, {'licence': LICENCE})


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT))
