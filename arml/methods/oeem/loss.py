"""The loss of OEEM as a part of a config."""

from __future__ import annotations

import math
from numbers import Real

from torch import Tensor, nn

from arml.errors import ConfigError
from arml.methods.oeem.functional import easy_example_loss
from arml.registry import MODELS


@MODELS.register_module()
class OEEMLoss(nn.Module):
    r"""Online easy example mining: cross entropy weighted by how easy a pixel is (OEEM, MICCAI 2022).

    For ``mask_loss`` of ``arml.SingleNetworkSegmentor``. The equation and where the released code does
    otherwise: :func:`arml.methods.oeem.functional.easy_example_loss`.

    Args:
        temperature: T of the softmax over an image's pixels, in nats, > 0. Large: plain cross entropy.
        ignored_in_weights: Whether ignored pixels take part with a loss of 0, as in the released code.
        ignore_index: Mask value that is left out.

    Raises:
        ConfigError: If ``temperature`` is no number above 0 or the switch is neither True nor False.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        ignored_in_weights: bool = False,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        number = isinstance(temperature, Real) and not isinstance(temperature, bool)
        if not number or not 0 < temperature < math.inf:
            raise ConfigError(
                f'OEEMLoss.temperature: found {temperature!r}, expected a number above 0'
            )
        if not isinstance(ignored_in_weights, bool):
            raise ConfigError(
                f'OEEMLoss.ignored_in_weights: found {ignored_in_weights!r}, expected True or False'
            )
        self.temperature = float(temperature)
        self.ignored_in_weights = ignored_in_weights
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss, in float32 or better.

        Args:
            logits: Scores before softmax, float, (N, K, H, W).
            target: int64 in [0, K) or ``ignore_index``, (N, H, W).

        Returns:
            Scalar.
        """
        return easy_example_loss(
            logits, target, self.temperature, self.ignored_in_weights, self.ignore_index
        )

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f'temperature={self.temperature}, ignored_in_weights={self.ignored_in_weights}'
