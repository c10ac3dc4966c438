"""Stains of a case and the optics of its scanner, in optical density.

Beer-Lambert: an amount ``c_s`` of stain ``s`` with unit absorption vector ``v_s`` lets the part
``exp(-sum_s c_s v_s)`` of the light through (Ruifrok and Johnston 2001).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from arml.datasets.synthesis.fields import smooth_noise

Array = np.ndarray

#: Absorption of red, green and blue light as commonly measured on H&E slides.
HAEMATOXYLIN = np.array([0.575, 0.740, 0.350], np.float32)
EOSIN = np.array([0.150, 0.860, 0.487], np.float32)


@dataclass(frozen=True)
class Case:
    """What the tiles of one slide share.

    Attributes:
        haematoxylin, eosin: Unit absorption vectors in RGB, float32, (3,).
        amounts: Factors of the two stains.
        light: White point of the lamp in RGB, in [0, 1].
        blur: Width of the defocus in pixels.
        grain: Standard deviation of the sensor noise, in [0, 1].
        quality: JPEG quality of the slide, 1 to 100.
        nuclear_size: Factor of the size of tumour nuclei.
        cytoplasm: Extra eosin of tumour cytoplasm.
        oedema: How loose the stroma is, in [0, 1].
    """

    haematoxylin: Array
    eosin: Array
    amounts: tuple[float, float]
    light: Array
    blur: float
    grain: float
    quality: int
    nuclear_size: float
    cytoplasm: float
    oedema: float


def draw_case(rng: Generator) -> Case:
    """Draw the stain, scanner and tumour of one slide."""

    def unit(vector: Array) -> Array:
        vector = np.maximum(vector, 0.02)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    return Case(
        haematoxylin=unit(HAEMATOXYLIN + rng.normal(0, 0.045, 3).astype(np.float32)),
        eosin=unit(EOSIN + rng.normal(0, 0.05, 3).astype(np.float32)),
        amounts=(float(rng.uniform(0.78, 1.25)), float(rng.uniform(0.72, 1.3))),
        light=rng.uniform(0.93, 0.985, 3).astype(np.float32),
        blur=float(rng.uniform(0.45, 0.85)),
        grain=float(rng.uniform(0.006, 0.016)),
        quality=int(rng.integers(72, 93)),
        nuclear_size=float(rng.uniform(0.86, 1.16)),
        cytoplasm=float(rng.uniform(-0.12, 0.2)),
        oedema=float(rng.uniform(0, 1)),
    )


def expose(rng: Generator, case: Case, h: Array, e: Array) -> Array:
    """Turn stain amounts into the picture that the scanner of the case takes.

    Args:
        rng: Source of the tile's gradient of brightness and grain.
        case: The slide.
        h: Amount of haematoxylin, float32, >= 0, (size, size).
        e: Amount of eosin, likewise.

    Returns:
        Picture in RGB, uint8, (size, size, 3).
    """
    size = h.shape[0]
    amounts = cv2.GaussianBlur(np.dstack([h, e]), (0, 0), case.blur)
    vectors = np.stack([case.haematoxylin * case.amounts[0], case.eosin * case.amounts[1]])
    picture = np.exp(-(amounts.reshape(-1, 2) @ vectors)).reshape(size, size, 3)
    slope = smooth_noise(rng, size, size * 1.5) * np.float32(0.02) + np.float32(1)
    picture *= case.light
    picture *= slope[..., None]
    grain = rng.standard_normal((size, size, 3), dtype=np.float32)
    picture += cv2.GaussianBlur(grain, (3, 3), 0.6) * np.float32(case.grain * 2)
    picture = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    # Slides are stored as JPEG: its softness is part of what a network sees.
    flags = [cv2.IMWRITE_JPEG_QUALITY, case.quality]
    _, code = cv2.imencode('.jpg', picture[..., ::-1], flags)
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])
