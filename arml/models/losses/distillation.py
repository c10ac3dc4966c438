r"""Relations of Table 4 that compare class probabilities or similarities of images.

Sources: KL is Hinton's distillation; CRL is Cascaded Robust Learning (Xue et al., MICCAI 2020), of
which ARML does not say what was run, so both candidates of its authors' code are here; L_pt is
ARML's point-wise relation. "Released" marks what the authors' code computes where it differs from
the paper. All functions compute in float32 or better, also under autocast. Logits must be finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from arml.models.losses.geometry import gram
from arml.models.losses.mutual import Relation, Roles, relate
from arml.models.losses.precision import at_least_float32

#: The temperature of the authors' calls.
TEMPERATURE = 30.0
KL_AXES = ('class', 'pixel')
RELEASED_POINT_AXES = ('pixel', 'batch')


def kl_relation(
    student: Tensor,
    teacher: Tensor,
    temperature: float,
    axis: str = 'class',
    teacher_gradient: bool = False,
) -> Tensor:
    r"""Divergence of softened probabilities (Hinton et al., 2015; row KL of ARML's Table 4).

    .. math:: \frac{T^2}{n} \sum_{i,k} p_{ik} \log\frac{p_{ik}}{q_{ik}}, \quad
              p = \mathrm{softmax}(t/T),\ q = \mathrm{softmax}(s/T)

    over the n pixels i of the whole batch and the K classes k.

    Args:
        student: Logits of the trained network, float, (n, K) or (N, K, H, W).
        teacher: Logits of its peer, same shape.
        temperature: T, without unit, > 0.
        axis: Axis of the softmax: ``'class'``, or ``'pixel'`` (the authors' code): all pixels of
            the batch, for each class by itself. Both are divided by the number of pixels, so that
            ``'pixel'``, whose K sums over pixels are of the size of one divergence each, shrinks
            with the size of the batch.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar >= 0, float32, or float64 for float64 logits.

    Raises:
        ValueError: If the shapes differ or have no class axis, the temperature is not a positive
            number, or the axis is unknown.
    """
    return relate(kl(temperature, axis), student, teacher, teacher_gradient)


def joint_relation(
    student: Tensor,
    peers: Sequence[Tensor],
    temperature: float = TEMPERATURE,
    axis: str = 'class',
    teacher_gradient: bool = False,
) -> Tensor:
    r"""Divergence from the mean of the peers (CRL's "joint optimisation", first reading).

    .. math:: \mathrm{KL}_T\!\left(\tfrac{1}{2}(z_b + z_c) \,\|\, z_a\right)

    The teacher is the mean of the peers' logits, not of their probabilities.

    Args:
        student: Logits of the trained network, float, (n, K) or (N, K, H, W).
        peers: Logits of one or more peers, each of the same shape.
        temperature: T of :func:`kl_relation`, without unit, > 0.
        axis: As in :func:`kl_relation`.
        teacher_gradient: Whether gradient flows into the peers too.

    Returns:
        Scalar >= 0, float32, or float64 for float64 logits.

    Raises:
        ValueError: If there is no peer, the peers' shapes differ, or as in :func:`kl_relation`.
    """
    return kl_relation(student, mean_logits(peers), temperature, axis, teacher_gradient)


def mutual_joint_relation(
    logits: Sequence[Tensor], temperature: float, axis: str, roles: Roles
) -> list[Tensor]:
    """Joint relation of every main network and the mean of its peers.

    Args:
        logits: Logits of each network, float, all (n, K) or all (N, K, H, W).
        temperature: T of :func:`kl_relation`, without unit, > 0.
        axis: As in :func:`kl_relation`.
        roles: Who teaches whom. With ``'to_peers'`` the main network teaches the mean of its
            peers.

    Returns:
        One scalar per main network, float32, or float64 for float64 logits.

    Raises:
        ValueError: As in :func:`joint_relation`.
    """
    losses = []
    for main in roles.mains:
        student, teacher = logits[main], mean_logits([logits[i] for i in roles.peers(main)])
        if roles.direction == 'to_peers':
            student, teacher = teacher, student
        losses.append(kl_relation(student, teacher, temperature, axis, roles.teacher_gradient))
    return losses


def mean_logits(peers: Sequence[Tensor]) -> Tensor:
    """Mean of logits of one shape, float32 or better.

    Args:
        peers: One or more, float, any shape.

    Returns:
        Float32, or float64 if there is one, that shape.

    Raises:
        ValueError: If there is none, or the shapes differ.
    """
    shapes = {tuple(x.shape) for x in peers}
    if len(shapes) != 1:
        raise ValueError(
            'the mean needs peers of one shape, got '
            + (' and '.join(map(str, sorted(shapes))) or 'none')
        )
    return sum(at_least_float32(x) for x in peers) / len(peers)


def correlation_relation(
    student: Tensor, teacher: Tensor, teacher_gradient: bool = False
) -> Tensor:
    r"""Difference of the images' similarities (CRL, second reading; the authors' Gram loss).

    .. math:: \frac{1}{B^2} \lVert G(s) - G(t) \rVert_F^2, \quad
              G(z) = \frac{F F^\top}{\lVert F F^\top \rVert_F}

    F holds the whole logit tensor of an image in each row. G is 0 where all logits are 0.

    Args:
        student: Logits of the trained network, float, (B, D) or (B, K, H, W).
        teacher: Logits of its peer, same shape.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar in [0, 2 / B^2], float32, or float64 for float64 logits.

    Raises:
        ValueError: If the shapes differ or are not one row per image.
    """
    return relate(correlation(), student, teacher, teacher_gradient)


def point_relation(student: Tensor, teacher: Tensor, teacher_gradient: bool = False) -> Tensor:
    r"""Point-wise relation: distance of the class probabilities (the paper's L_pt, Table 4).

    .. math:: \frac{1}{n} \sum_i \lVert \mathrm{softmax}(s_i) - \mathrm{softmax}(t_i) \rVert_2

    The softmax and the norm run over the class axis, axis 1.

    Args:
        student: Logits of the trained network, float, (n, K) or (N, K, H, W).
        teacher: Logits of its peer, same shape.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar in [0, sqrt 2], float32, or float64 for float64 logits. Where both sides are equal
        the gradient is 0.

    Raises:
        ValueError: If the shapes differ or have no class axis.
    """
    return relate(point(), student, teacher, teacher_gradient)


def released_point_relation(
    student: Tensor, teacher: Tensor, axis: str = 'pixel', teacher_gradient: bool = False
) -> Tensor:
    r"""Point-wise relation of the authors' code: squared difference, softmax never over classes.

    .. math:: \frac{1}{n K} \sum_{i,k}
              \bigl(\mathrm{softmax}(s)_{ik} - \mathrm{softmax}(t)_{ik}\bigr)^2

    Args:
        student: Logits of the trained network, float, (n, K) or (N, K, H, W).
        teacher: Logits of its peer, same shape.
        axis: Axis of the softmax: ``'pixel'``, all n pixels of the batch for each class by itself
            (logits reshaped to (n, K), as in the authors' history), or ``'batch'``, the N images
            for each class and position by itself (logits as they are).
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar >= 0, float32, or float64 for float64 logits.

    Raises:
        ValueError: If the shapes differ or have no class axis, or the axis is unknown.
    """
    return relate(released_point(axis), student, teacher, teacher_gradient)


def kl(temperature: float, axis: str = 'class') -> Relation:
    """:func:`kl_relation` for several networks, same arguments and errors."""
    if not 0 < temperature < math.inf:
        raise ValueError(f'temperature must be a positive number, got {temperature}')
    if axis not in KL_AXES:
        raise ValueError(f'axis must be one of {", ".join(KL_AXES)}, got {axis!r}')

    def embed(logits: Tensor) -> Tensor:
        _check_classes(logits)
        softened = at_least_float32(logits) / temperature
        if axis == 'class':
            return softened.log_softmax(1)
        return _pixels_last(softened).log_softmax(1)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        # Classes are axis 1 of the one layout and axis 0 of the other.
        classes = student.shape[1 if axis == 'class' else 0]
        pixels = max(1, student.numel() // classes)
        return _divergence(student, teacher) * (temperature**2 / pixels)

    return Relation(embed, difference)


def correlation() -> Relation:
    """:func:`correlation_relation` for several networks."""

    def embed(logits: Tensor) -> Tensor:
        if logits.ndim < 2 or 0 in logits.shape:
            raise ValueError(
                'student and teacher must be (B, D) or (B, K, H, W) with at least one image, got '
                f'{tuple(logits.shape)}'
            )
        product = gram(at_least_float32(logits).flatten(1).unsqueeze(0), centred=False)
        norm = torch.linalg.vector_norm(product)
        return product / torch.where(norm > 0, norm, 1.0)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(student, teacher)

    return Relation(embed, difference)


def point() -> Relation:
    """:func:`point_relation` for several networks."""

    def embed(logits: Tensor) -> Tensor:
        _check_classes(logits)
        return at_least_float32(logits).softmax(1)

    def difference(student: Tensor, teacher: Tensor) -> Tensor:
        squared = (student - teacher).square().sum(1)
        differs = squared > 0
        # The square root is taken of 1 where both are equal: its slope at 0 is infinite.
        return (torch.where(differs, squared, 1.0).sqrt() * differs).mean()

    return Relation(embed, difference)


def released_point(axis: str = 'pixel') -> Relation:
    """:func:`released_point_relation` for several networks, same argument and error."""
    if axis not in RELEASED_POINT_AXES:
        raise ValueError(f'axis must be one of {", ".join(RELEASED_POINT_AXES)}, got {axis!r}')

    def embed(logits: Tensor) -> Tensor:
        _check_classes(logits)
        wide = at_least_float32(logits)
        return wide.softmax(0) if axis == 'batch' else _pixels_last(wide).softmax(1)

    return Relation(embed, F.mse_loss)


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Sum of p log(p / q) of log-probabilities: log q of the student, log p of the teacher.

    As p and q have the same sum, q - p may be added to each term. Then every term is >= 0 and of
    second order, where the plain sum cancels: near-equal networks at T = 30 would lose all digits.
    """
    ratio = student - teacher
    own = teacher.exp()
    # q - p = p (q / p - 1), which overflows for a large ratio and cancels for a small one.
    excess = torch.where(ratio < 1, own * torch.expm1(ratio.clamp(max=1)), student.exp() - own)
    return (excess - own * ratio).sum()


def _pixels_last(logits: Tensor) -> Tensor:
    """(n, K) or (N, K, H, W) as (K, pixels)."""
    return logits.transpose(0, 1).flatten(1)


def _check_classes(logits: Tensor) -> None:
    if logits.ndim < 2 or 0 in logits.shape:
        raise ValueError(
            'student and teacher must be (n, K) or (N, K, H, W) with at least one pixel, got '
            f'{tuple(logits.shape)}'
        )
