r"""The mathematics of online easy example mining (OEEM).

Source: Li et al., "Online Easy Example Mining for Weakly-supervised Gland Segmentation from Histology
Images" (MICCAI 2022) and the authors' released code (xmed-lab/OEEM), of which nothing is copied. What the
two leave open is in ``docs/methods/oeem.md``. All functions compute in float32 or better, also under autocast.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arml.models.losses.functional import at_least_float32, full_precision, pixel_cross_entropy


def at_most_one_class(target: Tensor, ignore_index: int = 255) -> Tensor:
    """Which masks name at most one class, so that no pixel is easier than another by its class.

    Args:
        target: Masks, int64 >= 0, (N, H, W).
        ignore_index: Value of ``target`` that is no class.

    Returns:
        bool, (N,); True also for a mask that is ignored throughout.
    """
    ignored = target == ignore_index
    lowest = target.masked_fill(ignored, torch.iinfo(target.dtype).max).flatten(1).amin(1)
    highest = target.masked_fill(ignored, -1).flatten(1).amax(1)
    return lowest >= highest


def easy_example_weights(losses: Tensor, counted: Tensor, temperature: float = 1.0) -> Tensor:
    r"""Weights of an image's pixels that favour those of small loss.

    .. math:: w_u = \frac{s_u}{\frac{1}{n} \sum_v s_v} = n\, s_u, \qquad
              s_u = \frac{e^{-\ell_u / T}}{\sum_v e^{-\ell_v / T}}

    u and v run over the n counted pixels of one image, each image on its own. The mean of an image's
    weights is 1, so the loss keeps its scale.

    Args:
        losses: Loss of each pixel, float, (N, H, W).
        counted: Pixels that take part, bool, (N, H, W).
        temperature: T in the unit of the loss (nats), > 0. Towards infinity all weights become 1, towards
            0 the easiest pixel alone counts.

    Returns:
        float32 (float64 for float64 losses), (N, H, W), no gradient; in [0, n], 0 where not counted.

    Raises:
        ValueError: If ``temperature`` is not above 0 or the shapes differ.
    """
    if not temperature > 0:
        raise ValueError(f'temperature must be above 0, got {temperature}')
    if losses.shape != counted.shape or losses.ndim != 3:
        raise ValueError(
            f'losses and counted must both be (N, H, W), got {tuple(losses.shape)} and '
            f'{tuple(counted.shape)}'
        )
    kept = counted.flatten(1)
    with full_precision(losses):
        easiness = -at_least_float32(losses.detach()).flatten(1) / temperature
        # Finite, so that an image without a counted pixel gives no 0 / 0.
        easiness = easiness.masked_fill(~kept, torch.finfo(easiness.dtype).min)
        weights = easiness.softmax(1) * kept.sum(1, keepdim=True)
    return weights.masked_fill(~kept, 0.0).view_as(losses)


def easy_example_loss(
    logits: Tensor,
    target: Tensor,
    temperature: float = 1.0,
    ignored_in_weights: bool = False,
    ignore_index: int = 255,
) -> Tensor:
    r"""Cross entropy whose pixels weigh the more, the smaller their loss is.

    .. math:: L = \frac{1}{n} \sum_{i,u} w_{iu}\, \ell_{iu}, \qquad
              \ell_{iu} = \mathrm{CE}(z_{iu}, m_{iu})

    w are the weights of :func:`easy_example_weights`, constants for the gradient, and 1 in an image i whose
    mask has at most one class. n are the counted pixels of the whole batch, as of every other loss here: an
    image counts by its pixels, not by its number.

    Args:
        logits: Scores before softmax, float, (N, K, H, W).
        target: Pseudo mask, int64 in [0, K) or ``ignore_index``, (N, H, W).
        temperature: T of the weights, > 0.
        ignored_in_weights: Whether ignored pixels take part, with a loss of 0, in the softmax, in its mean
            and in n, as in the released code: they then take the largest weights from the others.
            Otherwise they are not counted anywhere.
        ignore_index: Value of ``target`` that is left out.

    Returns:
        Scalar >= 0, float32 or float64; 0 without a counted pixel.

    Raises:
        ValueError: If ``temperature`` is not above 0 or the shapes disagree.
    """
    if logits.ndim != 4 or tuple(target.shape) != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f'logits must be (N, K, H, W) and target (N, H, W), got {tuple(logits.shape)} and '
            f'{tuple(target.shape)}'
        )
    losses = pixel_cross_entropy(logits, target, ignore_index)
    counted = target != ignore_index
    if ignored_in_weights:
        counted = torch.ones_like(counted)
    weights = easy_example_weights(losses, counted, temperature)
    plain = at_most_one_class(target, ignore_index)
    weights = weights.masked_fill(plain[:, None, None], 1.0)
    return (weights * losses).sum() / counted.sum().clamp(min=1)
