"""The gate of MLPS: the classifier of stage 1 says which classes a segmentation may have."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from arml.engine import checkpoint as checkpoints
from arml.engine.card_check import card_in, check_card
from arml.errors import CheckpointError, ConfigError
from arml.methods.mlps.frozen import Frozen
from arml.methods.mlps.functional import GATE_MODES, gate_logits, passing
from arml.methods.mlps.pixels import Pixels, check_translation, translate
from arml.registry import MODELS

#: Settings of ``model.gate`` and their defaults.
DEFAULTS: dict[str, Any] = {
    'enabled': True,
    'threshold': 0.1,
    'mode': 'minus_infinity',
    'in_validation': False,
    'model_of': None,
    'model': None,
    'checkpoint': None,
}


class ClassifierGate(Frozen):
    r"""Keeps classes out of a segmentation that the classifier does not find in the tile.

    .. math:: z_k \leftarrow -\infty \quad (\text{or } 0) \qquad \text{where } p_k \le t

    The classifier sees the tiles of the segmentor, at their size, with their preprocessing turned into its own.

    Args:
        classifier: Config of the classifier. Initial weights that it names are not read.
        pixels: How tiles enter the segmentor.
        threshold: t, in [0, 1).
        mode: One of ``GATE_MODES``.
        checkpoint: Trained parameters of the classifier, read by :meth:`init_weights`: a checkpoint of the
            model around the gate has them already.

    Raises:
        ConfigError: If the model is no classifier, or its tiles cannot be had from the segmentor's.
    """

    def __init__(
        self,
        classifier: Mapping[str, Any],
        pixels: Pixels,
        threshold: float,
        mode: str,
        checkpoint: str | None = None,
    ) -> None:
        settings = copy.deepcopy(dict(classifier))
        with torch.random.fork_rng(devices=[]):  # random weights, of which none is kept
            built = MODELS.build(settings)
        if not all(hasattr(built, name) for name in ('extract_feat', 'class_scores')):
            raise ConfigError(
                f'model.gate.model: found a {type(built).__name__}, expected a classifier such as '
                'arml.MultiLabelClassifier'
            )
        super().__init__(built)
        self.pixels, self.own_pixels = pixels, Pixels.of(classifier.get('data_preprocessor'))
        check_translation(self.pixels, self.own_pixels)
        self.threshold = threshold
        self.mode = mode
        self.checkpoint = checkpoint
        self._preprocessor = classifier.get('data_preprocessor')

    @property
    def num_classes(self) -> int:
        """K of the classifier."""
        return self.network.num_classes

    def init_weights(self) -> None:
        """Read the trained parameters; at the start of a training, by mmengine.

        Raises:
            CheckpointError: If none are named, or they are of another classifier or other tiles.
        """
        if not self.checkpoint:
            raise CheckpointError(
                f'model.gate.checkpoint: found {self.checkpoint!r}, expected the checkpoint of the classifier; '
                'the pipeline binds it to the product of a stage. Without a gate: model.gate.enabled=False'
            )
        content = checkpoints.load(self.checkpoint)
        card = card_in(content)
        check_card(card, card.get('classes') or (), self._preprocessor, self.checkpoint)
        checkpoints.load_into(self.network, content, self.checkpoint)

    @torch.no_grad()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Of the classes in tiles (N, 3, H, W) as the segmentor sees them: float32, (N, K)."""
        tiles = translate(inputs, self.pixels, self.own_pixels)
        scores = self.network.class_scores(self.network.extract_feat(tiles))
        return scores.float().sigmoid()

    def forward(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """Logits of a segmentation without the classes that do not pass.

        Args:
            logits: Float, (N, K, H, W) or, with background, (N, K + 1, H, W).
            inputs: The tiles, as the segmentor sees them, float, (N, 3, H, W).
        """
        # As coded nothing is kept of a tile in which no class passes: all its logits are 0.
        keep_best = self.mode != 'zero'
        present = passing(self.probabilities(inputs), self.threshold, keep_best)
        return gate_logits(logits, present, self.mode)


def check_gate(gate: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings of ``model.gate``, complete.

    Args:
        gate: As the config gives them; None: no gate.

    Raises:
        ConfigError: If a name or a value is unknown, or there is no classifier.
    """
    if gate is None:
        return {**DEFAULTS, 'enabled': False}
    unknown = sorted(gate.keys() - DEFAULTS.keys())
    if unknown:
        raise ConfigError(
            f'model.gate: found {unknown[0]!r}, expected some of {", ".join(DEFAULTS)}'
        )
    complete = {**DEFAULTS, **gate}
    for name in ('enabled', 'in_validation'):
        if not isinstance(complete[name], bool):
            raise ConfigError(
                f'model.gate.{name}: found {complete[name]!r}, expected True or False'
            )
    threshold = complete['threshold']
    number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if not number or not 0 <= threshold < 1:
        raise ConfigError(f'model.gate.threshold: found {threshold!r}, expected a number in [0, 1)')
    if complete['mode'] not in GATE_MODES:
        raise ConfigError(
            f'model.gate.mode: found {complete["mode"]!r}, expected one of {", ".join(GATE_MODES)}; '
            'without a gate: model.gate.enabled=False'
        )
    if complete['enabled'] and not isinstance(complete['model'], dict):
        raise ConfigError(
            f'model.gate.model: found {complete["model"]!r}, expected the config of a classifier; '
            "model_of='classifier' takes that of the section classifier"
        )
    return complete
