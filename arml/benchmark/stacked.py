"""Three networks of one template as one network with stacked parameters, and one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from arml.benchmark.reference import IGNORE


def passes(
    networks: Sequence[nn.Module], inputs: Tensor, target: Tensor
) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """Forward and backward of cross entropy, of all networks: stacked, and in turns.

    Stacked parameters turn each convolution into one of as many groups as there are networks. Dropout
    is the same for all of them there, one mask each in turns; the work is the same.

    Args:
        networks: ``EncoderDecoder`` networks of one template, in training mode.
        inputs: Tiles, float, (N, 3, H, W).
        target: Masks, int64 in [0, C) or 255, (N, H, W).

    Returns:
        Two functions without arguments, which return the sum of the losses: one for the stacked
        parameters, copies of the networks', and one for the networks themselves.
    """
    parameters, buffers = stack_module_state(list(networks))
    template = copy.deepcopy(networks[0]).to('meta')

    def logits(own: dict[str, Tensor], state: dict[str, Tensor], images: Tensor) -> Tensor:
        return functional_call(template, (own, state), (images,))

    together = vmap(logits, in_dims=(0, 0, None), randomness='same')

    def stacked() -> Tensor:
        _forget(parameters.values())
        return _train(list(together(parameters, buffers, inputs)), target)

    def in_turns() -> Tensor:
        _forget(p for network in networks for p in network.parameters())
        return _train([network(inputs) for network in networks], target)

    return stacked, in_turns


def _forget(parameters: Iterable[Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None


def _train(logits: Sequence[Tensor], target: Tensor) -> Tensor:
    resize = partial(F.interpolate, size=target.shape[-2:], mode='bilinear', align_corners=False)
    each = [F.cross_entropy(resize(x), target, ignore_index=IGNORE) for x in logits]
    loss = torch.stack(each).sum()
    loss.backward()
    return loss.detach()
