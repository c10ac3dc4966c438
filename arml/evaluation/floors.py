"""Floors: what an answer without any look at tissue already scores.

Two of them, both under protocol A (``docs/metrics.md``): a constant answer, and a classifier of
single pixels by their colour alone. A segmentation that is not clearly above both has learnt
nothing about tissue. Each choice (which class, how many colours) is made on validation, and only
the chosen one is scored on test.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from arml.datasets.transforms import decode_tile, read_raw_mask
from arml.errors import DataError
from arml.evaluation.confusion import protocol_metrics, scores

Array = np.ndarray

#: Steps that each of R, G and B is cut into.
BINS = 32
#: Width of the smoothing in those steps, and weight of the class frequencies: tried on validation.
WIDTHS = (1.0, 2.0)
PRIORS = (0.0, 0.5, 1.0)
#: Training tiles that are read; more of them change the colours of a class very little.
MOST_TILES = 1000
_ROUNDS = 30


class TileFiles(NamedTuple):
    """Files of one tile: its image, its dense mask or None, its image-level label or None."""

    image: Path
    mask: Path | None = None
    label: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Floor:
    """A floor and what it was allowed to see.

    Attributes:
        name: ``'constant answer'`` or ``'colour of single pixels'``.
        supervision: ``'image labels'`` or ``'dense masks'`` of the training split, or ``'none'``.
        choice: What was chosen on validation.
        matrix: Confusion matrix on test, int64, (K, K), rows truth, columns prediction.
    """

    name: str
    supervision: str
    choice: dict[str, float | int | str]
    matrix: Array

    def metrics(self, classes: Sequence[str]) -> dict[str, float]:
        """Return the scores under protocol A in percent, named as by ``TissueMetric``."""
        return protocol_metrics(self.matrix, classes, 'A')


def tiles_of(dataset: Iterable[dict]) -> list[TileFiles]:
    """List the files of a ``TissueDataset``.

    Args:
        dataset: A data set with ``__len__`` and ``get_data_info`` as mmengine's; it has masks if
            it was built with ``masks='dense'``, and labels if it is the training split.

    Returns:
        One entry per tile.
    """
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [
        TileFiles(
            Path(info['img_path']),
            Path(info['seg_map_path']) if 'seg_map_path' in info else None,
            tuple(info['image_label']) if 'image_label' in info else None,
        )
        for info in infos
    ]


def constant_floor(
    val: Sequence[TileFiles], test: Sequence[TileFiles], classes: Sequence[str]
) -> Floor:
    """Answer every pixel with the one class that does best on validation.

    Args:
        val: Tiles the class is chosen on by mIoU; each has a mask.
        test: Tiles that are scored; each has a mask.
        classes: Names of the K classes; mask values from K on are not counted.

    Raises:
        DataError: If a split is empty, a mask is missing or unreadable, or no pixel has a class.
    """
    best = int(np.argmax(_class_pixels(val, len(classes), 'validation')))
    # With one column filled, mIoU is the share of the chosen class over K: the largest wins.
    matrix = np.zeros((len(classes),) * 2, np.int64)
    matrix[:, best] = _class_pixels(test, len(classes), 'test')
    return Floor('constant answer', 'none', {'class': classes[best]}, matrix)


def colour_floor(
    train: Sequence[TileFiles],
    val: Sequence[TileFiles],
    test: Sequence[TileFiles],
    classes: Sequence[str],
    supervision: str = 'image labels',
    say: Callable[[str], None] | None = None,
) -> Floor:
    """Classify every pixel by its own colour and nothing else.

    Args:
        train: Tiles the colours are learnt from, with labels, or with masks if ``supervision`` is
            ``'dense masks'``; of more than ``MOST_TILES``, evenly spaced ones are read.
        val: Tiles that smoothing and prior are chosen on; each has a mask.
        test: Tiles that are scored; each has a mask.
        classes: Names of the K classes; mask values from K on are not counted.
        supervision: ``'image labels'`` (the floor of weak supervision) or ``'dense masks'`` (how
            far colour alone can go).
        say: Receives a line per setting tried.

    Raises:
        DataError: If a split is empty, a file is missing or unreadable, a training tile lacks the
            label or mask it needs, or a class never occurs in training.
        ValueError: If ``supervision`` is neither of the two.
    """
    if supervision not in ('image labels', 'dense masks'):
        raise ValueError(f"supervision: 'image labels' or 'dense masks', found {supervision!r}")
    train = list(train)[:: -(-len(train) // MOST_TILES) or 1]
    if supervision == 'dense masks':
        seen = _joint_histogram(train, len(classes), 'training')
        _check_classes(seen.sum(1), classes)
    else:
        seen = _labelled_histograms(train, classes)
    judged = _joint_histogram(val, len(classes), 'validation')
    best: tuple[float, dict[str, float | int | str], Array] | None = None
    for width in WIDTHS:
        smooth = partial(_smooth, width=width)
        if supervision == 'dense masks':
            colours, shares = _normalised(smooth(seen)), seen.sum(1) / seen.sum()
        else:
            colours, shares = fit_weak_colours(*seen, smooth)
        for prior in PRIORS:
            answer = (np.log(colours) + prior * np.log(shares)[:, None]).argmax(0)
            miou = scores(_confusion(judged, answer)).miou
            choice = {'smoothing': width, 'prior': prior}
            if say is not None:
                say(f'{choice}: mIoU {100 * miou:.2f} on validation')
            if best is None or miou > best[0]:
                best = (miou, choice, answer)
    matrix = _confusion(_joint_histogram(test, len(classes), 'test'), best[2])
    return Floor('colour of single pixels', supervision, best[1], matrix)


def fit_weak_colours(
    histograms: Array, labels: Array, smooth: Callable[[Array], Array], rounds: int = _ROUNDS
) -> tuple[Array, Array]:
    r"""Learn the colours of each class from image-level labels alone.

    A pixel's class is hidden; it may be any class that the label of its image allows. The mixture
    of colours is fitted by expectation maximisation:

    .. math::
        r_{ibc} \propto y_{ic}\, \pi_{ic}\, p(b|c),\quad
        p(b|c) \propto S\Big(\sum_i n_{ib} r_{ibc}\Big),\quad
        \pi_{ic} \propto \sum_b n_{ib} r_{ibc}

    with :math:`n_{ib}` the pixels of colour b in image i, :math:`y_{ic}` its label and S a
    smoothing over neighbouring colours.

    Args:
        histograms: Pixels of each colour, >= 0, (images, B).
        labels: Image-level labels, 0 or 1, (images, K); at least one class in every row.
        smooth: S, from (K, B) to (K, B), its result > 0.
        rounds: Rounds of expectation maximisation.

    Returns:
        p(b|c), (K, B), rows sum to 1, and the share of each class over all pixels, (K,).
    """
    histograms, labels = np.asarray(histograms, np.float32), np.asarray(labels, np.float32)
    part = labels / labels.sum(1, keepdims=True)
    colours = _normalised(smooth(part.T @ histograms))
    for _ in range(rounds):
        total = np.maximum(part @ colours, 1e-12)
        # sum_i n_ib r_ibc = p(b|c) sum_i pi_ic n_ib / total_ib, and likewise over b
        ratio = histograms / total
        part, colours = (
            part * (ratio @ colours.T),
            _normalised(smooth(colours * (part.T @ ratio))),
        )
        part /= np.maximum(part.sum(1, keepdims=True), 1e-12)
    share = (part * histograms.sum(1, keepdims=True)).sum(0)
    return colours, share / share.sum()


def colour_index(image: Array) -> Array:
    """Number the colour of every pixel of an RGB image, int64 in [0, BINS ** 3), (H, W)."""
    steps = image.astype(np.int64) * BINS // 256
    return (steps[..., 0] * BINS + steps[..., 1]) * BINS + steps[..., 2]


def _smooth(table: Array, width: float) -> Array:
    """Spread counts per class and colour, (K, B), over neighbouring colours."""
    cube = np.asarray(table, np.float32).reshape(-1, BINS, BINS, BINS)
    cube = gaussian_filter(cube, (0, width, width, width), mode='nearest')
    # A colour that was never seen is as likely under every class.
    return cube.reshape(table.shape) + np.float32(1e-7 / BINS**3 * max(table.sum(), 1))


def _labelled_histograms(tiles: Sequence[TileFiles], classes: Sequence[str]) -> tuple[Array, Array]:
    """Return the colours of each tile, (n, B), and its label, (n, K); all-zero labels are out."""
    if not tiles:
        raise DataError('the training split holds no tile; expected tiles to learn colours from')
    for tile in tiles:
        if tile.label is None or len(tile.label) != len(classes):
            raise DataError(
                f'{tile.image}: found the image-level label {tile.label}, expected '
                f'{len(classes)} digits'
            )
    tiles = [tile for tile in tiles if any(tile.label)]
    labels = np.array([tile.label for tile in tiles]).reshape(-1, len(classes))
    _check_classes(labels.sum(0), classes)
    histograms = np.empty((len(tiles), BINS**3), np.float32)
    for row, tile in zip(histograms, tiles, strict=True):
        row[:] = np.bincount(colour_index(_rgb(tile.image)).ravel(), minlength=BINS**3)
    return histograms, labels


def _joint_histogram(tiles: Sequence[TileFiles], count: int, split: str) -> Array:
    """Count pixels by true class and colour, int64, (K, B): all that a colour table can see."""
    joint = np.zeros((count, BINS**3), np.int64)
    for tile in tiles:
        colour, truth = colour_index(_rgb(tile.image)), _read_mask(tile)
        if truth.shape != colour.shape:
            raise DataError(
                f'{tile.mask}: found a mask of {truth.shape[1]}x{truth.shape[0]} pixels, expected '
                f'{colour.shape[1]}x{colour.shape[0]} as its image'
            )
        counted = truth < count
        index = truth[counted].astype(np.int64) * BINS**3 + colour[counted]
        joint += np.bincount(index, minlength=joint.size).reshape(joint.shape)
    return _not_empty(joint, split)


def _confusion(joint: Array, answer: Array) -> Array:
    """Confusion matrix, int64, (K, K), of the classes ``answer`` gives to the colours."""
    matrix = np.zeros((len(joint),) * 2, np.int64)
    np.add.at(matrix.T, answer, joint.T)
    return matrix


def _not_empty(counts: Array, split: str) -> Array:
    if not counts.any():
        raise DataError(
            f'the {split} split holds no pixel of any class; expected tiles with dense masks of '
            f'values from 0 to {len(counts) - 1}'
        )
    return counts


def _normalised(table: Array) -> Array:
    return table / table.sum(1, keepdims=True)


def _check_classes(seen: Array, classes: Sequence[str]) -> None:
    for name, number in zip(classes, seen, strict=True):
        if not number:
            raise DataError(
                f'class {name} never occurs in the training split; expected at least one tile of '
                f'each class to learn its colours from'
            )


def _class_pixels(tiles: Sequence[TileFiles], count: int, split: str) -> Array:
    """Count the pixels of each class over the masks of a split, int64, (K,)."""
    pixels = np.zeros(count, np.int64)
    for tile in tiles:
        pixels += np.bincount(_read_mask(tile).ravel(), minlength=256)[:count]
    return _not_empty(pixels, split)


def _rgb(path: Path) -> Array:
    return decode_tile(path)[..., ::-1]


def _read_mask(tile: TileFiles) -> Array:
    if tile.mask is None:
        raise DataError(f'{tile.image}: has no mask; expected a dense mask to score against')
    return read_raw_mask(tile.mask)
