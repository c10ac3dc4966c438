"""Tiles with their masks, as stages leave them for the picture, read for overlays."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class ExampleTile:
    """A tile and masks of it.

    Attributes:
        name: File name of the tile, without suffix.
        image: RGB, uint8, (H, W, 3).
        masks: Labels by what they are of (``truth``, ``prediction``, a kind of map), uint8, (H, W).
    """

    name: str
    image: np.ndarray
    masks: dict[str, np.ndarray]


def example_tiles(folder: Path, stages: Iterable[str]) -> dict[str, list[ExampleTile]]:
    """The examples of each stage of a work dir that has some with a mask."""
    found = {}
    for stage in stages:
        examples = folder / stage / 'examples'
        if (examples / 'examples.json').is_file():
            stems = json.loads((examples / 'examples.json').read_text(encoding='utf-8'))
            tiles = [_tile(examples, stem) for stem in stems]
            found[stage] = [tile for tile in tiles if tile is not None and tile.masks]
    return {stage: tiles for stage, tiles in found.items() if tiles}


def _tile(examples: Path, stem: str) -> ExampleTile | None:
    file = examples / f'{stem}.tile.png'
    if not file.is_file():
        return None
    masks = {}
    for other in sorted(examples.iterdir()):
        # No glob: a stem holds brackets, [1010].
        kind = other.name.removeprefix(f'{stem}.').removesuffix('.png')
        if other.name == f'{stem}.{kind}.png' and kind != 'tile' and '.' not in kind:
            with Image.open(other) as mask:
                masks[kind] = np.asarray(mask).astype(np.uint8)
    with Image.open(file) as image:
        return ExampleTile(stem, np.asarray(image.convert('RGB')), masks)
