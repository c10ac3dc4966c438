"""The white-area rule: large white regions of a tile are background."""

import numpy as np
from scipy import ndimage


def white_area(image: np.ndarray, threshold: float = 200, min_size: int = 50) -> np.ndarray:
    """Find white regions (the rule of LUAD-HistoSeg; WSSS-Tissue, Han et al., 2022).

    Gray = 0.299 R + 0.587 G + 0.114 B, rounded; white is gray > ``threshold``; 4-connected
    components of fewer than ``min_size`` pixels are dropped.

    Args:
        image: RGB, uint8, (H, W, 3).
        threshold: Gray level, 0..255.
        min_size: Pixels; a component of exactly this size is kept.

    Returns:
        bool, (H, W).

    Raises:
        ValueError: If the image is not uint8 (H, W, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f'white_area: expected an RGB image, uint8 (H, W, 3), found {image.dtype} {image.shape}'
        )
    gray = np.rint(image @ np.array([0.299, 0.587, 0.114]))
    labels, _ = ndimage.label(gray > threshold)
    kept = np.bincount(labels.ravel()) >= min_size
    kept[0] = False
    return kept[labels]
