"""Confusion matrices and the scores read from them: pure functions, no state, no data set.

Every score of the project is computed here and nowhere else. ``docs/metrics.md``
states the two protocols in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

Array = np.ndarray | torch.Tensor

PROTOCOLS = ('A', 'B')


def _as_numpy(labels: Array) -> np.ndarray:
    array = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else labels
    array = np.asarray(array)
    if array.dtype.kind not in 'iub':
        raise ValueError(f'labels must be integers, found dtype {array.dtype}')
    return array


def confusion_matrix(
    prediction: Array, truth: Array, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    r"""Count pixels by true and predicted class.

    .. math:: M_{tp} = |\{ij : \mathrm{truth}_{ij} = t,\ \mathrm{prediction}_{ij} = p\}|

    Args:
        prediction: Predicted labels, integer, any shape, in [0, num_classes) wherever the
            truth is counted (its values at ignored pixels are never looked at).
        truth: True labels, integer, the shape of ``prediction``, in [0, num_classes) or
            ``ignore_index``.
        num_classes: Number of classes C, at least 1.
        ignore_index: True label of the pixels that are left out.

    Returns:
        The matrix M, int64, (C, C): rows are the truth, columns the prediction.

    Raises:
        ValueError: If the shapes disagree, labels are not integers, or a label is out of range.
    """
    prediction, truth = _as_numpy(prediction), _as_numpy(truth)
    if prediction.shape != truth.shape:
        raise ValueError(
            f'prediction and truth differ in shape: {prediction.shape} and {truth.shape}'
        )
    counted = truth != ignore_index
    true, predicted = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    for name, labels in (('truth', true), ('prediction', predicted)):
        if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
            raise ValueError(
                f'{name} holds labels from {labels.min()} to {labels.max()}, '
                f'expected 0 to {num_classes - 1}'
            )
    counts = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, as fractions in [0, 1] at full precision.

    Attributes:
        iou: Intersection over union per scored class, float64; NaN where the class occurs
            neither in the truth nor in the prediction.
        dice: Dice coefficient per scored class, float64; NaN as above.
        miou: Mean of ``iou`` without the NaNs.
        mdice: Mean of ``dice`` without the NaNs.
        acc: Share of pixels that are right, over all classes of the matrix.
        fwiou: IoU weighted by the true frequency of each class, over all classes of the matrix.
    """

    iou: np.ndarray
    dice: np.ndarray
    miou: float
    mdice: float
    acc: float
    fwiou: float


def scores(matrix: np.ndarray, num_scored: int | None = None) -> Scores:
    r"""Scores of a confusion matrix.

    .. math::
        \mathrm{IoU}_c = \frac{M_{cc}}{r_c + p_c - M_{cc}},\quad
        \mathrm{Dice}_c = \frac{2 M_{cc}}{r_c + p_c},\quad
        \mathrm{ACC} = \frac{\sum_c M_{cc}}{\sum_{tp} M_{tp}},\quad
        \mathrm{FwIoU} = \sum_c \frac{r_c}{\sum_{tp} M_{tp}} \mathrm{IoU}_c

    with :math:`r_c` the sum of row c (truth) and :math:`p_c` that of column c (prediction).
    The means run over the classes that occur in the truth or in the prediction: a class that
    is in neither has no score (NaN) and is left out; a class that is only predicted scores 0.

    Args:
        matrix: Confusion matrix, integer, (C, C), rows truth, columns prediction, not empty.
        num_scored: Only the first ``num_scored`` classes are listed and enter the two means;
            ACC and FwIoU always run over the whole matrix. ``None``: all C.

    Returns:
        The scores.

    Raises:
        ValueError: If the matrix is not square, counts no pixel, or ``num_scored`` is not in
            [1, C].
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f'a confusion matrix is square, found shape {matrix.shape}')
    total = matrix.sum()
    if total == 0:
        raise ValueError('the confusion matrix counts no pixel: there is nothing to score')
    num_scored = len(matrix) if num_scored is None else num_scored
    if not 1 <= num_scored <= len(matrix):
        raise ValueError(f'num_scored must be in [1, {len(matrix)}], found {num_scored}')
    right = np.diag(matrix).astype(np.float64)
    rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid='ignore'):
        iou = right / (rows + columns - right)
        dice = 2 * right / (rows + columns)
    frequency = rows / total
    scored_iou, scored_dice = iou[:num_scored], dice[:num_scored]
    occurs = ~np.isnan(scored_iou)
    return Scores(
        iou=scored_iou,
        dice=scored_dice,
        miou=float(scored_iou[occurs].mean()) if occurs.any() else float('nan'),
        mdice=float(scored_dice[occurs].mean()) if occurs.any() else float('nan'),
        acc=float(right.sum() / total),
        fwiou=float((frequency * np.nan_to_num(iou)).sum()),
    )


def protocol_metrics(matrix: np.ndarray, classes: Sequence[str], protocol: str) -> dict[str, float]:
    """Flat scores in percent of a confusion matrix under one protocol (``docs/metrics.md``).

    Protocol A drops the pixels whose truth is background; background predicted on tissue is
    then a miss of that tissue. Protocol B keeps every pixel; tissue predicted on background
    is a false positive of that tissue.

    Args:
        matrix: Confusion matrix, integer: (K, K), or (K + 1, K + 1) with background last.
        classes: Names of the K tissue classes.
        protocol: ``'A'`` or ``'B'``.

    Returns:
        ``mIoU, mDice, ACC, FwIoU, IoU.<class>, Dice.<class>``; protocol B puts ``B.`` before
        each name. Percent, not rounded; NaN for a class that does not occur.

    Raises:
        ValueError: If the protocol is unknown, the matrix has another size, or protocol B is
            asked of a matrix without background.
    """
    num_classes = len(classes)
    if protocol not in PROTOCOLS:
        raise ValueError(f'protocol must be one of {PROTOCOLS}, found {protocol!r}')
    matrix = np.array(matrix)
    if matrix.shape not in ((num_classes,) * 2, (num_classes + 1,) * 2):
        raise ValueError(
            f'{num_classes} classes need a {num_classes}x{num_classes} matrix, or one row and '
            f'column more for background; found shape {matrix.shape}'
        )
    if protocol == 'B' and len(matrix) == num_classes:
        raise ValueError('protocol B needs a matrix with a row and a column for background')
    if protocol == 'A':
        matrix[num_classes:] = 0
    result = scores(matrix, num_scored=num_classes)
    prefix = 'B.' if protocol == 'B' else ''
    means = {'mIoU': result.miou, 'mDice': result.mdice, 'ACC': result.acc, 'FwIoU': result.fwiou}
    flat = {f'{prefix}{name}': 100 * value for name, value in means.items()}
    for name, values in (('IoU', result.iou), ('Dice', result.dice)):
        for label, value in zip(classes, values, strict=True):
            flat[f'{prefix}{name}.{label}'] = 100 * float(value)
    return flat
