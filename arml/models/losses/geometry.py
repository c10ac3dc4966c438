"""Distances and angles between the samples of one network, computed once and shared.

The structure relation (ARML eqs. 5-8) compares all pairs and all triples of
samples. Written out it needs every difference vector x_i - x_j, B x B x D numbers.
Two ways around that, chosen by D:

* Few dimensions (pixels, D = classes): the difference vectors are small, and one matrix
  product gives the differences of two networks' B^3 cosines.
* Many dimensions (whole images): everything follows from the B x B Gram matrix
  of the centred samples, <x_i - x_j, x_k - x_j> = G_ik - G_ij - G_kj + G_jj.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from arml.models.losses.precision import at_least_float32, full_precision

#: Up to this many dimensions difference vectors are written out.
FEW_DIMENSIONS = 16
#: Length of the float32 dot products that are summed in float64 (Gram matrix).
BLOCK = 2048
#: Cosines of one piece of work on a CPU; 1 MB of float32 stays in the cache.
PIECE = 2**18


class Relations(NamedTuple):
    """Pairwise geometry of T groups of B samples.

    Attributes:
        distance: Distance over the group's mean positive distance, float64, (T, B, B).
        distinct: Whether two samples differ, bool, (T, B, B).
        directions: Unit vectors, ``[t, j, :, i] = (x_i - x_j) / |x_i - x_j|``, 0 where the samples
            coincide, (T, B, D, B); None for many dimensions.
        cosines: Cosine at sample j of the triple i, j, k, ``[t, j, i, k]``, float64, (T, B, B, B);
            None for few dimensions.
    """

    distance: Tensor
    distinct: Tensor
    directions: Tensor | None
    cosines: Tensor | None


def relations(samples: Tensor) -> Relations:
    """Distances and angles between samples, differentiable.

    Args:
        samples: float16, bfloat16, float32 or float64, (T, B, D); float32 below 1e16.

    Returns:
        The geometry of every group, for which autocast must be off. Gradients at coinciding samples are 0, never NaN.
    """
    samples = at_least_float32(samples)
    few = samples.shape[-1] <= FEW_DIMENSIONS
    return _from_differences(samples) if few else _from_gram(samples)


def angle_terms(first: Relations, second: Relations) -> tuple[Tensor, Tensor]:
    """Mean smooth-L1 difference of all cosines of two networks (ARML eq. 7), both ways.

    The value is symmetric, so one evaluation serves both networks as student: the gradient of
    the first result reaches ``first`` only, that of the second result ``second`` only.

    Args:
        first: Geometry of a network.
        second: Geometry of its peer, same shapes.

    Returns:
        The scalar with ``first`` as student, and the one with ``second`` as student. A triple
        whose angle is undefined (two samples coincide) in either network contributes 0.
    """
    pair = first.distinct & second.distinct
    if first.directions is not None and second.directions is not None:
        return _AngleTerms.apply(first.directions, second.directions, pair)
    defined = pair.unsqueeze(-1) & pair.unsqueeze(-2)
    one, other = first.cosines * defined, second.cosines * defined
    return (
        torch.nn.functional.smooth_l1_loss(one, other.detach()),
        torch.nn.functional.smooth_l1_loss(other, one.detach()),
    )


def _normalised(length: Tensor, distinct: Tensor) -> Tensor:
    """Distances over their own mean over the positive entries; 0 if there is none."""
    count = distinct.sum((-2, -1), keepdim=True)
    mean = length.sum((-2, -1), keepdim=True) / count.clamp(min=1)
    return length / torch.where(count > 0, mean, 1.0)


def _from_differences(samples: Tensor) -> Relations:
    length, distinct, directions = _Differences.apply(samples)
    return Relations(_normalised(length, distinct), distinct, directions, None)


def _from_gram(samples: Tensor) -> Relations:
    product = gram(samples, centred=True)
    own = product.diagonal(dim1=-2, dim2=-1)
    scale = own.unsqueeze(-1) + own.unsqueeze(-2)
    squared = scale - 2 * product
    # Below this share of the squared norms the difference is rounding of the products.
    noise = 1e-14 if _work_dtype(samples) == torch.float64 else 5e-7
    distinct = squared > noise * scale
    distinct = distinct & ~torch.eye(own.shape[-1], dtype=torch.bool, device=own.device)
    length = torch.where(distinct, squared, 1.0).sqrt()
    inverse = distinct / length
    # <x_i - x_j, x_k - x_j> at [j, i, k]
    inner = (
        product.unsqueeze(-3)
        - product.unsqueeze(-1)
        - product.unsqueeze(-2)
        + own.unsqueeze(-1).unsqueeze(-1)
    )
    cosines = inner * inverse.unsqueeze(-1) * inverse.unsqueeze(-2)
    return Relations(_normalised(length * distinct, distinct), distinct, None, cosines)


def _work_dtype(samples: Tensor) -> torch.dtype:
    """Dtype of large products: float32 only where its products really are float32.

    TF32 on a GPU, or a reduced matmul precision chosen by the user, keeps 10 bits or fewer.
    """
    exact = samples.device.type == 'cpu' and torch.get_float32_matmul_precision() == 'highest'
    return torch.float32 if samples.dtype == torch.float32 and exact else torch.float64


def gram(samples: Tensor, centred: bool) -> Tensor:
    """Inner products of samples, differentiable once.

    Args:
        samples: float32 or float64, (T, B, D); float32 below 1e16, whose squares can be summed.
        centred: Whether the mean sample of each group is subtracted first. That changes no
            difference of samples, and removes the cancellation of a common offset.

    Returns:
        float64, (T, B, B).
    """
    return _Gram.apply(samples, centred)


class _Gram(torch.autograd.Function):
    """The product of :func:`gram`. The centred samples are kept: their gradient needs them again."""

    @staticmethod
    def forward(ctx: Any, samples: Tensor, centred: bool) -> Tensor:
        vectors = samples.to(_work_dtype(samples))
        if centred:
            vectors = vectors - vectors.mean(-2, keepdim=True)
        ctx.save_for_backward(vectors)
        ctx.centred, ctx.samples_dtype = centred, samples.dtype
        whole = vectors.shape[-1] // BLOCK * BLOCK if vectors.dtype == torch.float32 else 0
        tail = vectors[..., whole:].double()
        product = tail @ tail.mT
        if whole:
            blocks = vectors[..., :whole].unflatten(-1, (-1, BLOCK)).transpose(-3, -2)
            product += (blocks @ blocks.mT).sum(-3, dtype=torch.float64)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (vectors,) = ctx.saved_tensors
        with full_precision(vectors):
            both = grad + grad.mT
            if ctx.centred:
                # The adjoint of centring acts on the small matrix instead of the samples.
                both = both - both.mean(-2, keepdim=True)
                both = both - both.mean(-1, keepdim=True)
            return (both.to(vectors.dtype) @ vectors).to(ctx.samples_dtype), None


class _Differences(torch.autograd.Function):
    r"""Lengths r, whether they are above 0, and directions u of all difference vectors.

    With g and h the gradients of r and u, that of a difference vector is
    :math:`g u + (h - (h \cdot u) u) / r`. Samples that coincide give none.
    """

    @staticmethod
    def forward(ctx: Any, samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        wide = samples.double()
        difference = wide.mT.unsqueeze(-3) - wide.unsqueeze(-1)
        length = difference.square().sum(-2).sqrt_()
        distinct = length > 0
        inverse = torch.where(distinct, 1 / length, 0.0)
        work = _work_dtype(samples)
        directions = difference.mul_(inverse.unsqueeze(-2)).to(work)
        ctx.save_for_backward(directions, inverse.to(work))
        ctx.samples_dtype = samples.dtype
        ctx.mark_non_differentiable(distinct)
        return length, distinct, directions

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_length: Tensor, _: None, of_directions: Tensor) -> Tensor:
        directions, inverse = ctx.saved_tensors
        slope = of_directions * inverse.unsqueeze(-2)
        along = of_length.to(slope.dtype) - (slope * directions).sum(-2)
        slope.addcmul_(directions, along.unsqueeze(-2))
        # x_i is added to the difference [j, :, i] and subtracted from [i, :, j].
        return (slope.sum(-3).mT - slope.sum(-1)).to(ctx.samples_dtype)


class _AngleTerms(torch.autograd.Function):
    """Smooth-L1 of the B^3 cosine differences from unit vectors, value and gradients in one pass.

    With E and F (D, B) the directions two networks see from a sample, M = (E - F) / 2 and P = E + F,
    the difference of their cosines is d = E^T E - F^T F = M^T P + P^T M: one product, exactly 0 for
    equal networks. With c = clamp(d, -1, 1), smooth-L1 (beta 1) is c (d - c / 2) and its slope is c.
    As c is symmetric the gradients are 2 E c = 2 M c + P c and -2 F c = 2 M c - P c. On a CPU a flat
    matrix times c is four times as fast as c times a narrow one.
    """

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
        groups, batch, dimensions, _ = first.shape
        mask = pair.unsqueeze(-2).to(first.dtype)
        minus, plus = (first - second).mul_(mask / 2), (first + second).mul_(mask)
        rows = torch.cat([minus, plus, minus], dim=-2).flatten(0, 1)
        slope = rows.new_empty(len(rows), 2 * dimensions, batch)
        step = max(1, PIECE // batch**2) if rows.device.type == 'cpu' else len(rows)
        # Memory is taken once: on a CPU fresh pages cost more than the arithmetic.
        difference, clamped = rows.new_empty(2, min(step, len(rows)), batch, batch)
        total = rows.new_zeros((), dtype=torch.float64)
        for start in range(0, len(rows), step):
            piece = rows[start : start + step]
            left, right = piece[:, : 2 * dimensions], piece[:, dimensions:]
            d, c = difference[: len(piece)], clamped[: len(piece)]
            torch.bmm(left.mT, right, out=d)
            torch.clamp(d, -1, 1, out=c)
            torch.bmm(left, c, out=slope[start : start + step])
            flat = c.flatten()
            total += flat.dot(d.flatten()) - flat.dot(flat) / 2
        count = groups * batch**3
        # Where a direction is left out, c and so the slope is 0.
        ctx.save_for_backward(slope.view(groups, batch, 2, dimensions, batch))
        ctx.scale = 2 / count
        value = total / count
        return value, value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_first: Tensor, grad_second: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        minus, plus = slope.unbind(2)
        of_first, of_second = (g.to(slope.dtype) * ctx.scale for g in (grad_first, grad_second))
        first, second, _ = ctx.needs_input_grad
        return (
            torch.add(minus, plus, alpha=0.5).mul_(of_first) if first else None,
            torch.sub(minus, plus, alpha=0.5).mul_(of_second) if second else None,
            None,
        )
