"""What layers of a network give in a forward pass, ready for gradients with respect to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from arml.errors import ConfigError


class Tap(NamedTuple):
    """The output of a layer.

    Attributes:
        values: What gradients are taken with respect to, (N, C, h, w).
        passed: The copy that the network went on with, so that nothing it does in place reaches
            ``values``.
    """

    values: Tensor
    passed: Tensor


def tap(output: Tensor) -> Tap:
    """Make an output ready for gradients; the graph starts here if it has not before."""
    with torch.enable_grad():  # whatever the network runs the layer under
        values = output if output.requires_grad else output.detach().requires_grad_()
        return Tap(values, values.clone())


@contextmanager
def without_weight_gradients(network: nn.Module) -> Iterator[None]:
    """Let no parameter need a gradient; every flag is as before afterwards.

    With inputs that need none either, a forward pass builds no graph and keeps nothing, as under
    ``no_grad``, up to the first :func:`tap`.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def recording(modules: Mapping[str, nn.Module], field: str) -> Iterator[dict[str, Tap]]:
    """Record what modules give while the block runs; no hook stays behind.

    Args:
        modules: By the name to record them under.
        field: The config field that names them, for messages.

    Yields:
        What has been recorded so far. Of a module that gives several outputs, it is the first.

    Raises:
        ConfigError: If a module runs a second time or its output is not (N, C, h, w).
    """
    taps: dict[str, Tap] = {}

    def hook_of(name: str):
        def hook(_module: nn.Module, _inputs: tuple, output):
            several = isinstance(output, tuple | list)
            first = output[0] if several and output else output
            if not isinstance(first, Tensor) or first.dim() != 4:
                kind = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
                raise ConfigError(
                    f'{field}: found {name!r}, whose output is {kind}, expected a layer that '
                    'gives (N, C, h, w).'
                )
            if name in taps:
                raise ConfigError(
                    f'{field}: found {name!r}, which runs several times in a forward pass, '
                    'expected a layer that runs once.'
                )
            taps[name] = tap(first)
            passed = taps[name].passed
            return type(output)([passed, *output[1:]]) if several else passed

        return hook

    handles = []
    try:
        for name, module in modules.items():
            handles.append(module.register_forward_hook(hook_of(name)))
        yield taps
    finally:
        for handle in handles:
            handle.remove()
