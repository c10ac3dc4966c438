"""One tile from (seed, split, number): the same bytes whoever draws it, and in whatever order."""

from dataclasses import dataclass

import numpy as np

from arml.datasets.synthesis.layout import draw_combination, draw_layout
from arml.datasets.synthesis.stain import draw_case, expose
from arml.datasets.synthesis.tissue import stain_amounts

Array = np.ndarray

SPLITS = ('train', 'val', 'test')
#: Side of a pixel in microns, by the size of the nuclei (a lymphocyte: 6 to 7 microns).
MICRONS_PER_PIXEL = 0.7
#: Tiles that share a slide.
TILES_PER_CASE = 5


@dataclass(frozen=True)
class Tile:
    """A drawn tile.

    Attributes:
        image: RGB, uint8, (size, size, 3).
        mask: Classes 0..3 and 4 for white, uint8, (size, size).
        label: Which of the four classes the mask holds.
    """

    image: Array
    mask: Array
    label: tuple[int, int, int, int]


def label_of(mask: Array) -> tuple[int, int, int, int]:
    """Return which of the classes 0..3 a mask holds."""
    return tuple(int((mask == value).any()) for value in range(4))  # type: ignore[return-value]


def draw_tile(seed: int, split: str, number: int, size: int = 224) -> Tile:
    """Draw tile ``number`` of a split.

    Args:
        seed: Seed of the whole set, >= 0.
        split: 'train', 'val' or 'test'.
        number: Place in the split, >= 0; ``TILES_PER_CASE`` neighbours share a slide.
        size: Side in pixels, >= 32.

    Returns:
        The tile; its label is read from its mask.
    """
    code = SPLITS.index(split)
    case_rng = np.random.default_rng([seed, code, 0, number // TILES_PER_CASE])
    rng = np.random.default_rng([seed, code, 1, number])
    case = draw_case(case_rng)
    mask = draw_layout(rng, size, draw_combination(rng))
    h, e = stain_amounts(rng, mask, case)
    return Tile(expose(rng, case, h, e), mask, label_of(mask))
