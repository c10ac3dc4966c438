"""Nuclei: where they lie, their outlines and their chromatin."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator

from arml.datasets.synthesis.fields import coordinates

Array = np.ndarray

_CORNERS = 18
_SHIFT = 4


@dataclass(frozen=True)
class Kind:
    """How the nuclei of one kind look.

    Attributes:
        radius: Mean radius in pixels (0.7 microns each).
        spread: Relative standard deviation of the radius.
        stretch: Range of long over short axis.
        rough: Amplitude of the irregular outline, relative to the radius.
        body: Haematoxylin inside.
        rim: Haematoxylin added at the nuclear membrane.
        clump: How uneven the chromatin is.
        nucleoli: Mean number of nucleoli.
        eosin: Eosin inside, as a part of the surrounding eosin.
    """

    radius: float
    spread: float
    stretch: tuple[float, float]
    rough: float
    body: float
    rim: float
    clump: float
    nucleoli: float = 0.0
    eosin: float = 0.6


TUMOUR = Kind(7.3, 0.18, (1.0, 1.6), 0.10, 0.50, 0.42, 0.36, nucleoli=1.1)
TUMOUR_DARK = Kind(5.7, 0.16, (1.0, 1.5), 0.08, 0.85, 0.28, 0.32, nucleoli=0.1)
LYMPHOCYTE = Kind(4.3, 0.10, (1.0, 1.2), 0.05, 1.25, 0.15, 0.28, eosin=0.4)
PLASMA = Kind(4.7, 0.08, (1.0, 1.3), 0.05, 1.05, 0.25, 0.40, eosin=0.5)
SPINDLE = Kind(5.0, 0.20, (3.0, 5.5), 0.06, 0.85, 0.15, 0.15)
PLUMP = Kind(5.4, 0.18, (1.5, 2.6), 0.07, 0.55, 0.30, 0.25, nucleoli=0.3)
PYKNOTIC = Kind(3.6, 0.28, (1.0, 1.5), 0.16, 1.35, 0.00, 0.10, eosin=1.1)
FRAGMENT = Kind(1.5, 0.35, (1.0, 1.7), 0.15, 1.00, 0.00, 0.00, eosin=0.9)
GHOST = Kind(6.4, 0.18, (1.0, 1.5), 0.12, 0.06, 0.16, 0.10, eosin=0.95)


@dataclass
class Canvas:
    """Nuclei drawn so far: an index per pixel and a row of properties per nucleus."""

    index: Array
    rows: list[Array] = field(default_factory=list)
    nucleoli: list[tuple[float, float, float]] = field(default_factory=list)

    @classmethod
    def empty(cls, size: int) -> 'Canvas':
        """Start with no nucleus; index 0 is "none"."""
        return cls(np.zeros((size, size), np.int32), [np.zeros((1, 4), np.float32)])

    @property
    def count(self) -> int:
        """Rows so far, the row of "none" included."""
        return sum(len(rows) for rows in self.rows)


def scatter(rng: Generator, size: int, spacing: float, jitter: float = 0.3) -> Array:
    """Draw points about ``spacing`` pixels apart: a hexagonal grid, turned and shaken.

    Args:
        rng: Source of randomness.
        size: Side of the tile in pixels; points reach a little beyond it.
        spacing: Distance of neighbours in pixels.
        jitter: Standard deviation of the shaking in units of ``spacing``.

    Returns:
        Points x, y, float32, (n, 2), in [-spacing, size + spacing].
    """
    count = int(size * 1.5 / spacing) + 4
    column, row = np.meshgrid(np.arange(count), np.arange(int(count * 1.16)))
    points = np.stack([column + 0.5 * (row % 2), row * 0.866], -1).reshape(-1, 2)
    points -= points.mean(0) + rng.uniform(-0.5, 0.5, 2)
    points += rng.normal(0, jitter, points.shape)
    turn = rng.uniform(0, np.pi)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = points @ matrix.T * spacing + size / 2
    inside = np.all((points > -spacing) & (points < size + spacing), 1)
    return points[inside].astype(np.float32)


def sample(values: Array, points: Array) -> Array:
    """Read a map at points, the nearest pixel of the tile each; (n,)."""
    last = values.shape[0] - 1
    cells = np.clip(np.rint(points), 0, last).astype(np.intp)
    return values[cells[:, 1], cells[:, 0]]


def draw(
    rng: Generator,
    canvas: Canvas,
    kind: Kind,
    points: Array,
    angles: Array | None = None,
    scale: float = 1.0,
    stain: float = 1.0,
) -> None:
    """Draw one nucleus of ``kind`` at every point, later ones over earlier ones.

    Args:
        rng: Source of randomness.
        canvas: Changed in place.
        kind: How they look.
        points: Centres x, y in pixels, (n, 2).
        angles: Direction of the long axes in radians, (n,); None draws them.
        scale: Factor of the radius.
        stain: Factor of the haematoxylin.
    """
    count = len(points)
    if not count:
        return
    if angles is None:
        angles = rng.uniform(0, np.pi, count)
    radius = kind.radius * scale * np.clip(rng.normal(1, kind.spread, count), 0.5, 1.7)
    stretch = np.sqrt(rng.uniform(*kind.stretch, count))
    theta = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    waves = np.arange(2, 5)
    amplitude = rng.normal(0, kind.rough, (count, 3)) / (waves - 1)
    phase = rng.uniform(0, 2 * np.pi, (count, 3, 1))
    outline = 1 + (amplitude[..., None] * np.cos(waves[:, None] * theta + phase)).sum(1)
    u = np.cos(theta) * outline * (radius * stretch)[:, None]
    v = np.sin(theta) * outline * (radius / stretch)[:, None]
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    corners = np.stack(
        [u * cosine - v * sine + points[:, :1], u * sine + v * cosine + points[:, 1:]], -1
    )
    corners = np.rint(corners * (1 << _SHIFT)).astype(np.int32)
    first = canvas.count
    for number, polygon in enumerate(corners):
        cv2.fillConvexPoly(canvas.index, polygon, first + number, cv2.LINE_8, _SHIFT)
    tone = np.clip(rng.normal(1, 0.14, count), 0.6, 1.5) * stain
    canvas.rows.append(
        np.stack(
            [
                kind.body * tone,
                kind.rim * tone,
                np.full(count, kind.clump),
                np.full(count, kind.eosin),
            ],
            1,
        ).astype(np.float32)
    )
    if kind.nucleoli:
        for number in np.nonzero(rng.random(count) < min(kind.nucleoli, 0.95))[0]:
            for _ in range(1 + int(rng.random() < kind.nucleoli - 0.8)):
                x, y = points[number] + rng.normal(0, 0.22 * radius[number], 2)
                canvas.nucleoli.append((float(x), float(y), float(rng.uniform(1.0, 1.9) * scale)))


def chromatin(canvas: Canvas, texture: Array) -> tuple[Array, Array, Array]:
    """Turn the canvas into stain amounts.

    Args:
        canvas: The nuclei.
        texture: Fine noise of unit deviation, float32, (size, size).

    Returns:
        Haematoxylin amount, factor of the eosin around (1 outside nuclei), and distance in pixels
        to the nearest nucleus, each float32, (size, size).
    """
    index = canvas.index
    rows = np.concatenate(canvas.rows)[index]
    inside = index > 0
    # Touching nuclei keep their membranes: an edge is wherever the index changes.
    edge = np.zeros(index.shape, bool)
    edge[:, 1:] |= index[:, 1:] != index[:, :-1]
    edge[1:] |= index[1:] != index[:-1]
    depth = cv2.distanceTransform((~edge & inside).astype(np.uint8), cv2.DIST_L2, 3)
    rim = np.exp(-depth / np.float32(1.1))
    amount = rows[..., 0] * (1 + rows[..., 2] * texture) + rows[..., 1] * rim
    amount = np.where(inside, np.maximum(amount, 0.02), 0)
    spots = np.zeros(index.shape, np.uint8)
    for x, y, radius in canvas.nucleoli:
        centre = (int(round(x * 16)), int(round(y * 16)))
        cv2.circle(spots, centre, int(radius * 16), 255, -1, cv2.LINE_AA, _SHIFT)
    spot = np.where(inside, spots.astype(np.float32) / 255, 0)
    amount += spot * np.float32(0.75)
    eosin = np.where(inside, rows[..., 3] + spot * np.float32(0.5), 1)
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    return amount.astype(np.float32), eosin.astype(np.float32), distance


def ring(points: int, centre: Array, radii: tuple[float, float], turn: float) -> tuple:
    """Place points on an ellipse and return them with the tangent directions."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x, y = np.cos(angle) * radii[0], np.sin(angle) * radii[1]
    cosine, sine = np.cos(turn), np.sin(turn)
    place = np.stack([x * cosine - y * sine, x * sine + y * cosine], 1) + centre
    tangent = np.arctan2(np.cos(angle) * radii[1], -np.sin(angle) * radii[0]) + turn
    return place.astype(np.float32), tangent


def ellipse(size: int, centre: Array, radii: tuple[float, float], turn: float) -> Array:
    """Signed distance to an ellipse in pixels (about), negative inside; float32, (size, size)."""
    x, y = coordinates(size)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = (x * cosine + y * sine) / radii[0], (y * cosine - x * sine) / radii[1]
    return (np.sqrt(u * u + v * v) - 1).astype(np.float32) * np.float32(min(radii))
