"""Masks as palette PNG files whose stored values are the class indices; what goes with them as .npy."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from arml.atomic import replacing
from arml.errors import DataError


def write_mask(path: str | os.PathLike, mask: np.ndarray, palette: Sequence[Sequence[int]]) -> None:
    """Write a mask as palette PNG, whole or not at all.

    Args:
        path: Ends in ``.png``.
        mask: Class indices, integers 0..255, (H, W).
        palette: RGB 0..255 of each index; the last ones may be unused.

    Raises:
        DataError: If the mask is not two-dimensional or an index has no colour.
        ArmlError: If the file cannot be written, for example because the disk is full.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype.kind not in 'ui':
        raise DataError(f'mask {path}: expected integers (H, W), found {mask.dtype} {mask.shape}.')
    if mask.size and (mask.min() < 0 or mask.max() >= len(palette)):
        raise DataError(
            f'mask {path}: found values {mask.min()}..{mask.max()}, but the palette has colours '
            f'for 0..{len(palette) - 1} only.'
        )
    image = Image.fromarray(mask.astype(np.uint8), mode='P')
    image.putpalette([int(value) for colour in palette for value in colour])
    with replacing(path) as temporary:
        image.save(temporary, format='PNG')


def write_extra(path: str | os.PathLike, values: np.ndarray) -> None:
    """Write weights or scores of a tile as ``.npy``, whole or not at all.

    Args:
        path: Ends in ``.npy``.
        values: float32 or integer, (H, W) or ().

    Raises:
        DataError: If the array is of another kind or shape, or not finite.
        ArmlError: If the file cannot be written, for example because the disk is full.
    """
    values = np.asarray(values)
    if values.ndim not in (0, 2) or (values.dtype != np.float32 and values.dtype.kind not in 'ui'):
        raise DataError(
            f'array {path}: expected float32 or integers, (H, W) or one number, found '
            f'{values.dtype} {values.shape}.'
        )
    if not np.isfinite(values).all():
        raise DataError(f'array {path}: expected finite numbers, found NaN or infinity.')
    with replacing(path) as temporary:
        np.save(temporary, values, allow_pickle=False)


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """Read a palette or gray PNG as it is stored: class indices, uint8, (H, W).

    Raises:
        DataError: If the file is missing, unreadable or in colours.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in ('P', 'L'):
                raise DataError(
                    f'mask {path}: found an image of mode {image.mode}, expected a palette PNG '
                    '(P) whose stored values are the class indices.'
                )
            return np.array(image)
    except FileNotFoundError as error:
        raise DataError(f'mask {path}: no such file.') from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f'mask {path}: cannot be read ({error}). Make it again.') from error
