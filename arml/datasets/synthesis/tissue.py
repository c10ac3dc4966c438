"""Stain amounts of a tile: each tissue has its own ground substance and population of nuclei."""

import cv2
import numpy as np
from numpy.random import Generator

from arml.datasets.synthesis import nuclei as n
from arml.datasets.synthesis.fields import fibres, fractal_noise, smooth_noise
from arml.datasets.synthesis.layout import LYM, NEC, STR, TUM, WHITE
from arml.datasets.synthesis.stain import Case

Array = np.ndarray


def _populate(rng: Generator, mask: Array, case: Case, angle: float, typical: Array) -> n.Canvas:
    """Draw the nuclei of every tissue, strangers among them."""
    size = mask.shape[0]
    canvas = n.Canvas.empty(size)
    glass = cv2.distanceTransform((mask != WHITE).astype(np.uint8), cv2.DIST_L2, 3)

    def place(spacing: float, jitter: float, chance: dict[int, float], room: float = 3.0) -> Array:
        points = n.scatter(rng, size, spacing, jitter)
        lookup = np.array([chance.get(value, 0.0) for value in range(5)])
        keep = rng.random(len(points)) < lookup[sample_class(points)]
        return points[keep & (n.sample(glass, points) > room)]

    def sample_class(points: Array) -> Array:
        return n.sample(mask, points)

    def along(points: Array) -> Array:
        return angle + rng.normal(0, 0.28, len(points))

    def at(points: Array) -> Array:
        return n.sample(typical, points)

    present = [bool((mask == value).any()) for value in range(5)]
    if present[NEC]:
        n.draw(rng, canvas, n.GHOST, place(14, 0.3, {NEC: 0.7}))
        dead = place(20, 0.4, {NEC: 0.6})
        n.draw(rng, canvas, n.PYKNOTIC, dead[rng.random(len(dead)) < 0.12 + 0.88 * at(dead)])
        dust = place(8, 0.5, {NEC: 0.5}, 2)
        n.draw(rng, canvas, n.FRAGMENT, dust[rng.random(len(dust)) < 0.1 + 0.9 * at(dust)])
        n.draw(rng, canvas, n.PLUMP, place(34, 0.4, {NEC: 0.15}), stain=0.8)
    if present[STR]:
        fresh = place(20, 0.35, {STR: 0.78 - 0.2 * case.oedema})
        fresh = fresh[rng.random(len(fresh)) < 0.3 + 0.7 * at(fresh)]
        n.draw(rng, canvas, n.SPINDLE, fresh, along(fresh))
        plump = place(30, 0.35, {STR: 0.4})
        n.draw(rng, canvas, n.PLUMP, plump, along(plump))
    if present[LYM]:
        small = place(10.0, 0.16, {LYM: 0.9}, 2)
        n.draw(rng, canvas, n.LYMPHOCYTE, small[rng.random(len(small)) < 0.55 + 0.45 * at(small)])
        n.draw(rng, canvas, n.PLASMA, place(24, 0.35, {LYM: 0.3}))
        spindle = place(34, 0.35, {LYM: 0.45})
        n.draw(rng, canvas, n.SPINDLE, spindle, along(spindle))
    if present[TUM]:
        spacing = 15.0 * case.nuclear_size * rng.uniform(0.92, 1.12)
        cells = place(spacing, 0.17, {TUM: 0.95}, 4)
        dark = rng.random(len(cells)) < 0.65 - 0.6 * at(cells)
        n.draw(rng, canvas, n.TUMOUR, cells[~dark], scale=case.nuclear_size)
        n.draw(rng, canvas, n.TUMOUR_DARK, cells[dark], scale=case.nuclear_size)
        n.draw(rng, canvas, n.PYKNOTIC, place(50, 0.4, {TUM: 0.35}))
    # Strangers: no kind of nucleus is found in one tissue only.
    guests = rng.uniform(0.3, 1.6)
    n.draw(rng, canvas, n.LYMPHOCYTE, place(22, 0.45, {STR: 0.16 * guests, TUM: 0.07 * guests}))
    n.draw(rng, canvas, n.LYMPHOCYTE, place(30, 0.45, {NEC: 0.15 * guests}))
    n.draw(rng, canvas, n.TUMOUR, place(40, 0.4, {STR: 0.12, NEC: 0.08, LYM: 0.16}))
    n.draw(rng, canvas, n.FRAGMENT, place(26, 0.5, {STR: 0.08, LYM: 0.2, TUM: 0.08}))
    spindle = place(38, 0.4, {TUM: 0.18})
    n.draw(rng, canvas, n.SPINDLE, spindle, along(spindle))
    return canvas


def _vessels(rng: Generator, mask: Array, canvas: n.Canvas) -> tuple[Array, Array]:
    """Put up to two small vessels into stroma: wall, emptiness and red cells."""
    size = mask.shape[0]
    room = cv2.distanceTransform((mask == STR).astype(np.uint8), cv2.DIST_L2, 3)
    empty, red = np.zeros(mask.shape, np.float32), np.zeros(mask.shape, np.uint8)
    for _ in range(int(rng.integers(0, 3))):
        rows, columns = np.nonzero(room > 13)
        if not rows.size:
            break
        pick = int(rng.integers(rows.size))
        centre = np.array([columns[pick], rows[pick]], float)
        radii = (rng.uniform(5, 9), rng.uniform(4, 7))
        turn = rng.uniform(0, np.pi)
        gap = n.ellipse(size, centre, radii, turn)
        canvas.index[gap < 2.5] = 0
        empty = np.maximum(empty, np.clip(0.5 - gap, 0, 1))
        wall, tangent = n.ring(int(rng.integers(5, 9)), centre, (radii[0] + 2, radii[1] + 2), turn)
        n.draw(rng, canvas, n.SPINDLE, wall, tangent, scale=0.75)
        for _ in range(int(rng.integers(0, 9))):
            spot = centre + rng.normal(0, 0.42, 2) * radii
            cv2.circle(red, (int(spot[0] * 16), int(spot[1] * 16)), 40, 255, -1, cv2.LINE_AA, 4)
    return empty, red.astype(np.float32) / 255 * (empty > 0.3)


