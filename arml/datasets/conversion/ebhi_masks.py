"""From EBHI-Seg's binary masks to four classes and an ignored one."""

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

#: Class of the annotated gland by folder of the archive.
GLAND = {'Adenocarcinoma': 0, 'Normal': 2, 'Polyp': 2, 'Low-grade IN': 3, 'High-grade IN': 3}
#: How a folder is written in tile names.
SHORT = {
    'Adenocarcinoma': 'AC',
    'Normal': 'NO',
    'Polyp': 'PO',
    'Low-grade IN': 'LG',
    'High-grade IN': 'HG',
}
STROMA, GLASS = 1, 4
TILE = 224


def find_glass(image: np.ndarray) -> np.ndarray:
    """Find empty slide by brightness.

    The tile is divided by its white point (99.5th percentile of each channel; a tile whose white
    point is below 150 in the mean holds no glass). Glass is bright and even over 7x7 pixels and
    without colour over 5x5; a 9x9 majority drops specks and a 9x9 mean takes in the soft edge.

    Args:
        image: RGB, uint8, (H, W, 3).

    Returns:
        bool, (H, W).
    """
    white = np.percentile(image.reshape(-1, 3), 99.5, axis=0)
    if white.mean() < 150:
        return np.zeros(image.shape[:2], dtype=bool)
    tile = np.clip(image / white, 0, 1.1)
    grey = tile.mean(axis=2)
    mean = _mean(grey, 7)
    deviation = np.sqrt(np.maximum(_mean(grey * grey, 7) - mean * mean, 0))
    colour = _mean(tile.max(axis=2) - tile.min(axis=2), 5)
    glass = (mean > 0.84) & (deviation < 0.06) & (colour < 0.15)
    majority = _mean(glass.astype(float), 9) > 0.5
    return _mean(majority.astype(float), 9) > 0.02


def class_mask(image: np.ndarray, annotation: np.ndarray, folder: str) -> np.ndarray:
    """Give gland, stroma and glass their values.

    Args:
        image: RGB, uint8, (H, W, 3).
        annotation: The archive's mask, uint8, (H, W); above 127 is the lesion of the folder.
        folder: Key of :data:`GLAND`.

    Returns:
        uint8, (H, W): the folder's class in the lesion, else 4 on glass, else 1 (stroma).
    """
    rest = np.where(find_glass(image), GLASS, STROMA)
    return np.where(annotation > 127, GLAND[folder], rest).astype(np.uint8)


def window(
    image: np.ndarray, mask: np.ndarray, x: int, y: int, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square and enlarge it to a tile, the image bicubic, the mask by nearest neighbour.

    Pillow's filters, whose kernels differ from OpenCV's, are part of how the set is defined.

    Args:
        image: RGB, uint8, (H, W, 3).
        mask: uint8, (H, W).
        x: Left edge in pixels.
        y: Upper edge in pixels.
        side: Side in pixels.
    """
    image, mask = (array[y : y + side, x : x + side] for array in (image, mask))
    if side == TILE:
        return image, mask
    size = (TILE, TILE)
    return (
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)),
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)),
    )


def _mean(array: np.ndarray, side: int) -> np.ndarray:
    return uniform_filter(array, side, mode='nearest')
