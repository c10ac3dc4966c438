r"""The equations of Grad-CAM++ (Chattopadhay et al., WACV 2018, arXiv 1710.11063).

g = dz / dA_k(u) is the gradient of one logit with respect to one value of a layer. The score of the
paper is exp(z), whose second and third derivatives are powers of g, so that one gradient is enough.
"""

import torch
from torch import Tensor

#: What the library ``grad-cam`` adds to the denominator of alpha; the paper adds nothing.
EPSILON = 1e-6


def position_weights(gradients: Tensor, sums: Tensor, epsilon: float = EPSILON) -> Tensor:
    r"""Weight of each position within its channel: alpha of the paper for the score exp(z) (eq. 19).

    .. math:: \alpha_k(u) = \frac{g^2}{2 g^2 + \left(\sum_v A_k(v)\right) g^3 + \epsilon}

    Args:
        gradients: g, float32 or wider, any shape.
        sums: Sums of the channels' activations over all positions, broadcast with ``gradients``.
        epsilon: Added to the denominator, in units of g squared, >= 0.

    Returns:
        Shape of both together; 0 where g or the denominator is 0. With a negative sum the
        denominator may come near 0 or below, in the paper as here.
    """
    squares = gradients**2
    denominators = 2 * squares + sums * (squares * gradients) + epsilon
    known = (gradients != 0) & (denominators != 0)
    return torch.where(known, squares / torch.where(known, denominators, 1), 0)


def channel_weights(activations: Tensor, gradients: Tensor, epsilon: float = EPSILON) -> Tensor:
    r"""Weight of each channel: its positive gradients, weighed by position.

    .. math:: w_k = \sum_u \max(0, g_k(u))\, \alpha_k(u)

    Args:
        activations: A, float32 or wider, (N, C, h, w).
        gradients: g, of one logit of each tile, (N, C, h, w).
        epsilon: As of :func:`position_weights`.

    Returns:
        (N, C).
    """
    sums = activations.sum(dim=(2, 3), keepdim=True)
    return (gradients.relu() * position_weights(gradients, sums, epsilon)).sum(dim=(2, 3))


def even_channel_weights(
    sums: Tensor, gradients: Tensor, positions: int, epsilon: float = EPSILON
) -> Tensor:
    r"""Weights of the channels for all classes, where g is the same at every position.

    .. math:: w_{ck} = V \max(0, g_{ck})\, \alpha_{ck}

    So it is behind pooling and a linear map with weights W: g = W / V.

    Args:
        sums: Sums of the channels' activations over all positions, float, (N, C).
        gradients: g by class, (K, C).
        positions: V, their number.
        epsilon: As of :func:`position_weights`.

    Returns:
        (N, K, C).
    """
    alpha = position_weights(gradients[None], sums[:, None], epsilon)
    return positions * gradients.relu() * alpha
