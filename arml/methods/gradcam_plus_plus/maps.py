"""Grad-CAM++ of any layers of a classifier, for the classes that are asked for.

What differs between the paper (WACV 2018), the maintained library ``grad-cam`` 1.5.5 and this file:

- score: the paper's is exp(z), so that its gradients have a factor exp(z). The library and this file
  take the logit z. The factor is one number for each tile and class, gone after
  ``normalisation='per_class'``.
- epsilon in the denominator of alpha: the paper has none, the library 1e-6. Here 1e-6;
  ``epsilon=0`` is the paper's equation.
- scale: the library brings the map of each class from 0 to 1. Here maps stay as they are, and the
  mask rule scales them: ``normalisation='per_class'`` gives the library's.
- several layers: the library takes the mean of the scaled maps. Here each layer has a map, and so a
  mask, of its own.
- mirror images: the library takes the mean of the scaled maps. Here it is the mean of the maps, and
  then the ReLU, as for every kind of map.
- cost: the library runs a whole pass forward and back for each class; here see
  :class:`~arml.pseudo.gradient_maps.GradientMaps`.

Epsilon is no trifle. Behind average pooling over V positions g is W / V. With 28 x 28 positions and
weights W around 0.1, the square of g is 1.6e-8, a sixtieth of epsilon. Then alpha is about
g^2 / epsilon, and the weight of a channel grows with the third power of W: the map is that of the few
strongest channels. Without epsilon and with small gradients alpha is about 1/2, and Grad-CAM++ is
Grad-CAM of the positive gradients (Lerma and Lucas, arXiv 2205.10838).
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
