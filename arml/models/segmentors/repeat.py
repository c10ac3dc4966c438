"""Features of a batch that enters one network several times."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def extract_for_passes(network: EncoderDecoder, inputs: Tensor, passes: int) -> tuple[Any, bool]:
    r"""Run backbone and neck on a batch once, in place of several times if that changes nothing.

    A pass that draws no random number (no dropout, no drop path) would give the same features again. Batch norm
    is left as if each pass had been made: with r_0 and r_1 a running statistic before and after the first, and m the
    momentum, it is :math:`r_0 + (r_1 - r_0) \sum_{i<n} (1 - m)^i` after n passes (equal up to rounding).

    Args:
        network: An mmseg ``EncoderDecoder``.
        inputs: Preprocessed tiles, float, (N, 3, H, W).
        passes: Passes that are to be made, >= 1.

    Returns:
        The features of the first pass, and whether they stand for all passes.
    """
    norms = _moving_norms(network) if passes > 1 else []
    if passes == 1 or any(norm.momentum is None for norm in norms):
        return network.extract_feat(inputs), False
    before = [_statistics(norm) for norm in norms]
    state = _random_state(inputs.device)
    features = network.extract_feat(inputs)
    if _random_state(inputs.device) != state:
        return features, False
    for norm, old in zip(norms, before, strict=True):
        _count_passes(norm, old, passes)
    return features, True


def _moving_norms(network: EncoderDecoder) -> list[nn.Module]:
    """The batch norms before the head whose running statistics a pass moves."""
    parts = [network.backbone, *([network.neck] if network.with_neck else [])]
    norms = [m for part in parts for m in part.modules() if isinstance(m, _BatchNorm)]
    return [norm for norm in norms if norm.training and norm.track_running_stats]


def _statistics(norm: nn.Module) -> list[Tensor]:
    return [x.clone() for x in (norm.running_mean, norm.running_var, norm.num_batches_tracked)]


@torch.no_grad()
def _count_passes(norm: nn.Module, before: list[Tensor], passes: int) -> None:
    """Leave batch norm as after so many equal passes, given what it was before the one that was made."""
    mean, variance, number = before
    share = sum((1 - norm.momentum) ** i for i in range(passes))
    # By ``data``: as in a pass, autograd is not to take this for a change of what it needs.
    norm.running_mean.data.copy_(mean.lerp(norm.running_mean, share))
    norm.running_var.data.copy_(variance.lerp(norm.running_var, share))
    norm.num_batches_tracked.add_((passes - 1) * (norm.num_batches_tracked - number))


def _random_state(device: torch.device) -> list[bytes]:
    """Where the generators stand that a pass on the device can draw from; reads nothing from the device."""
    states = [torch.get_rng_state()]
    if device.type == 'cuda':
        states.append(torch.cuda.get_rng_state(device))
    # Not by an operator of torch: one would be recorded where a step is traced.
    return [ctypes.string_at(state.data_ptr(), state.nbytes) for state in states]
