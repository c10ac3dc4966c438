"""Tiny data folders, drawn for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image

PALETTE = [255, 0, 0, 0, 255, 0, 0, 0, 255, 153, 0, 255, 255, 255, 255] + [0] * (768 - 15)


def write_tile(path: Path, seed: int = 0, size: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_mask(path: Path, values, size: int = 16) -> Path:
    """Write a palette PNG; a number fills it, an array is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((size, size), values, np.uint8) if np.isscalar(values) else values
    image = Image.fromarray(array)
    image.putpalette(PALETTE)
    image.save(path)
    return path


def quarters(size: int = 16) -> np.ndarray:
    """Return a mask with TUM, STR, LYM and background, a quarter each."""
    mask = np.zeros((size, size), np.uint8)
    half = size // 2
    mask[:half, half:], mask[half:, :half], mask[half:, half:] = 1, 2, 4
    return mask


def make_fake(root: Path, train: str = 'train', val: str = 'val', flat: bool = True) -> Path:
    """Draw 4 train, 2 val and 3 test tiles of different cases in the BCSS-WSSS layout."""
    inner = '' if flat else 'img'
    for number, label in enumerate(('1101', '0100', '1000', '0010')):
        name = f'TCGA-A1-A00{number}-DX1_xmin1_ymin2_MPP-0.2500+{number}[{label}].png'
        write_tile(root / train / inner / name, number)
    for split, count, letter in ((val, 2, 'B'), ('test', 3, 'C')):
        for number in range(count):
            name = f'TCGA-{letter}1-A00{number}-DX1_xmin1_ymin2_MPP-0.2500+{number}.png'
            write_tile(root / split / 'img' / name, 10 + number)
            write_mask(root / split / 'mask' / name, quarters())
    return root
