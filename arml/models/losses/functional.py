r"""The numbered equations of stage 2 as pure functions.

Sources: ARML (MICCAI 2024), eq. 4 (voting) and eqs. 5-8 (structure relation). Voting with the
same weights was first used by HAMIL (TMI 2023), the distance and angle potentials by RKD
(Park et al., CVPR 2019). The other relations of Table 4 are in ``distillation`` and can be
imported from here too. All functions compute in float32 or better, also under autocast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from arml.models.losses.distillation import (
    correlation_relation,
    joint_relation,
    kl_relation,
    point_relation,
    released_point_relation,
)
from arml.models.losses.geometry import Relations, angle_terms, relations
from arml.models.losses.mutual import Roles
from arml.models.losses.precision import at_least_float32, full_precision, result_dtype

__all__ = [
    'angle_relation',
    'at_least_float32',
    'correlation_relation',
    'distance_relation',
    'hard_vote',
    'joint_relation',
    'kl_relation',
    'mutual_structure_relation',
    'pixel_cross_entropy',
    'point_relation',
    'released_point_relation',
    'structure_relation',
    'vote_weights',
    'weighted_voting',
]


def hard_vote(logits: Tensor) -> Tensor:
    """Most probable class of every pixel, ties to the lowest class.

    Equal to ``logits.argmax(1)``. On a CPU that reduction over a strided axis is several times
    slower than comparing the channels one after the other, which is what is done there.

    Args:
        logits: Scores before softmax, float, (N, K, H, W).

    Returns:
        Class indices, (N, H, W), uint8 up to 256 classes, else int64; no gradient.
    """
    logits = logits.detach()
    classes = logits.shape[1]
    small = torch.uint8 if classes <= 256 else torch.int64
    if logits.device.type != 'cpu' or classes > 16:
        return logits.argmax(1).to(small)
    best, *others = logits.unbind(1)
    vote = torch.zeros(best.shape, dtype=small, device=logits.device)
    for index, channel in enumerate(others, 1):
        # The index grows, so the larger one is the later; much faster than filling through a mask.
        vote = torch.maximum(vote, (channel > best).view(small).mul_(index))
        best = torch.maximum(best, channel)
    return vote


def vote_weights(
    vote_b: Tensor, vote_c: Tensor, omega: float, dtype: torch.dtype = torch.float32
) -> Tensor:
    r"""Weight of every pixel by the peers' agreement (ARML eq. 4).

    .. math:: w = \omega \text{ where } b = c, \quad 1/\omega \text{ elsewhere}

    For infinite omega both weights are divided by omega: 1 where the peers agree, else 0.

    Args:
        vote_b: Class indices of one peer, integer, any shape.
        vote_c: Class indices of the other peer, same shape.
        omega: Weight without unit, in [1, inf].
        dtype: Of the weights, float32 or float64.

    Returns:
        Weights, the shape of the votes.

    Raises:
        ValueError: If ``omega`` is below 1 or not a number, or the shapes of the votes differ.
    """
    if not omega >= 1:
        raise ValueError(
            f'omega must be at least 1 (inf leaves out disagreeing pixels), got {omega}'
        )
    if vote_b.shape != vote_c.shape:
        raise ValueError(
            f'votes of the peers must have one shape, got {tuple(vote_b.shape)} and '
            f'{tuple(vote_c.shape)}'
        )
    agreed = (vote_b == vote_c).to(dtype)
    if math.isinf(omega):
        return agreed
    return agreed.mul_(omega - 1 / omega).add_(1 / omega)


def weighted_voting(
    logits: Tensor,
    target: Tensor,
    vote_b: Tensor,
    vote_c: Tensor,
    omega: float,
    ignore_index: int = 255,
) -> Tensor:
    r"""Cross entropy of each pixel weighted by the vote of the two peers (ARML eq. 4).

    .. math:: \ell_{ij} = w_{ij}\,\mathrm{CE}(P_a, M)_{ij}, \quad
              w_{ij} = \omega \text{ if } b_{ij} = c_{ij} \text{ else } 1/\omega

    Args:
        logits: Scores of the supervised network before softmax, float, (N, K, H, W).
        target: Pseudo mask, int64 in [0, K) or ``ignore_index``, (N, H, W).
        vote_b: Class indices of one peer, integer in [0, K), (N, H, W); no gradient flows.
        vote_c: Class indices of the other peer, integer in [0, K), (N, H, W); no gradient flows.
        omega: Weight without unit, in [1, inf]. Infinity (config word ``'drop'``) gives weight 1
            to agreeing and 0 to disagreeing pixels.
        ignore_index: Value of ``target`` that is left out.

    Returns:
        Weighted loss per pixel, float32 (float64 for float64 logits), (N, H, W); 0 where
        ``target == ignore_index``.

    Raises:
        ValueError: If ``omega`` is below 1 or not a number, or if the shapes disagree.

    Note:
        The paper sums over pixels; the sum or mean is left to the caller.
    """
    expected = (logits.shape[0], *logits.shape[2:])
    for name, value in (('target', target), ('vote_b', vote_b), ('vote_c', vote_c)):
        if logits.ndim != 4 or tuple(value.shape) != expected:
            raise ValueError(
                f'logits must be (N, K, H, W) and {name} (N, H, W), got {tuple(logits.shape)} and '
                f'{tuple(value.shape)}'
            )
    losses = pixel_cross_entropy(logits, target, ignore_index)
    return losses * vote_weights(vote_b, vote_c, omega, losses.dtype)


def pixel_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
    """Cross entropy of each pixel in float32 or better, 0 on ignored ones.

    Args:
        logits: Scores before softmax, float, (N, K, H, W).
        target: int64 in [0, K) or ``ignore_index``, (N, H, W).
        ignore_index: Value of ``target`` that is left out.

    Returns:
        Loss per pixel, float32 or float64, (N, H, W).
    """
    with full_precision(logits):
        return F.cross_entropy(
            at_least_float32(logits), target, ignore_index=ignore_index, reduction='none'
        )


def distance_relation(student: Tensor, teacher: Tensor, teacher_gradient: bool = False) -> Tensor:
    r"""Difference of all pairwise distances of two networks (ARML eqs. 5 and 6).

    .. math:: \frac{1}{B^2} \sum_{i,j} \mathrm{SmoothL1}\!\left(
              \frac{|s_i - s_j|}{\mu_s} - \frac{|t_i - t_j|}{\mu_t}\right)

    Each network's distances are divided by their own mean over the positive entries (as in RKD;
    not mentioned in the paper). Smooth L1 has beta 1. Pairs i = j contribute 0.

    Args:
        student: Samples of the trained network, float, (B, D), or T groups (T, B, D).
        teacher: Samples of its peer, same shape.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar >= 0 (mean over groups), float32, or float64 for float64 samples.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample.
    """
    return structure_relation(student, teacher, 1.0, 0.0, teacher_gradient)


def angle_relation(student: Tensor, teacher: Tensor, teacher_gradient: bool = False) -> Tensor:
    r"""Difference of all angles of triples of two networks (ARML eq. 7).

    .. math:: \frac{1}{B^3} \sum_{i,j,k} \mathrm{SmoothL1}\!\left(
              \cos\angle s_i s_j s_k - \cos\angle t_i t_j t_k\right)

    Smooth L1 has beta 1. Triples whose angle is undefined (i = j, k = j, or coinciding samples in
    either network) contribute 0 but are counted in B^3.

    Args:
        student: Samples of the trained network, float, (B, D), or T groups (T, B, D).
        teacher: Samples of its peer, same shape.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar in [0, 1.5] (mean over groups), float32, or float64 for float64 samples.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample.
    """
    return structure_relation(student, teacher, 0.0, 1.0, teacher_gradient)


def structure_relation(
    student: Tensor, teacher: Tensor, alpha: float, beta: float, teacher_gradient: bool = False
) -> Tensor:
    r"""Structure-wise relation of two networks (ARML eq. 8).

    .. math:: L_{st} = \alpha L_{dist} + \beta L_{ang}

    Args:
        student: Samples of the trained network, float, (B, D), or T groups (T, B, D).
        teacher: Samples of its peer, same shape.
        alpha: Weight of :func:`distance_relation`, >= 0.
        beta: Weight of :func:`angle_relation`, >= 0.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar >= 0 (mean over groups), float32, or float64 for float64 samples.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample,
            or a weight is negative.
    """
    roles = Roles(2, mains=(0,), teacher_gradient=teacher_gradient)
    return mutual_structure_relation([student, teacher], alpha, beta, roles)[0]


def mutual_structure_relation(
    samples: Sequence[Tensor], alpha: float, beta: float, roles: Roles | None = None
) -> list[Tensor]:
    """Structure relation of every main network to its peers (ARML eq. 8, roles rotating).

    The geometry of a network is computed once, and as the relation's value is symmetric the
    triples of two networks are visited once, whichever of them is the student.

    Args:
        samples: Samples of each network, float, all (B, D) or all (T, B, D).
        alpha: Weight of :func:`distance_relation`, >= 0.
        beta: Weight of :func:`angle_relation`, >= 0.
        roles: Who teaches whom; if None every network is main, taught by its peers.

    Returns:
        One scalar per main network, the mean of :func:`structure_relation` over its peers. It has
        a gradient for its students only, unless the roles want one for teachers too.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample,
            a weight is negative, or fewer than two networks are given.
    """
    roles = roles or Roles(len(samples))
    _check_samples(samples)
    if not (alpha >= 0 and beta >= 0):
        raise ValueError(f'alpha and beta must not be negative, got {alpha} and {beta}')
    with full_precision(samples[0]):
        geometries = [
            relations(x if x.ndim == 3 else x.unsqueeze(0)) for x in roles.detach(samples)
        ]
        losses = {}
        for i, j in roles.pairs:
            losses[i, j], losses[j, i] = _pair_losses(geometries[i], geometries[j], alpha, beta)

        def between(student: int, teacher: int) -> Tensor:
            loss = losses[student, teacher]
            if roles.teacher_gradient:
                # The same value once more, for the gradient of the other side.
                other = losses[teacher, student]
                loss = loss + (other - other.detach())
            return loss

        return [loss.to(result_dtype(samples[0])) for loss in roles.mean(between)]


def _pair_losses(
    first: Relations, second: Relations, alpha: float, beta: float
) -> tuple[Tensor, Tensor]:
    """Weighted relation of two networks, once with each of them as student."""
    # Without any weight the losses still have a gradient: 0.
    to_first, to_second = 0.0 * first.distance.sum(), 0.0 * second.distance.sum()
    if alpha:
        to_first = to_first + alpha * F.smooth_l1_loss(first.distance, second.distance.detach())
        to_second = to_second + alpha * F.smooth_l1_loss(second.distance, first.distance.detach())
    if beta:
        angle_first, angle_second = angle_terms(first, second)
        to_first = to_first + beta * angle_first
        to_second = to_second + beta * angle_second
    return to_first, to_second


def _check_samples(samples: Sequence[Tensor]) -> None:
    shapes = [tuple(x.shape) for x in samples]
    if len(set(shapes)) > 1 or len(shapes[0]) not in (2, 3) or 0 in shapes[0]:
        raise ValueError(
            'samples must have one shape, (B, D) or (T, B, D) with at least one sample, got '
            + ' and '.join(map(str, shapes))
        )