def stain_amounts(rng: Generator, mask: Array, case: Case) -> tuple[Array, Array]:
    """Draw how much haematoxylin and eosin each pixel of a tile holds.

    Args:
        rng: Source of randomness.
        mask: Classes 0..4, uint8, (size, size).
        case: The slide.

    Returns:
        Haematoxylin and eosin, float32, >= 0, (size, size) each.
    """
    size = mask.shape[0]
    angle = float(rng.uniform(0, np.pi))
    # How strongly a tissue takes eosin differs from tile to tile: colour alone is no answer.
    tone = {value: float(rng.normal(0.58, 0.07)) for value in (STR, NEC)}
    # Every tissue has places where it shows its best known face, and others where it hides it:
    # an image-level label is explained by the former alone.
    typical = 0.4 + 0.6 / (1 + np.exp(-3.0 * (smooth_noise(rng, size, 40.0) + np.float32(0.1))))
    canvas = _populate(rng, mask, case, angle, typical)
    empty, red = _vessels(rng, mask, canvas)
    fine, middle = smooth_noise(rng, size, 1.6), fractal_noise(rng, size, 7.0)
    broad = smooth_noise(rng, size, 48.0)
    nuclear, eosin_factor, distance = n.chromatin(canvas, smooth_noise(rng, size, 2.2))

    h = np.zeros(mask.shape, np.float32)
    e = np.zeros(mask.shape, np.float32)
    # Soft borders: tissues interlock over a pixel or two, the mask stays exact.
    blend = [
        cv2.GaussianBlur((mask == value).astype(np.float32), (0, 0), 0.8) for value in range(5)
    ]

    face = 0.25 + 0.75 * typical
    strands = fibres(rng, size, angle, 2.4, 7.0)
    bundles = fibres(rng, size, angle, 6.5, 7.0)
    if (mask == STR).any() or (mask == LYM).any():
        loose = np.clip(0.45 + 0.35 * broad + 0.5 * (case.oedema - 0.5), 0, 1)
        cleft = np.clip((bundles - 0.75 + 0.75 * loose) * 1.5, 0, 1)
        collagen = (tone[STR] + face * (0.14 * strands + 0.11 * bundles)) * (
            1 - 0.62 * cleft * loose * face
        )
        e += blend[STR] * collagen
        h += blend[STR] * (0.07 + 0.02 * middle)
        e += blend[LYM] * (0.30 + 0.08 * strands + 0.05 * middle)
        h += blend[LYM] * 0.12
    if (mask == TUM).any():
        cells = _cells(canvas, mask)
        tint = rng.normal(0, 1, int(cells.max()) + 1).astype(np.float32)[cells]
        border = np.exp(-np.square((distance - 6.5) / 2.0)) * np.float32(0.05)
        e += blend[TUM] * (
            0.40 + case.cytoplasm + 0.05 * tint + 0.06 * middle + border + 0.05 * fine
        )
        h += blend[TUM] * (0.19 - 0.3 * case.cytoplasm + 0.03 * tint + 0.03 * middle)
    if (mask == NEC).any():
        grain = 0.10 * fine + 0.13 * middle + 0.13 * smooth_noise(rng, size, 3.4) + 0.04 * strands
        e += blend[NEC] * (tone[NEC] + face * grain + 0.06 * broad)
        h += blend[NEC] * np.maximum(0.10 + 0.05 * fine + 0.06 * fractal_noise(rng, size, 14.0), 0)
    # Lymphocytes shrink and leave a thin halo; nests come off the stroma here and there.
    halo = np.exp(-distance / np.float32(1.4)) * (distance > 0)
    e *= 1 - halo * (0.35 * blend[LYM] + 0.18 * blend[TUM] + 0.12 * blend[STR])
    if (mask == TUM).any() and (mask == STR).any():
        away = cv2.distanceTransform((mask != TUM).astype(np.uint8), cv2.DIST_L2, 3)
        split = np.exp(-np.square((away - 2.2) / 1.5)) * np.clip(broad * 1.2 + 0.1 * middle, 0, 1)
        split *= nuclear < 0.1
        h *= 1 - 0.8 * split
        e *= 1 - 0.8 * split
    solid = 1 - blend[WHITE]
    h, e = h * (1 - 0.9 * empty), e * (1 - 0.9 * empty)
    h = h * (eosin_factor > 0.99) + h * (eosin_factor <= 0.99) * 0.6 + nuclear
    e = e * eosin_factor + red * np.float32(1.0)
    dust = np.float32(0.012) + np.float32(0.006) * np.abs(middle)
    return np.maximum(h * solid, 0) + blend[WHITE] * dust, np.maximum(e * solid, 0) + (
        blend[WHITE] * dust
    )


def _cells(canvas: n.Canvas, mask: Array) -> Array:
    """Give every pixel the number of its nearest nucleus: the territory of a cell."""
    outside = (canvas.index == 0).astype(np.uint8)
    if outside.all():
        return np.zeros(mask.shape, np.intp)
    _, labels = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    return labels
