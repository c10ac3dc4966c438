"""Where each tissue lies in a tile: exact masks from smooth random fields.

Tumour grows in nests with smooth outlines; necrosis lies in their cores; lymphocytes gather along
their margins; stroma fills the rest; white is glass beside the tissue or a lumen in it. So the
image-level labels are correlated as they are in real tissue, which is what misleads a CAM.
"""

import cv2
import numpy as np
from numpy.random import Generator

from arml.datasets.synthesis.fields import coordinates, smooth_noise, warped_noise

Array = np.ndarray

TUM, STR, LYM, NEC, WHITE = range(5)
CLASSES = ('TUM', 'STR', 'LYM', 'NEC')
#: Colours of TUM, STR, LYM, NEC and white in mask files, as in BCSS-WSSS.
PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (153, 0, 255), (255, 255, 255))
#: A class with a smaller share of the tile is not drawn at all: label and mask always agree.
SMALLEST_SHARE = 0.02

#: Image-level labels (TUM, STR, LYM, NEC) and how often each is wanted.
COMBINATIONS: tuple[tuple[tuple[int, int, int, int], float], ...] = (
    ((1, 0, 0, 0), 0.06),
    ((0, 1, 0, 0), 0.06),
    ((0, 0, 1, 0), 0.02),
    ((0, 0, 0, 1), 0.02),
    ((1, 1, 0, 0), 0.13),
    ((1, 1, 1, 0), 0.24),
    ((1, 1, 0, 1), 0.15),
    ((1, 1, 1, 1), 0.17),
    ((1, 0, 0, 1), 0.05),
    ((1, 0, 1, 0), 0.03),
    ((0, 1, 1, 0), 0.04),
    ((0, 1, 0, 1), 0.02),
    ((0, 0, 1, 1), 0.01),
)


def draw_combination(rng: Generator) -> tuple[int, int, int, int]:
    """Draw an image-level label from ``COMBINATIONS``; at least one class is present."""
    weights = np.array([weight for _, weight in COMBINATIONS])
    return COMBINATIONS[int(rng.choice(len(COMBINATIONS), p=weights / weights.sum()))][0]


def _take(mask: Array, where: Array, score: Array, share: float, value: int) -> None:
    """Give ``share`` of the tile, the best of ``score`` inside ``where``, the class ``value``."""
    inside = score[where]
    count = min(int(share * mask.size), inside.size)
    if count < 1:
        return
    bound = np.partition(inside, inside.size - count)[inside.size - count]
    mask[where & (score >= bound)] = value


def _depth(region: Array) -> Array:
    """Distance in pixels to the nearest pixel outside ``region``, float32."""
    return cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 3)


def _white(rng: Generator, mask: Array, has_tumour: bool) -> None:
    """Cut glass beside the tissue, or lumina and clefts in it."""
    size = mask.shape[0]
    everywhere = np.ones_like(mask, bool)
    kind = rng.choice(['glass', 'lumen'], p=[0.45, 0.55])
    x, y = coordinates(size)
    if kind == 'glass':
        angle = rng.uniform(0, 2 * np.pi)
        ramp = (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y) / 40
        score = ramp + 0.6 * warped_noise(rng, size, 45.0) + 0.1 * smooth_noise(rng, size, 9.0)
        _take(mask, everywhere, score, rng.uniform(0.08, 0.38), WHITE)
        return
    score = np.full(mask.shape, -10, np.float32)
    for _ in range(int(rng.integers(2, 6))):
        rows, columns = np.nonzero(mask == TUM) if has_tumour else np.nonzero(everywhere)
        pick = int(rng.integers(rows.size))
        radius, stretch = rng.uniform(9, 24), rng.uniform(0.6, 1.6)
        turn = rng.uniform(0, np.pi)
        dx, dy = x - np.float32(columns[pick]), y - np.float32(rows[pick])
        u = (dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))) / radius
        v = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / (radius * stretch)
        score = np.maximum(score, 1 - np.sqrt(u * u + v * v))
    mask[score + 0.13 * warped_noise(rng, size, 22.0, 0.3) > 0] = WHITE


def _clean(mask: Array, wanted: list[int]) -> Array:
    """Smooth the outlines and hand regions too small to count to their neighbours."""
    present = np.unique(mask)
    votes = [cv2.GaussianBlur((mask == value).astype(np.float32), (0, 0), 2.6) for value in present]
    mask = present[np.argmax(votes, 0)].astype(np.uint8)
    for value in range(5):
        region = (mask == value).astype(np.uint8)
        if not region.any():
            continue
        count, parts, stats, _ = cv2.connectedComponentsWithStats(region, connectivity=4)
        areas = stats[:, cv2.CC_STAT_AREA]
        small = areas < 0.006 * mask.size
        small[0] = False
        gone = small[parts] if count > 1 else np.zeros(mask.shape, bool)
        rest = areas[1:][~small[1:]].sum() if count > 1 else 0
        if value not in wanted or rest < SMALLEST_SHARE * mask.size:
            gone = region.astype(bool)
        if gone.any() and not gone.all():
            others = gone.astype(np.uint8)
            _, nearest = cv2.distanceTransformWithLabels(
                others, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
            )
            lookup = np.zeros(int(nearest.max()) + 1, np.uint8)
            lookup[nearest[~gone]] = mask[~gone]
            mask = lookup[nearest]
    return mask


def draw_layout(rng: Generator, size: int, label: tuple[int, ...]) -> Array:
    """Draw the mask of a tile that holds the wanted classes.

    Args:
        rng: Source of randomness.
        size: Side of the tile in pixels.
        label: Wanted classes TUM, STR, LYM, NEC, 0 or 1 each, not all zero. A class that ends
            below ``SMALLEST_SHARE`` is left out, so read the label from the mask.

    Returns:
        Mask, uint8 in 0..4, (size, size).
    """
    tumour, stroma, lymph, necrosis = (bool(value) for value in label)
    wanted = [value for value in range(4) if label[value]]
    base = next(value for value in (STR, TUM, NEC, LYM) if label[value])
    mask = np.full((size, size), base, np.uint8)
    everywhere = np.ones_like(mask, bool)
    if tumour and stroma:
        scale = rng.uniform(40, 70)
        nests = warped_noise(rng, size, scale, 0.4)
        _take(mask, everywhere, nests, rng.uniform(0.34, 0.66), TUM)
    if necrosis and base != NEC:
        host = mask == TUM if tumour else everywhere
        score = warped_noise(rng, size, 62.0)
        if tumour and stroma:
            score = score * 0.6 + np.minimum(_depth(host), 16) / 7
        _take(mask, host, score, rng.uniform(0.18, 0.32) * (1 if stroma else 1.8), NEC)
    if lymph and base != LYM:
        score = warped_noise(rng, size, 50.0)
        host = mask == (STR if stroma else base)
        if tumour and stroma:
            # A cuff: lymphocytes crowd where stroma meets tumour, denser on one side.
            score = score * 0.9 - np.abs(_depth(mask != TUM) - 12) / 12
        _take(mask, host, score, rng.uniform(0.16, 0.28) * (1 if stroma and tumour else 1.7), LYM)
    if rng.random() < 0.36:
        _white(rng, mask, tumour)
        wanted.append(WHITE)
    return _clean(mask, wanted)
