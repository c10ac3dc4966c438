"""Readings of the paper's reactivation: "spatial average pooling, 7x7 convolution, exp(-x)"."""

import torch
from torch import Tensor, nn

from arml.models.necks.functional import reactivate


class SpatialReactivation(nn.Module):
    """Default: channel-mean map (N, 1, h, w) -> 7x7 convolution -> exp(-x) -> times the features.

    The paper pools "spatially" and convolves with 7x7; that fits a pooling that leaves a spatial
    map, so the mean is taken over channels. The filter starts at 0: the gate starts at 1, and is
    trained from the first step on.

    Args:
        bound: Of the exponent, see :func:`arml.models.necks.functional.reactivate`.
    """

    def __init__(self, bound: float | None) -> None:
        super().__init__()
        self.bound = bound
        self.conv = nn.Conv2d(1, 1, 7, padding=3, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Start as the identity."""
        nn.init.zeros_(self.conv.weight)

    def gate(self, features: Tensor) -> Tensor:
        """The gate (N, 1, h, w), > 0."""
        return reactivate(self.conv(features.mean(dim=1, keepdim=True)), bound=self.bound)

    def forward(self, features: Tensor) -> Tensor:
        """Multiply the gate onto the features."""
        return features * self.gate(features).to(features.dtype)


class ChannelReactivation(nn.Module):
    """The other reading ("in the channel dimension"): GAP -> convolution of 7 channels -> exp(-x).

    Args:
        bound: Of the exponent, see :func:`arml.models.necks.functional.reactivate`.
    """

    def __init__(self, bound: float | None) -> None:
        super().__init__()
        self.bound = bound
        self.conv = nn.Conv1d(1, 1, 7, padding=3, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Start as the identity."""
        nn.init.zeros_(self.conv.weight)

    def gate(self, features: Tensor) -> Tensor:
        """The gate (N, C, 1, 1), > 0."""
        pooled = features.mean(dim=(2, 3))[:, None]
        return reactivate(self.conv(pooled), bound=self.bound)[:, 0, :, None, None]

    def forward(self, features: Tensor) -> Tensor:
        """Multiply the gate onto the features."""
        return features * self.gate(features).to(features.dtype)


class ReleasedReactivation(nn.Module):
    """As released: a channel gate (GAP, MLP), then a spatial gate (max and mean, 7x7, BN).

    Both go through P(s) = 0.8 exp(-0.8 s), without a bound, as coded.

    Args:
        in_channels: C.
        channel_gate: ``trained``, ``frozen`` (random for ever, as in the released run) or ``none``.
        norm_eval: Keep the BN of the spatial gate at its initial statistics and scale, as released.
        reduction: C divided by the width of the MLP.
    """

    scale = 0.8

    def __init__(
        self,
        in_channels: int,
        channel_gate: str = 'trained',
        norm_eval: bool = False,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        self.norm_eval = norm_eval
        width = max(in_channels // reduction, 1)
        self.mlp: nn.Module | None = None
        if channel_gate != 'none':
            self.mlp = nn.Sequential(
                nn.Linear(in_channels, width),
                nn.ReLU(inplace=True),
                nn.Linear(width, width),
                nn.ReLU(inplace=True),
                nn.Linear(width, in_channels),
            ).requires_grad_(channel_gate == 'trained')
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1).requires_grad_(not norm_eval)

    def train(self, mode: bool = True) -> 'ReleasedReactivation':
        """Set the mode; the BN stays in evaluation mode if ``norm_eval``."""
        super().train(mode)
        if self.norm_eval:
            self.bn.eval()
        return self

    def spatial_gate(self, features: Tensor) -> Tensor:
        """The gate of positions, (N, 1, h, w)."""
        pooled = torch.cat(
            [features.amax(dim=1, keepdim=True), features.mean(dim=1, keepdim=True)], dim=1
        )
        return reactivate(self.bn(self.conv(pooled)), self.scale, bound=None)

    def forward(self, features: Tensor) -> Tensor:
        """Multiply the channel gate, then the spatial gate onto the features."""
        if self.mlp is not None:
            gate = reactivate(self.mlp(features.mean(dim=(2, 3))), self.scale, bound=None)
            features = features * gate[:, :, None, None].to(features.dtype)
        return features * self.spatial_gate(features).to(features.dtype)
