"""How class activation maps are computed from a classifier.

The seam for other kinds of maps (several layers, gradients, prototypes): a class of the registry
MAPS with ``names`` and ``__call__(classifier, inputs, features=None, present=None)`` that returns
raw maps (N, K, h, w) by name. ``features`` are ``classifier.extract_feat(inputs)`` where the caller
has them already. ``present``, bool (N, K), are the only classes that the caller will read, None for
all: where a map costs something, the others are left out and are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from arml.errors import ConfigError
from arml.registry import MAPS


class MapClassifier(Protocol):
    """What :class:`WeightMaps` needs of a classifier."""

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Features (N, C, h, w)."""

    def class_maps(self, features: Tensor) -> Tensor:
        """Raw maps (N, K, h, w)."""


@MAPS.register_module()
class WeightMaps:
    r"""Class maps from the weights of a linear head (CAM, Zhou et al., 2016).

    .. math:: M_k(u) = \max\left(0, \frac{1}{V} \sum_v T_v^{-1} (W_k^\top f(T_v x))(u)\right)

    The views v are all combinations of the scales with the chosen flips and rotations; each map
    is turned back before the mean. The mean comes before the ReLU. For a network that ends in
    pooling and a linear layer, H W times Grad-CAM is the same map.

    Args:
        scales: Factors on height and width of the input, each > 0. Maps have the size of the
            first one.
        flips: Add the mirror images: horizontal, vertical, both.
        rotations: Add the turns by 90, 180 and 270 degrees; with ``flips`` all 8 orientations.
        relu: Set negative values to 0.

    Raises:
        ConfigError: If there is no scale or one is not above 0.
    """

    #: Names of the maps that a call returns.
    names = ('final',)

    def __init__(
        self,
        scales: Sequence[float] = (1.0,),
        flips: bool = False,
        rotations: bool = False,
        relu: bool = True,
    ) -> None:
        if not scales or any(scale <= 0 for scale in scales):
            raise ConfigError(
                f'WeightMaps.scales: found {scales}, expected one or more numbers above 0.'
            )
        self.scales = tuple(scales)
        self.orientations = orientations(flips, rotations)
        self.relu = relu

    @torch.no_grad()
    def __call__(
        self,
        classifier: MapClassifier,
        inputs: Tensor,
        features: Tensor | None = None,
        present: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the maps.

        Args:
            classifier: In evaluation mode.
            inputs: Preprocessed images, float, (N, 3, H, W).
            features: ``classifier.extract_feat(inputs)``, if the caller has them: the plain view
                is then not computed again.
            present: Not used: the maps of all classes cost one product.

        Returns:
            ``{'final': maps}``, float, (N, K, h, w).
        """
        total: Tensor | None = None
        for scale in self.scales:
            scaled = inputs if scale == 1 else _scale(inputs, scale)
            for turns, mirrored in self.orientations:
                plain = scale == 1 and (turns, mirrored) == (0, False)
                if plain and features is not None:
                    view = features
                else:
                    view = classifier.extract_feat(orient(scaled, turns, mirrored))
                maps = restore(classifier.class_maps(view).float(), turns, mirrored)
                if total is None:
                    total = maps
                else:
                    total = total + _fit(maps, total.shape[2:])
        mean = total / (len(self.scales) * len(self.orientations))
        return {'final': mean.relu() if self.relu else mean}


def orientations(flips: bool, rotations: bool) -> tuple[tuple[int, bool], ...]:
    """List (quarter turns, mirrored) of the views, the plain one first."""
    # A vertical mirror image is the horizontal one turned by 180 degrees.
    turns = (0, 1, 2, 3) if rotations else (0, 2) if flips else (0,)
    mirrors = (False, True) if flips else (False,)
    return tuple((turn, mirrored) for mirrored in mirrors for turn in turns)


def orient(x: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Mirror (N, C, H, W) left to right if asked, then turn it by quarter turns."""
    return torch.rot90(x.flip(3) if mirrored else x, turns, (2, 3))


def restore(x: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Undo :func:`orient`."""
    x = torch.rot90(x, -turns, (2, 3))
    return x.flip(3) if mirrored else x


def resize_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (C, h, w) bilinearly to ``size`` = (H, W), float32; unchanged where it fits."""
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    return _fit(maps[None].float(), size)[0]


def _fit(maps: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode='bilinear', align_corners=False)


def _scale(inputs: Tensor, scale: float) -> Tensor:
    size = [max(round(length * scale), 1) for length in inputs.shape[2:]]
    return _fit(inputs, size)
