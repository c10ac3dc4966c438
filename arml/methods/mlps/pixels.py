"""The same tile as two networks see it: one preprocessing undone, another one done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from arml.errors import ConfigError
from arml.models.normalisation import EPSILON, normalise


@dataclass(frozen=True)
class Pixels:
    """How pixels enter a network.

    Attributes:
        mode: ``'dataset'``, ``'tile'`` or ``'unit'``, see :func:`~arml.models.normalisation.normalise`.
        mean: Of each channel on 0..255, for ``'dataset'``; None: pixels as they are.
        std: With ``mean``.
        epsilon: For ``'tile'``.
        rgb: Whether the channels are R, G, B; else B, G, R, as tiles are read.
    """

    mode: str
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    epsilon: float
    rgb: bool

    @classmethod
    def of(cls, preprocessor: Mapping[str, Any] | None) -> Pixels:
        """Read from the config of a data preprocessor, where what the mode does not use is left out."""
        given = preprocessor or {}
        mode = given.get('normalise', 'dataset')
        mean, std = (given.get(name) if mode == 'dataset' else None for name in ('mean', 'std'))
        return cls(
            mode=mode,
            mean=None if mean is None else tuple(float(value) for value in mean),
            std=None if std is None else tuple(float(value) for value in std),
            epsilon=float(given.get('epsilon', EPSILON)) if mode == 'tile' else EPSILON,
            rgb=bool(given.get('bgr_to_rgb') or given.get('rgb_to_bgr')),
        )


def check_translation(source: Pixels, target: Pixels) -> None:
    """Refuse a pair of which one cannot be had from the other.

    A tile that was normalised by its own mean and deviation does not say what they were.

    Args:
        source: How the segmentor sees tiles.
        target: How the classifier sees them.

    Raises:
        ConfigError: If the first is ``'tile'`` and the second is not, or has another epsilon.
    """
    if source.mode == 'tile' and (target.mode, target.epsilon) != (source.mode, source.epsilon):
        raise ConfigError(
            f"model.data_preprocessor.normalise: found 'tile' (epsilon {source.epsilon:g}), but the "
            f"classifier of model.gate was trained with '{target.mode}' (epsilon {target.epsilon:g}), and the "
            "colours of a tile are lost in 'tile'. Use one normalisation for both, 'dataset' or 'unit' for the "
            'segmentor, or model.gate.enabled=False'
        )


def translate(inputs: Tensor, source: Pixels, target: Pixels) -> Tensor:
    """The tiles as another network sees them.

    Args:
        inputs: As the segmentor sees them, float, (N, 3, H, W).
        source: How that is.
        target: How it shall be; :func:`check_translation` has no objection.

    Returns:
        Float, (N, 3, H, W); ``inputs`` themselves where both are the same.
    """
    if source == target:
        return inputs
    turned = inputs if source.rgb == target.rgb else inputs.flip(1)
    if source.mode == 'tile':
        return turned
    mean, std = _statistics(source)
    if source.rgb != target.rgb:
        mean, std = mean[::-1], std[::-1]
    centre, spread = (turned.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    colours = turned * spread + centre
    return normalise(colours, target.mode, target.mean, target.std, target.epsilon)


def _statistics(pixels: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that were taken out, in the order of the channels."""
    if pixels.mode == 'unit':
        return (0.0,) * 3, (255.0,) * 3
    if pixels.mean is None or pixels.std is None:
        return (0.0,) * 3, (1.0,) * 3
    return pixels.mean, pixels.std
