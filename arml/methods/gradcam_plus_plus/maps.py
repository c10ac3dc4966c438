"""Grad-CAM++ of any layers of a classifier, for the classes that are asked for.

How it differs from the paper and from the library ``grad-cam``: docs/methods/gradcam_plus_plus.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from arml.errors import ConfigError
from arml.methods.gradcam_plus_plus.functional import (
    EPSILON,
    channel_weights,
    even_channel_weights,
)
from arml.pseudo.gradcam_reader import FEATURES, GradCAMClassifier, weigh
from arml.pseudo.gradient_maps import GradientMaps
from arml.registry import MAPS


@MAPS.register_module()
class GradCAMPlusPlusMaps(GradientMaps):
    r"""Class maps from gradients, each position weighed for itself (Grad-CAM++).

    .. math:: M_c(u) = \max\left(0, \sum_k w_k A_k(u)\right), \qquad
              w_k = \sum_v \max(0, g_k(v))\, \alpha_k(v)

    g is the gradient of the logit with respect to what a layer gives, A; alpha is that of
    :func:`~arml.methods.gradcam_plus_plus.functional.position_weights`. What it costs is said in
    :class:`~arml.pseudo.gradient_maps.GradientMaps`: where pooling and a linear map read the layer
    directly, g is even, alpha follows in closed form, and there is no backward pass.

    Args:
        layers: As of :class:`~arml.pseudo.gradient_maps.GradientMaps`: modules of the backbone, or
            ``features``, what the head reads.
        relu: Set negative values to 0. All weights are >= 0, unless the sum of a channel is
            negative, so maps of a layer behind a ReLU have no negative values.
        flips: Take the mean over the mirror images, as ``arml.WeightMaps`` does.
        rotations: Also over the turns by 90, 180 and 270 degrees.
        epsilon: Added to the denominator of alpha, in units of the squared gradient, >= 0: the
            library's by default, 0 for the paper's equation.

    Raises:
        ConfigError: If there is no layer, two maps would have one name, or epsilon is no number
            from 0.
    """

    def __init__(
        self,
        layers: Sequence[str] = (FEATURES,),
        relu: bool = True,
        flips: bool = False,
        rotations: bool = False,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__(layers, relu, flips, rotations)
        number = isinstance(epsilon, Real) and not isinstance(epsilon, bool)
        if not number or not 0 <= epsilon < float('inf'):
            raise ConfigError(
                f'GradCAMPlusPlusMaps.epsilon: found {epsilon!r}, expected a number from 0.'
            )
        self.epsilon = epsilon

    def weights(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """The positive gradients of each channel, weighed by position: (n, C) of (n, C, h, w)."""
        return channel_weights(activations, gradients, self.epsilon)

    def maps_of_head(self, classifier: GradCAMClassifier, features: Tensor, head: Tensor) -> Tensor:
        """The same in closed form, for all classes: (N, K, h, w) of features (N, C, h, w)."""
        positions = features.shape[2] * features.shape[3]
        # The powers of such small gradients need the precision of the classifier's weights.
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(head.dtype)
            sums = features.sum(dim=(2, 3))
            weights = even_channel_weights(sums, head / positions, positions, self.epsilon)
            return weigh(features, weights)
