"""A trained network inside another model, out of reach of that model's training."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from torch import Tensor, nn


class Frozen(nn.Module):
    """Holds a network that is used and never trained.

    Its tensors are in the state dict of the model around it and move with it to a device. For all else it is
    not there: no parameter for an optimiser or a check, no child module for ``train()``, ``init_weights()``
    or hooks that go through modules. An ordinary child without ``requires_grad`` would be in the groups of an
    optimiser, and would be told the epochs of a training that is not its own.

    Args:
        network: Put in evaluation mode, without gradients.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network.requires_grad_(False)
        network.eval()
        self._held = (network,)  # a tuple, in which torch does not look for modules

    @property
    def network(self) -> nn.Module:
        """The network."""
        return self._held[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frozen:
        self.network._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def _save_to_state_dict(
        self, destination: MutableMapping[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        self.network.state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)

    def _load_from_state_dict(
        self,
        state_dict: MutableMapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = {
            name.removeprefix(prefix): value
            for name, value in state_dict.items()
            if name.startswith(prefix)
        }
        assign = bool(local_metadata.get('assign_to_params_buffers', False))
        try:
            found = self.network.load_state_dict(own, strict=False, assign=assign)
        except RuntimeError as error:  # tensors of another shape
            error_msgs.append(str(error))
            return
        if strict:
            missing_keys += [prefix + name for name in found.missing_keys]
            unexpected_keys += [prefix + name for name in found.unexpected_keys]
