"""How the pixels of tiles become the input of a network: for training, test and prediction alike."""

from collections.abc import Sequence

import torch
from torch import Tensor

NORMALISATIONS = ('dataset', 'tile', 'unit')
#: Smallest standard deviation of a channel, on 0..255, so that an empty tile stays finite.
EPSILON = 1.0


def normalise(
    inputs: Tensor,
    mode: str,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    epsilon: float = EPSILON,
) -> Tensor:
    r"""Normalise a batch of tiles channel by channel.

    .. math:: x' = (x - \mu) / \sigma \quad \text{or, by tile,} \quad
              x' = (x - \bar{x}) / \max(s(x), \epsilon) \quad \text{or, by unit,} \quad x' = x / 255

    with mean and (uncorrected) standard deviation of each channel of each tile.

    Args:
        inputs: Float, on 0..255, (N, C, H, W).
        mode: ``'dataset'``: one mean and deviation for all tiles; ``'tile'``: each tile's own;
            ``'unit'``: 0 to 1 (the released code of ARML).
        mean: C values for ``'dataset'``; None leaves the pixels as they are. Else not read.
        std: C values, with ``mean``.
        epsilon: Smallest standard deviation for ``'tile'``, on 0..255.

    Returns:
        Float, (N, C, H, W).

    Raises:
        ValueError: If ``mode`` is unknown.
    """
    if mode == 'tile':
        spread, centre = torch.std_mean(inputs, dim=(2, 3), keepdim=True, correction=0)
        return (inputs - centre) / spread.clamp_min(epsilon)
    if mode == 'unit':
        return inputs / 255
    if mode != 'dataset':
        raise ValueError(f'normalise: found {mode!r}, expected one of {", ".join(NORMALISATIONS)}')
    if mean is None:
        return inputs
    centre, spread = (inputs.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return (inputs - centre) / spread
