"""Make data/ebhi from the EBHI-Seg archive."""

import argparse
import sys
from collections.abc import Sequence

from arml.cli import ADVICE_OUT, run_tool
from arml.startup import without_chatter

with without_chatter():
    from arml.datasets.conversion.ebhi import convert_ebhi
    from arml.datasets.conversion.tool import make_parser, run_converter

LICENCE = 'CC BY 4.0'
ORIGIN = f"""\
where the data come from:
  EBHI-Seg, MIaMIA Group, figshare 2022, doi:10.6084/m9.figshare.21540159.v1
  https://figshare.com/articles/dataset/EBHI-SEG/21540159/1
  a copy: https://github.com/emhaihsan/EBHI-Segmentation, folder EBHI-SEG/
licence: {LICENCE} (https://creativecommons.org/licenses/by/4.0/); cite
  Shi L, et al. EBHI-Seg: A novel enteroscope biopsy histopathological hematoxylin and eosin image
  dataset for image segmentation tasks. Front Med 2023;10:1114673. doi:10.3389/fmed.2023.1114673

expected: Adenocarcinoma, High-grade IN, Low-grade IN, Normal, Polyp, each with image/ and label/
(Serrated adenoma is not used), in a zip or a folder; unpack a .rar first.

example, the 371 tiles that this project's figures are on:
  python tools/dataset_converters/ebhi.py EBHI-SEG.zip --subset ebhi_tissue

Without --subset every whole annotated tile is taken, split by case: cases of the list keep their
split, others go by a hash of their number (70/10/20 %). Nearly every whole tile holds stroma, so
image-level labels then say little about stroma, and scores are not those of the list.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    subset = (
        'a list of tiles: ebhi_tissue (the 371 tiles, arml/datasets/lists/ebhi_tissue.csv), a CSV '
        'with its columns, or a text file with some of its names'
    )
    return make_parser(__doc__, 'data/ebhi', ORIGIN, subset).parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    return run_converter(parse_args(argv), convert_ebhi, {'licence': LICENCE})


if __name__ == '__main__':
    sys.exit(run_tool(main, ADVICE_OUT))
