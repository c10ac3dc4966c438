"""What Grad-CAM and its descendants share: layers, views, passes. They differ in how they weigh."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.pseudo.gradcam_reader import FEATURES, GradCAMClassifier, GradCAMReader
from arml.pseudo.maps import orient, orientations, restore


class GradientMaps:
    r"""Base of the maps that sum the channels of a layer with weights from its gradients.

    .. math:: M_c(u) = \sum_k w_k A_k(u), \qquad
              w = w\left(A, \frac{\partial z_c}{\partial A}\right)

    z are the logits, A what a layer gives. A subclass has the two methods of
    :class:`~arml.pseudo.gradcam_reader.Weighing`, which give w, and is registered in MAPS.

    Each tile takes one forward pass; up to the first of the layers nothing is kept of it. A backward
    pass goes to the layers and not to the weights of the network, serves all layers, and runs for
    the labelled classes alone: tiles with equally many go together, and round r is the r-th class of
    each. Where pooling and a linear map read a layer directly, the gradients are known without it:
    with the default layer, there is no backward pass at all.

    Args:
        layers: Names of modules of the classifier's backbone, parts of one with dots, or
            ``features``: what the head reads, after the neck where it is active. The output of a
            module is taken as it is: that of a block of ``arml.ResNet38d`` comes before the norm
            and the ReLU that follow, and may be negative. Only ``bn7`` of ``arml.ResNet38d`` means
            the last ReLU, after the norm: the backbone's output, before the neck. The map of the
            last name is called ``final``, the others are called as their layers.
        relu: Set negative values to 0, after the mean over the views.
        flips: Take the mean over the mirror images, as ``arml.WeightMaps`` does.
        rotations: Also over the turns by 90, 180 and 270 degrees.

    Raises:
        ConfigError: If there is no layer, or two maps would have one name.
    """

    def __init__(
        self, layers: Sequence[str], relu: bool, flips: bool = False, rotations: bool = False
    ) -> None:
        listed = isinstance(layers, list | tuple) and len(layers) > 0
        if not listed or not all(isinstance(layer, str) and layer for layer in layers):
            raise ConfigError(
                f'{self._field}: found {layers!r}, expected a list of names of layers.'
            )
        self.layers = tuple(layers)
        #: Names of the maps that a call returns, in the order of the layers.
        self.names = (*self.layers[:-1], 'final')
        if len(set(self.layers)) < len(self.layers) or 'final' in self.layers[:-1]:
            raise ConfigError(
                f'{self._field}: found {list(layers)}, expected each layer once, and none but the '
                "last called 'final'."
            )
        self.relu = relu
        self.orientations = orientations(flips, rotations)

    def weights(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Weights (n, C) from activations and gradients, both (n, C, h, w)."""
        raise NotImplementedError

    def maps_of_head(self, classifier: GradCAMClassifier, features: Tensor, head: Tensor) -> Tensor:
        """Maps (N, K, h, w) of features (N, C, h, w) that pooling and ``head``, (K, C), read."""
        raise NotImplementedError

    def check(self, classifier: GradCAMClassifier) -> None:
        """Check that the classifier has the layers, without running it.

        Raises:
            ConfigError: If it lacks one; names the layers there are.
        """
        self._modules(classifier)

    def __call__(
        self,
        classifier: GradCAMClassifier,
        inputs: Tensor,
        features: Tensor | None = None,
        present: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the maps; the classifier is afterwards as it was.

        Args:
            classifier: In evaluation mode. Gradients are computed even under ``no_grad``, in the
                type of its weights even under autocast.
            inputs: Preprocessed images, float, (N, 3, H, W).
            features: ``classifier.extract_feat(inputs)``, if the caller has them: used for the
                plain view if they are the only layer, as others need a forward pass of their own.
            present: Classes whose maps are wanted, bool, (N, K); None: all.

        Returns:
            Maps by name, float, (N, K, h, w) with h and w of the layer; 0 where not ``present``.

        Raises:
            ConfigError: If the backbone lacks a layer, or one is no map (N, C, h, w), runs several
                times or not at all, or the scores do not depend on it.
            ValueError: If ``present`` is not (N, K).
        """
        modules = self._modules(classifier)
        if present is not None:
            present = torch.as_tensor(present).bool().cpu()
            if present.dim() != 2 or len(present) != len(inputs):
                raise ValueError(
                    f'{type(self).__name__}: expected present (N, K) with N = {len(inputs)}, found '
                    f'{tuple(present.shape)}'
                )
        total: dict[str, Tensor] = {}
        # What comes from inference mode cannot be part of a graph, a copy of it can.
        with torch.inference_mode(False), torch.no_grad():
            reader = GradCAMReader(classifier, self.layers, modules, self)
            for turns, mirrored in self.orientations:
                given = features if (turns, mirrored) == (0, False) else None
                view = orient(inputs.detach().clone(), turns, mirrored)
                for layer, maps in reader.maps(view, given, present).items():
                    maps = restore(maps, turns, mirrored)
                    total[layer] = total[layer] + maps if layer in total else maps
            means = [total[layer] / len(self.orientations) for layer in self.layers]
            return {
                name: maps.relu() if self.relu else maps
                for name, maps in zip(self.names, means, strict=True)
            }

    @property
    def _field(self) -> str:
        return f'{type(self).__name__}.layers'

    def _modules(self, classifier: GradCAMClassifier) -> dict[str, nn.Module]:
        """The modules of the layers, without that of the features."""
        wanted = [layer for layer in self.layers if layer != FEATURES]
        if not wanted:
            return {}
        backbone = classifier.backbone
        known = dict(backbone.named_modules())
        del known['']
        names = getattr(backbone, 'map_layers', {})
        for layer in wanted:
            if names.get(layer, layer) not in known:
                raise ConfigError(
                    f'{self._field}: found {layer!r}, which {type(backbone).__name__} does not '
                    f'have, expected {", ".join(_outer_layers(backbone))}, a part of one of these '
                    f'(with dots), or {FEATURES}.'
                )
        return {layer: known[names.get(layer, layer)] for layer in wanted}


def _outer_layers(backbone: nn.Module) -> list[str]:
    """The outermost modules of a backbone under the names to ask for them."""
    prefix, children = '', dict(backbone.named_children())
    while len(children) == 1:  # nothing but a wrapper
        ((name, inner),) = children.items()
        if not dict(inner.named_children()):
            break
        prefix, children = f'{prefix}{name}.', dict(inner.named_children())
    names = getattr(backbone, 'map_layers', {})
    return [f'{prefix}{name}' for name in children if f'{prefix}{name}' not in names.values()]
