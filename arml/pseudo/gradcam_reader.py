"""The passes of Grad-CAM and its kin: one forward, and backward only as far and often as needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.pseudo.recording import Tap, recording, tap, without_weight_gradients

#: The layer that the head reads: the backbone's last map, after the neck where it is active.
FEATURES = 'features'


class GradCAMClassifier(Protocol):
    """What maps from gradients need of a classifier, an ``nn.Module``.

    If it also has ``class_maps(features)``, as :class:`~arml.pseudo.maps.WeightMaps` needs it, and
    these are the scores' shares of the positions, features need no backward pass.
    """

    #: Where layers are looked for by name. Its ``map_layers``, if it has any, translates names.
    backbone: nn.Module

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Features (N, C, h, w)."""

    def class_scores(self, features: Tensor) -> Tensor:
        """Logits (N, K)."""


class Weighing(Protocol):
    """How the channels of a layer are weighed: what one method has and another has not."""

    def weights(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Weights of the channels.

        Args:
            activations: What the layer gives, no part of a graph, float, (n, C, h, w).
            gradients: Of one logit of each tile with respect to them, (n, C, h, w).

        Returns:
            (n, C).
        """

    def maps_of_head(self, classifier: GradCAMClassifier, features: Tensor, head: Tensor) -> Tensor:
        """Maps where the gradient of logit c is ``head[c] / (h w)`` at every position.

        Args:
            classifier: Has ``class_maps``.
            features: What pooling and then a linear map read, float, (N, C, h, w).
            head: Weights of that linear map, (K, C).

        Returns:
            The same maps as by :meth:`weights`, (N, K, h, w).
        """


@dataclass
class GradCAMReader:
    """Reads the maps of some layers out of a classifier.

    Attributes:
        classifier: In evaluation mode.
        layers: Their names.
        modules: By layer; that of the features has none.
        weighing: Gives the weights of the channels; messages name its class.
    """

    classifier: GradCAMClassifier
    layers: Sequence[str]
    modules: dict[str, nn.Module]
    weighing: Weighing
    #: Weights of the head if it is linear: one entry once it has been tried.
    _head: list[Tensor | None] = field(default_factory=list)
    #: Whether the head reads every layer linearly, so that no backward pass is needed.
    _direct: bool = False

    def maps(
        self, inputs: Tensor, features: Tensor | None, present: Tensor | None
    ) -> dict[str, Tensor]:
        """Maps of a batch, where the caller has switched gradients off.

        Args:
            inputs: Float, (N, 3, H, W).
            features: ``classifier.extract_feat(inputs)``, for those layers that are no module.
            present: The classes asked for, bool, (N, K), on the CPU; None: all.

        Returns:
            By layer float32, (N, K, h, w), 0 where not ``present``.

        Raises:
            ConfigError: If a layer cannot be read.
            ValueError: If ``present`` is of another K.
        """
        if not self.modules:
            features = self.classifier.extract_feat(inputs) if features is None else features
            head = self._linear_head(features)
            if head is not None:
                maps = self.weighing.maps_of_head(self.classifier, features, head).float()
                return {FEATURES: self._only(present, maps)}
        result: dict[str, Tensor] = {}
        rest = groups(present, len(inputs))
        while rest:
            if self._direct:  # the first group has shown it: the others need not go apart
                rest = [(torch.cat([tiles for tiles, _ in rest]), None)]
            (tiles, classes), *rest = rest
            tiles = tiles.to(inputs.device, non_blocking=True)
            given = None if features is None or self.modules else features[tiles]
            found, classes, number = self._of_group(inputs[tiles], given, classes, present)
            for layer, maps in found.items():
                if layer not in result:
                    size = (len(inputs), number, *maps.shape[2:])
                    result[layer] = torch.zeros(size, device=inputs.device)
                result[layer][tiles[:, None], classes] = maps.float()
        return {layer: self._only(present, maps) for layer, maps in result.items()}

    def _of_group(
        self,
        inputs: Tensor,
        features: Tensor | None,
        classes: Tensor | None,
        present: Tensor | None,
    ) -> tuple[dict[str, Tensor], Tensor, int]:
        """Maps (n, R, h, w) by layer, the classes (n, R) they are of, and K."""
        with (
            torch.enable_grad(),
            # Gradients of single positions are below the range of float16.
            torch.autocast(inputs.device.type, enabled=False),
            without_weight_gradients(self.classifier),
        ):
            taps: dict[str, Tap] = {}
            if features is None:
                features, taps = self._run(inputs)
            else:
                features = features.detach().to(_dtype(self.classifier))
            direct = [layer for layer, one in taps.items() if one.passed is features]
            direct += [FEATURES] if FEATURES in self.layers else []
            head = self._linear_head(features) if direct else None
            if head is not None:
                taps = {layer: one for layer, one in taps.items() if layer not in direct}
                self._direct = not taps
            elif FEATURES in direct:
                taps[FEATURES] = tap(features)
                features = taps[FEATURES].passed
            scores = self.classifier.class_scores(features)
            number = scores.shape[1]
            if present is not None:
                self._check_number(present, number)
            if classes is None:
                classes = torch.arange(number).expand(len(scores), -1)
            classes = classes.to(inputs.device, non_blocking=True)
            found = self._through_gradients(scores, classes, taps)
        if head is not None:
            maps = self.weighing.maps_of_head(self.classifier, features.detach(), head)
            index = classes[:, :, None, None].expand(-1, -1, *maps.shape[2:])
            found.update(dict.fromkeys(direct, maps.gather(1, index)))
        return found, classes, number

    def _run(self, inputs: Tensor) -> tuple[Tensor, dict[str, Tap]]:
        """Features, and what the modules gave on the way to them."""
        with recording(self.modules, self._field) as taps:
            features = self.classifier.extract_feat(inputs)
        missing = [layer for layer in self.modules if layer not in taps]
        if missing:
            raise ConfigError(
                f'{self._field}: found {missing[0]!r}, which does not run before the head reads '
                'the features, expected a layer on that way.'
            )
        return features, taps

    def _through_gradients(
        self, scores: Tensor, classes: Tensor, taps: dict[str, Tap]
    ) -> dict[str, Tensor]:
        """Maps (n, R, h, w) of the taps; one backward pass for each column of ``classes`` (n, R)."""
        values = [one.values for one in taps.values()]
        weights = [one.new_empty(*classes.shape, one.shape[1]) for one in values]
        rounds = classes.shape[1] if values else 0
        for index in range(rounds):
            if scores.requires_grad:
                chosen = scores.gather(1, classes[:, index : index + 1]).sum()
                more = index + 1 < rounds
                gradients = torch.autograd.grad(
                    chosen, values, retain_graph=more, allow_unused=True
                )
            else:
                gradients = (None,) * len(values)
            for layer, one, value, gradient in zip(taps, weights, values, gradients, strict=True):
                if gradient is None:
                    raise ConfigError(
                        f'{self._field}: found {layer!r}, from which no gradient path leads to the '
                        'scores, expected a layer that the head reads, and of a frozen block the '
                        'whole.'
                    )
                one[:, index] = self.weighing.weights(value.detach(), gradient)
        return {
            layer: weigh(one.values.detach(), weight)
            for (layer, one), weight in zip(taps.items(), weights, strict=True)
        }

    def _linear_head(self, features: Tensor) -> Tensor | None:
        if not self._head:
            self._head.append(linear_head(self.classifier, features))
        return self._head[0]

    def _only(self, present: Tensor | None, maps: Tensor) -> Tensor:
        """Maps (N, K, h, w), 0 where not ``present``."""
        if present is None:
            return maps
        self._check_number(present, maps.shape[1])
        absent = ~present.to(maps.device, non_blocking=True)
        return maps.masked_fill(absent[:, :, None, None], 0)

    def _check_number(self, present: Tensor, number: int) -> None:
        if present.shape[1] != number:
            raise ValueError(
                f'{type(self.weighing).__name__}: expected present (N, K) with K = {number}, found '
                f'{tuple(present.shape)}'
            )

    @property
    def _field(self) -> str:
        return f'{type(self.weighing).__name__}.layers'


def linear_head(classifier: GradCAMClassifier, features: Tensor) -> Tensor | None:
    """Weights of a head that pools and then multiplies by the weights of ``class_maps``.

    Then the gradient of a logit is the same at every position, a share 1 / (h w) of these weights,
    and the class maps, divided by h w, are Grad-CAM. Whether a head is of this kind is found out by
    trying it on a few positions, as heads and classifiers can be replaced.

    Args:
        classifier: In evaluation mode.
        features: For their channels and device, (N, C, h, w).

    Returns:
        (K, C) in the type of the classifier's weights; None for another kind of head.
    """
    if not hasattr(classifier, 'class_maps'):
        return None
    channels, height, width = features.shape[1], 2, 3
    count = torch.arange(channels * height * width, device=features.device)
    probe = (3 * torch.sin(12.9898 * count)).to(_dtype(classifier))
    probe = probe.view(1, channels, height, width)
    with (
        torch.enable_grad(),
        torch.autocast(features.device.type, enabled=False),
        without_weight_gradients(classifier),
    ):
        maps = classifier.class_maps(probe)
        # One copy for each class, so that one backward pass has the gradients of all.
        copies = tap(probe.expand(maps.shape[1], -1, -1, -1))
        scores = classifier.class_scores(copies.passed)
        (gradients,) = torch.autograd.grad(scores.diagonal().sum(), copies.values)
    means = gradients.mean(dim=(2, 3))
    shares = weigh(probe, means[None])
    # Wide enough for products in TF32; a head that is not linear is off by far more.
    near = 0.01
    same = (shares - maps / (height * width)).abs() <= near * shares.abs().amax()
    even = (gradients - means[:, :, None, None]).abs() <= near * gradients.abs().amax()
    return means * (height * width) if bool(same.all() & even.all()) else None


def weigh(activations: Tensor, weights: Tensor) -> Tensor:
    """Sum the channels of activations (N, C, h, w) with weights (N, R, C): (N, R, h, w)."""
    return torch.einsum('nrc,nchw->nrhw', weights, activations)


def groups(present: Tensor | None, number: int) -> list[tuple[Tensor, Tensor | None]]:
    """Put tiles with equally many classes together, so that no backward pass is wasted on a tile.

    Args:
        present: bool, (N, K); None: all classes.
        number: N.

    Returns:
        Tiles (n,) and their classes (n, R), ascending; None for all. Tiles without any class are
        left out, unless there are no others: then one stands for the size of the maps.
    """
    if present is None:
        return [(torch.arange(number), None)]
    counts = present.sum(dim=1)
    found: list[tuple[Tensor, Tensor | None]] = []
    for count in sorted(set(counts.tolist()) - {0}):
        tiles = torch.nonzero(counts == count)[:, 0]
        found.append((tiles, torch.nonzero(present[tiles])[:, 1].view(len(tiles), count)))
    return found or [(torch.arange(1), torch.empty(1, 0, dtype=torch.int64))]


def _dtype(classifier: GradCAMClassifier) -> torch.dtype:
    """Type of the weights."""
    return next((one.dtype for one in classifier.parameters()), torch.float32)
