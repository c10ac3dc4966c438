"""The mathematics of the attention and reactivation of ARML's first stage (eqs. 1-3)."""

import torch
from torch import Tensor
from torch.nn import functional as F

SOFTMAX_DIMS = ('affinity', 'height')


def criss_cross_weights(
    query: Tensor, key: Tensor, softmax_dim: str = 'affinity', mask_self: bool = True
) -> Tensor:
    r"""Attention of each position over its column and its row (ARML eq. 1, after CCNet).

    .. math:: A_u = \mathrm{softmax}_i \langle Q_u, K_{\Omega_u(i)} \rangle, \quad
              \Omega_u = \text{column and row of } u

    Args:
        query: Float, (N, C', H, W).
        key: Float, (N, C', H, W).
        softmax_dim: ``affinity``: over the positions of column and row, so that the weights of a
            position sum to 1; ``height``: over the row index of the query, as released.
        mask_self: Count the position itself once (H+W-1 positions), in its row, instead of twice.

    Returns:
        Weights in [0, 1], (N, H, W, H + W): first the column from the top, then the row from the
        left. Masked entries are 0. At least float32, whatever the input.

    Raises:
        ValueError: If the shapes disagree or ``softmax_dim`` is unknown.
    """
    if query.shape != key.shape or query.dim() != 4:
        raise ValueError(
            f'expected query and key of one shape (N, C, H, W), found {tuple(query.shape)} and '
            f'{tuple(key.shape)}'
        )
    if softmax_dim not in SOFTMAX_DIMS:
        raise ValueError(f'softmax_dim: found {softmax_dim!r}, expected one of {SOFTMAX_DIMS}')
    height = query.shape[2]
    column = torch.einsum('nchw,nckw->nhwk', query, key)
    row = torch.einsum('nchw,nchk->nhwk', query, key)
    affinity = torch.cat([column, row], dim=3)
    affinity = affinity.to(torch.promote_types(affinity.dtype, torch.float32))
    if mask_self:
        same = torch.eye(height, dtype=torch.bool, device=query.device)[None, :, None, :]
        same = F.pad(same, (0, row.shape[3]))
        # Finite, so that a softmax over nothing but masked entries has a finite gradient.
        affinity = affinity.masked_fill(same, torch.finfo(affinity.dtype).min)
    weights = affinity.softmax(dim=3 if softmax_dim == 'affinity' else 1)
    return weights.masked_fill(same, 0.0) if mask_self else weights


def criss_cross_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    softmax_dim: str = 'affinity',
    mask_self: bool = True,
) -> Tensor:
    r"""Aggregate the values of a position's column and row by their similarity (ARML eq. 2).

    .. math:: o_u = \sum_i A_{i,u} V_{\Omega_u(i)}

    Args:
        query: Float, (N, C', H, W).
        key: Float, (N, C', H, W).
        value: Float, (N, C, H, W).
        softmax_dim: As in :func:`criss_cross_weights`.
        mask_self: As in :func:`criss_cross_weights`.

    Returns:
        (N, C, H, W), of the type of ``value``.

    Raises:
        ValueError: If the shapes disagree or ``softmax_dim`` is unknown.
    """
    if value.shape[0] != query.shape[0] or value.shape[2:] != query.shape[2:]:
        raise ValueError(
            f'expected value (N, C, H, W) with N, H, W of the query, found {tuple(value.shape)} '
            f'and {tuple(query.shape)}'
        )
    weights = criss_cross_weights(query, key, softmax_dim, mask_self).to(value.dtype)
    column, row = weights.split([value.shape[2], value.shape[3]], dim=3)
    return torch.einsum('nhwk,nckw->nchw', column, value) + torch.einsum(
        'nhwk,nchk->nchw', row, value
    )


def reactivate(x: Tensor, scale: float = 1.0, bound: float | None = 5.0) -> Tensor:
    r"""Gate that falls as the response grows, so that weak regions gain (ARML eq. 3).

    .. math:: P(x) = s\, e^{-s\, \hat{x}}, \quad \hat{x} = b \tanh(x / b)

    With s = 1 this is the paper's exp(-x); the released code has s = 0.8 and no bound. The bound
    is ours: :math:`\hat{x}` equals x up to third order, has a gradient everywhere, and keeps the
    gate in [exp(-b), exp(b)] where exp(-x) alone would overflow or vanish.

    Args:
        x: Responses, float, any shape.
        scale: s, > 0.
        bound: b, > 0, or None for none.

    Returns:
        The gate, > 0, of the shape of ``x``; at least float32.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if bound is not None:
        x = bound * torch.tanh(x / bound)
    return scale * torch.exp(-scale * x)
