"""Overlapping windows over an image and their blending: pure functions."""

import cv2
import numpy as np


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows along one axis begin, so that they cover it and none sticks out.

    Args:
        length: Pixels of the axis, at least ``window``.
        window: Pixels of a window.
        overlap: Least share of a window that the next one covers again, in [0, 1).

    Returns:
        Ascending starts, evenly spread; the last window ends with the axis.

    Raises:
        ValueError: If the axis is shorter than a window or ``overlap`` is out of range.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f'overlap must be in [0, 1), found {overlap}')
    if length < window:
        raise ValueError(f'an axis of {length} pixels is shorter than a window of {window}')
    stride = max(1, int(window * (1 - overlap)))
    count = -(-(length - window) // stride) + 1
    return [round(position) for position in np.linspace(0, length - window, count)]


def hann_weights(height: int, width: int) -> np.ndarray:
    r"""Weights of a window's pixels: highest in the middle, positive everywhere.

    .. math:: w_{ij} = \sin^2\frac{\pi (i + 1/2)}{h}\, \sin^2\frac{\pi (j + 1/2)}{w}

    A network knows least at the edge of its window, so pixels there count least.

    Returns:
        float32, (height, width).
    """
    rows, columns = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in (height, width))
    return np.outer(rows, columns).astype(np.float32)


def pad_to(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mirror an image at its lower and right edge until it has at least this size.

    Args:
        image: (H, W, C).
        height: Least height in pixels.
        width: Least width in pixels.

    Returns:
        The image, or a larger copy whose upper left part it is.
    """
    below, right = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    if not below and not right:
        return image
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101)


def resize(image: np.ndarray, height: int, width: int, antialias: bool = False) -> np.ndarray:
    """Resize bilinearly, as the training pipeline does.

    Args:
        image: (H, W, C), uint8 or float32.
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        antialias: Average over areas where the image becomes smaller.

    Returns:
        (height, width, C), the same dtype.
    """
    if image.shape[:2] == (height, width):
        return image
    smaller = height < image.shape[0] and width < image.shape[1]
    interpolation = cv2.INTER_AREA if antialias and smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=interpolation)
