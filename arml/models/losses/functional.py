r"""The numbered equations of stage 2 as pure functions.

Sources: ARML (MICCAI 2024), eq. 4 (voting) and eqs. 5-8 (structure relation). Voting with the
same weights was first used by HAMIL (TMI 2023), the distance and angle potentials by RKD
(Park et al., CVPR 2019). All functions compute in float32 or better, also under autocast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from arml.models.losses.geometry import Relations, angle_terms, relations


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
    best = logits[:, 0]
    vote = torch.zeros(best.shape, dtype=small, device=logits.device)
    for index in range(1, classes):
        channel = logits[:, index]
        vote.masked_fill_(channel > best, index)
        best = torch.maximum(best, channel)
    return vote


def vote_weights(vote_b: Tensor, vote_c: Tensor, omega: float) -> Tensor:
    r"""Weight of every pixel by the peers' agreement (ARML eq. 4).

    .. math:: w = \omega \text{ where } b = c, \quad 1/\omega \text{ elsewhere}

    For infinite omega both weights are divided by omega: 1 where the peers agree, else 0.

    Args:
        vote_b: Class indices of one peer, integer, any shape.
        vote_c: Class indices of the other peer, same shape.
        omega: Weight without unit, in [1, inf].

    Returns:
        Weights, float32, the shape of the votes.

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
    agreed = (vote_b == vote_c).float()
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
    weights = vote_weights(vote_b, vote_c, omega)
    return pixel_cross_entropy(logits, target, ignore_index) * weights


def pixel_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int = 255) -> Tensor:
    """Cross entropy of each pixel in float32 or better, 0 on ignored ones.

    Args:
        logits: Scores before softmax, float, (N, K, H, W).
        target: int64 in [0, K) or ``ignore_index``, (N, H, W).
        ignore_index: Value of ``target`` that is left out.

    Returns:
        Loss per pixel, float32 or float64, (N, H, W).
    """
    with _full_precision(logits):
        return F.cross_entropy(
            at_least_float32(logits), target, ignore_index=ignore_index, reduction='none'
        )


def distance_relation(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Difference of all pairwise distances of two networks (ARML eqs. 5 and 6).

    .. math:: \frac{1}{B^2} \sum_{i,j} \mathrm{SmoothL1}\!\left(
              \frac{|s_i - s_j|}{\mu_s} - \frac{|t_i - t_j|}{\mu_t}\right)

    Each network's distances are divided by their own mean over the positive entries (as in RKD;
    not mentioned in the paper). Smooth L1 has beta 1. Pairs i = j contribute 0.

    Args:
        student: Samples of the trained network, float, (B, D), or T groups (T, B, D).
        teacher: Samples of its peer, same shape; no gradient flows.

    Returns:
        Scalar >= 0 (mean over groups), float32, or float64 for float64 samples.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample.
    """
    return structure_relation(student, teacher, alpha=1.0, beta=0.0)


def angle_relation(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Difference of all angles of triples of two networks (ARML eq. 7).

    .. math:: \frac{1}{B^3} \sum_{i,j,k} \mathrm{SmoothL1}\!\left(
              \cos\angle s_i s_j s_k - \cos\angle t_i t_j t_k\right)

    Smooth L1 has beta 1. Triples whose angle is undefined (i = j, k = j, or coinciding samples in
    either network) contribute 0 but are counted in B^3.

    Args:
        student: Samples of the trained network, float, (B, D), or T groups (T, B, D).
        teacher: Samples of its peer, same shape; no gradient flows.

    Returns:
        Scalar >= 0 (mean over groups), float32, or float64 for float64 samples.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample.
    """
    return structure_relation(student, teacher, alpha=0.0, beta=1.0)


def structure_relation(student: Tensor, teacher: Tensor, alpha: float, beta: float) -> Tensor:
    r"""Structure-wise relation of two networks (ARML eq. 8).

    .. math:: L_{st} = \alpha L_{dist} + \beta L_{ang}

    Args:
        student: Samples of the trained network, float, (B, D), or T groups (T, B, D).
        teacher: Samples of its peer, same shape; no gradient flows.
        alpha: Weight of :func:`distance_relation`, >= 0.
        beta: Weight of :func:`angle_relation`, >= 0.

    Returns:
        Scalar >= 0 (mean over groups), float32, or float64 for float64 samples.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample,
            or a weight is negative.
    """
    return mutual_structure_relation([student, teacher.detach()], alpha, beta)[0]


