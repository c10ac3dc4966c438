"""The passes of Grad-CAM: one forward, and backward only as far and as often as maps need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from arml.errors import ConfigError
from arml.pseudo.recording import Tap, recording, tap, without_weight_gradients

#: The layer that the head reads: the backbone's last map, after the neck where it is active.
FEATURES = 'features'
FIELD = 'GradCAMMaps.layers'


class GradCAMClassifier(Protocol):
    """What :class:`~arml.pseudo.gradcam.GradCAMMaps` needs of a classifier, an ``nn.Module``.

    If it also has ``class_maps(features)``, as :class:`~arml.pseudo.maps.WeightMaps` needs it, and
    these are the scores' shares of the positions, features need no backward pass.
    """

    #: Where layers are looked for by name. Its ``map_layers``, if it has any, translates names.
    backbone: nn.Module

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Features (N, C, h, w)."""

    def class_scores(self, features: Tensor) -> Tensor:
        """Logits (N, K)."""


@dataclass
class GradCAMReader:
    """Reads the maps of some layers out of a classifier.

    Attributes:
        classifier: In evaluation mode.
        layers: Their names.
        modules: By layer; that of the features has none.
    """

    classifier: GradCAMClassifier
    layers: Sequence[str]
    modules: dict[str, nn.Module]
    _linear: bool | None = None
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
            if self._reads_linearly(features):
                maps = self._shares(features).float()
                return {FEATURES: _only(present, maps)}
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
        return {layer: _only(present, maps) for layer, maps in result.items()}

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
            if direct and self._reads_linearly(features):
                taps = {layer: one for layer, one in taps.items() if layer not in direct}
                self._direct = not taps
            elif FEATURES in direct:
                taps[FEATURES] = tap(features)
                features = taps[FEATURES].passed
            scores = self.classifier.class_scores(features)
            number = scores.shape[1]
            if present is not None:
                _check_number(present, number)
            if classes is None:
                classes = torch.arange(number).expand(len(scores), -1)
            classes = classes.to(inputs.device, non_blocking=True)
            found = _through_gradients(scores, classes, taps)
        if any(layer not in found for layer in direct):
            shares = self._shares(features.detach())
            index = classes[:, :, None, None].expand(-1, -1, *shares.shape[2:])
            found.update(dict.fromkeys(direct, shares.gather(1, index)))
        return found, classes, number

    def _run(self, inputs: Tensor) -> tuple[Tensor, dict[str, Tap]]:
        """Features, and what the modules gave on the way to them."""
        with recording(self.modules, FIELD) as taps:
            features = self.classifier.extract_feat(inputs)
        missing = [layer for layer in self.modules if layer not in taps]
        if missing:
            raise ConfigError(
                f'{FIELD}: found {missing[0]!r}, which does not run before the head reads the '
                'features, expected a layer on that way.'
            )
        return features, taps

    def _shares(self, features: Tensor) -> Tensor:
        """Grad-CAM of features (N, C, h, w) that the head reads linearly: (N, K, h, w)."""
        return self.classifier.class_maps(features) / (features.shape[2] * features.shape[3])

    def _reads_linearly(self, features: Tensor) -> bool:
        if self._linear is None:
            self._linear = reads_linearly(self.classifier, features)
        return self._linear


def reads_linearly(classifier: GradCAMClassifier, features: Tensor) -> bool:
    """Whether class maps of features, divided by h w, are the features' Grad-CAM.

    That is so for a head that pools and then multiplies by the weights of ``class_maps``. It is
    found out by trying it on a few positions, as heads and classifiers can be replaced.

    Args:
        classifier: In evaluation mode.
        features: For their channels and device, (N, C, h, w).
    """
    if not hasattr(classifier, 'class_maps'):
        return False
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
    shares = weigh(probe, gradients.mean(dim=(2, 3))[None])
    # Wide enough for products in TF32; a head that is not linear is off by far more.
    near = 0.01 * shares.abs().amax()
    return bool(((shares - maps / (height * width)).abs() <= near).all())


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


def _through_gradients(scores: Tensor, classes: Tensor, taps: dict[str, Tap]) -> dict[str, Tensor]:
    """Maps (n, R, h, w) of the taps; one backward pass for each column of ``classes`` (n, R)."""
    values = [one.values for one in taps.values()]
    weights = [one.new_empty(*classes.shape, one.shape[1]) for one in values]
    rounds = classes.shape[1] if values else 0
    for index in range(rounds):
        if scores.requires_grad:
            chosen = scores.gather(1, classes[:, index : index + 1]).sum()
            more = index + 1 < rounds
            gradients = torch.autograd.grad(chosen, values, retain_graph=more, allow_unused=True)
        else:
            gradients = (None,) * len(values)
        for layer, one, gradient in zip(taps, weights, gradients, strict=True):
            if gradient is None:
                raise ConfigError(
                    f'{FIELD}: found {layer!r}, from which no gradient path leads to the scores, '
                    'expected a layer that the head reads, and of a frozen block the whole.'
                )
            one[:, index] = gradient.mean(dim=(2, 3))
    return {
        layer: weigh(one.values.detach(), weight)
        for (layer, one), weight in zip(taps.items(), weights, strict=True)
    }


def _only(present: Tensor | None, maps: Tensor) -> Tensor:
    """Maps (N, K, h, w), 0 where not ``present``."""
    if present is None:
        return maps
    _check_number(present, maps.shape[1])
    absent = ~present.to(maps.device, non_blocking=True)
    return maps.masked_fill(absent[:, :, None, None], 0)


def _dtype(classifier: GradCAMClassifier) -> torch.dtype:
    """Type of the weights."""
    return next((one.dtype for one in classifier.parameters()), torch.float32)


def _check_number(present: Tensor, number: int) -> None:
    if present.shape[1] != number:
        raise ValueError(
            f'GradCAMMaps: expected present (N, K) with K = {number}, found {tuple(present.shape)}'
        )
