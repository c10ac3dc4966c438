"""Make data/bcss from the published BCSS-WSSS archive."""

import argparse
import functools
import sys
from collections.abc import Sequence

from arml.cli import ADVICE_OUT, run_tool
from arml.startup import without_chatter

with without_chatter():
    from arml.datasets.bcss import BCSSDataset
    from arml.datasets.conversion.tool import make_parser, run_converter
    from arml.datasets.conversion.weak import convert_weak

LICENCE = 'not stated with BCSS-WSSS; BCSS, which it is drawn from: CC0 1.0. Ask the authors'
ORIGIN = """\
where the data come from:
  BCSS-WSSS, a Google Drive folder linked from https://github.com/ChuHan89/WSSS-Tissue
  (Han C, et al. Multi-layer pseudo-supervision for histopathology tissue semantic segmentation
  using patch-level classification labels. Med Image Anal 2022. doi:10.1016/j.media.2022.102487),
  drawn from BCSS, https://github.com/PathologyDataScience/BCSS (Amgad M, et al. Structured
  crowdsourcing enables convolutional segmentation of histology images. Bioinformatics 2019)
licence: none is stated with BCSS-WSSS; BCSS itself is said to be CC0 1.0. Check with the authors
  before you pass the tiles on.

expected: 23,422 / 3,418 / 4,986 tiles in train/ (or training/), val/ (or valid/) and test/, the
last two with img/ and mask/. No masks of the training tiles are published.

example:
  python tools/dataset_converters/bcss.py BCSS-WSSS.zip
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    subset = 'a list of tiles to take: one name a line, or a CSV with a column "file"'
    return make_parser(__doc__, 'data/bcss', ORIGIN, subset).parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    convert = functools.partial(convert_weak, BCSSDataset, separator='')
    return run_converter(parse_args(argv), convert, {'licence': LICENCE})


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT))