def mutual_structure_relation(samples: Sequence[Tensor], alpha: float, beta: float) -> list[Tensor]:
    """Structure relation of every network to the mean of its peers (ARML eq. 8, roles rotating).

    The geometry of a network is computed once, and as the relation's value is symmetric the
    triples of two networks are visited once for both directions.

    Args:
        samples: Samples of each network, float, all (B, D) or all (T, B, D).
        alpha: Weight of :func:`distance_relation`, >= 0.
        beta: Weight of :func:`angle_relation`, >= 0.

    Returns:
        One scalar per network, the mean of :func:`structure_relation` over its peers as teachers.
        A network's scalar has a gradient for its own samples only.

    Raises:
        ValueError: If the shapes differ or are not (B, D) or (T, B, D) with at least one sample,
            a weight is negative, or fewer than two networks are given.
    """
    _check_samples(samples)
    if alpha < 0 or beta < 0:
        raise ValueError(f'alpha and beta must not be negative, got {alpha} and {beta}')
    dtype = torch.promote_types(samples[0].dtype, torch.float32)
    with _full_precision(samples[0]):
        geometries = [relations(x if x.ndim == 3 else x.unsqueeze(0)) for x in samples]
        losses = [0.0 * geometry.distance.sum() for geometry in geometries]
        for first in range(len(samples)):
            for second in range(first + 1, len(samples)):
                to_first, to_second = _pair_losses(
                    geometries[first], geometries[second], alpha, beta
                )
                losses[first] = losses[first] + to_first
                losses[second] = losses[second] + to_second
        return [(loss / (len(samples) - 1)).to(dtype) for loss in losses]


def point_relation(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Point-wise relation: distance of the class probabilities (the paper's L_pt, Table 4).

    .. math:: \frac{1}{n} \sum_i \lVert \mathrm{softmax}(s_i) - \mathrm{softmax}(t_i) \rVert_2

    The softmax and the norm run over the class axis, axis 1.

    Args:
        student: Logits of the trained network, float, (n, K) or (N, K, H, W).
        teacher: Logits of its peer, same shape; no gradient flows.

    Returns:
        Scalar in [0, sqrt 2], float32, or float64 for float64 logits. Where both sides are equal
        the gradient is 0.

    Raises:
        ValueError: If the shapes differ or have no class axis.
    """
    if student.shape != teacher.shape or student.ndim < 2:
        raise ValueError(
            'student and teacher must have one shape, (n, K) or (N, K, H, W), got '
            f'{tuple(student.shape)} and {tuple(teacher.shape)}'
        )
    with _full_precision(student):
        own = at_least_float32(student).softmax(1)
        other = at_least_float32(teacher.detach()).softmax(1)
        return torch.linalg.vector_norm(own - other, dim=1).mean()


def _pair_losses(
    first: Relations, second: Relations, alpha: float, beta: float
) -> tuple[Tensor, Tensor]:
    """Weighted relation of two networks, once with each of them as student."""
    zero = first.distance.new_zeros(())
    to_first, to_second = zero, zero
    if alpha:
        to_first = alpha * F.smooth_l1_loss(first.distance, second.distance.detach())
        to_second = alpha * F.smooth_l1_loss(second.distance, first.distance.detach())
    if beta:
        angle_first, angle_second = angle_terms(first, second)
        to_first = to_first + beta * angle_first
        to_second = to_second + beta * angle_second
    return to_first, to_second


def _check_samples(samples: Sequence[Tensor]) -> None:
    shapes = [tuple(x.shape) for x in samples]
    if len(shapes) < 2:
        raise ValueError(f'a relation needs at least two networks, got {len(shapes)}')
    if len(set(shapes)) > 1 or len(shapes[0]) not in (2, 3) or 0 in shapes[0]:
        raise ValueError(
            'samples must have one shape, (B, D) or (T, B, D) with at least one sample, got '
            + ' and '.join(map(str, shapes))
        )


def _full_precision(tensor: Tensor) -> torch.autocast:
    """Autocast switched off: products of half precision would swamp small differences."""
    return torch.autocast(tensor.device.type, enabled=False)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision widened to float32; float32 and float64 as they are."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
