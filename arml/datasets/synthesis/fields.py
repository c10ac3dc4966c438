"""Smooth random fields: the raw material of regions and textures.

Everything is a pure function of the generator it is given.
"""

import cv2
import numpy as np
from numpy.random import Generator

Array = np.ndarray


def smooth_noise(rng: Generator, size: int, scale: float) -> Array:
    """Draw a smooth field of about zero mean and unit deviation.

    White noise on a coarse grid, enlarged by cubic interpolation: as good as a
    Gaussian filter of the same width, at a cost that does not grow with it.

    Args:
        rng: Source of randomness.
        size: Side of the square field in pixels, > 0.
        scale: Distance of two independent values in pixels, >= 1.

    Returns:
        Field, float32, (size, size).
    """
    # A broad field is drawn at a quarter of the resolution, where nothing is lost.
    coarse = 4 if scale >= 16 else 1
    small, step = -(-size // coarse) + 1, scale / coarse
    cells = int(np.ceil(small / step)) + 4
    grid = rng.standard_normal((cells, cells), dtype=np.float32) * np.float32(1.35)
    # A random phase: otherwise the grid lines lie at the same place in every tile.
    shift = -step * (1 + rng.random(2))
    matrix = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
    field = cv2.warpAffine(grid, matrix, (small, small), flags=cv2.INTER_CUBIC)
    if coarse == 1:
        return field[:size, :size]
    return cv2.resize(field, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_LINEAR)[
        :size, :size
    ]


def fractal_noise(rng: Generator, size: int, scale: float, octaves: int = 3) -> Array:
    """Sum smooth fields of halved scale and amplitude; float32, (size, size)."""
    field = smooth_noise(rng, size, scale)
    weight, total = 1.0, 1.0
    for _ in range(octaves - 1):
        scale, weight = max(scale / 2, 1.0), weight * 0.5
        field += np.float32(weight) * smooth_noise(rng, size, scale)
        total += weight**2
    return field / np.float32(np.sqrt(total))


def coordinates(size: int) -> tuple[Array, Array]:
    """Return the pixel coordinates x and y, float32, (size, size) each."""
    axis = np.arange(size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def warped_noise(rng: Generator, size: int, scale: float, bend: float = 0.5) -> Array:
    """Draw a smooth field and bend its coordinates by two others.

    The bending takes the look of a square grid away and gives lobed outlines.

    Args:
        rng: Source of randomness.
        size: Side of the field in pixels.
        scale: Distance of two independent values in pixels.
        bend: Mean displacement in units of ``scale``.

    Returns:
        Field, float32, (size, size).
    """
    margin = int(np.ceil(scale * bend * 3))
    field = smooth_noise(rng, size + 2 * margin, scale)
    x, y = coordinates(size)
    x += margin + np.float32(bend * scale) * smooth_noise(rng, size, scale * 0.8)
    y += margin + np.float32(bend * scale) * smooth_noise(rng, size, scale * 0.8)
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def flow_angle(rng: Generator, size: int, scale: float, spread: float) -> Array:
    """Draw a direction that turns slowly; radians, float32, (size, size)."""
    base = np.float32(rng.uniform(0, np.pi))
    return base + np.float32(spread) * smooth_noise(rng, size, scale)


def fibres(rng: Generator, size: int, angle: float, width: float, wave: float) -> Array:
    """Draw wavy, lengthwise streaks as of collagen.

    White noise is filtered along one axis, then bent across it by a smooth wave.

    Args:
        rng: Source of randomness.
        size: Side of the field in pixels.
        angle: Direction of the streaks in radians.
        width: Width of one streak in pixels.
        wave: Mean displacement across the streaks in pixels.

    Returns:
        Field of about zero mean and unit deviation, float32, (size, size).
    """
    long, short = width * 14, width
    rows, columns = int(size * 1.6 / short) + 4, int(size * 1.6 / long) + 4
    noise = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(1.3)
    x, y = coordinates(size)
    bend = np.float32(wave) * smooth_noise(rng, size, 42.0)
    bend += np.float32(wave * 0.35) * smooth_noise(rng, size, 17.0)
    centre = np.float32(size / 2)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = (x - centre) * cosine + (y - centre) * sine
    across = (y - centre) * cosine - (x - centre) * sine + bend
    return cv2.remap(
        noise,
        along / np.float32(long) + np.float32(columns / 2),
        across / np.float32(short) + np.float32(rows / 2),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_WRAP,
    )
