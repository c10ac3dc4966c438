"""Grad-CAM of any layers of a classifier, for the classes that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from arml.pseudo.gradcam_reader import FEATURES, GradCAMClassifier
from arml.pseudo.gradient_maps import GradientMaps
from arml.registry import MAPS


@MAPS.register_module()
class GradCAMMaps(GradientMaps):
    r"""Class maps from gradients (Grad-CAM, Selvaraju et al., 2017), exact and batched.

    .. math:: M_c(u) = \sum_k w_k A_k(u), \qquad
              w_k = \frac{1}{hw} \sum_v \frac{\partial z_c}{\partial A_k(v)}

    z are the logits, A what a layer gives. As released there is no ReLU, and masks are made from
    several layers in one run: ``layers=('b4_5', 'b5_2', 'bn7')`` of ``arml.ResNet38d``.

    What it costs is said in :class:`~arml.pseudo.gradient_maps.GradientMaps`. Where pooling and a
    linear map read a layer directly, the map is that of ``arml.WeightMaps``, divided by h w.

    There are no scales as in ``arml.WeightMaps``: w falls with the number of positions, so maps of
    several scales have no common unit.

    Args:
        layers: As of :class:`~arml.pseudo.gradient_maps.GradientMaps`: modules of the backbone, or
            ``features``, what the head reads.
        relu: Set negative values to 0 (Grad-CAM's authors do, the released code does not).
        flips: Take the mean over the mirror images, as ``arml.WeightMaps`` does.
        rotations: Also over the turns by 90, 180 and 270 degrees.

    Raises:
        ConfigError: If there is no layer, or two maps would have one name.
    """

    def __init__(
        self,
        layers: Sequence[str] = (FEATURES,),
        relu: bool = False,
        flips: bool = False,
        rotations: bool = False,
    ) -> None:
        super().__init__(layers, relu, flips, rotations)

    def weights(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """The mean gradient of each channel: (n, C) of gradients (n, C, h, w)."""
        return gradients.mean(dim=(2, 3))

    def maps_of_head(self, classifier: GradCAMClassifier, features: Tensor, head: Tensor) -> Tensor:
        """The class maps, divided by h w: (N, K, h, w) of features (N, C, h, w)."""
        return classifier.class_maps(features) / (features.shape[2] * features.shape[3])
