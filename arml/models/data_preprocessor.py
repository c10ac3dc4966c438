"""From tiles of a data loader to the input of a network."""

from typing import Any

from mmseg.models import SegDataPreProcessor

from arml.errors import ConfigError
from arml.models.normalisation import EPSILON, NORMALISATIONS, normalise
from arml.registry import MODELS


@MODELS.register_module()
class TissueDataPreProcessor(SegDataPreProcessor):
    """mmseg's preprocessor, with the choice to normalise each tile by its own statistics.

    Stain and brightness differ more between slides than between tissues. ``normalise='tile'``
    takes them out: each channel of each tile gets mean 0 and standard deviation 1. ``'dataset'``
    uses ``mean`` and ``std`` for all tiles, as networks trained on ImageNet expect.

    Args:
        normalise: ``'dataset'``, ``'tile'`` or ``'unit'``.
        epsilon: Smallest standard deviation of a channel, on 0..255, so that an empty tile stays
            finite.
        **kwargs: As of ``mmseg.SegDataPreProcessor``. ``mean`` and ``std`` (RGB, 0..255) are needed
            for ``'dataset'`` and not read otherwise, so that ``normalise`` can be changed alone.

    Raises:
        ConfigError: If ``normalise`` is unknown, ``mean`` or ``std`` is missing for ``'dataset'``, or
            ``epsilon`` is not above 0.
    """

    def __init__(self, normalise: str = 'dataset', epsilon: float = EPSILON, **kwargs: Any) -> None:
        if normalise not in NORMALISATIONS:
            raise ConfigError(
                f'data_preprocessor.normalise: found {normalise!r}, expected one of '
                f'{", ".join(NORMALISATIONS)}.'
            )
        if normalise == 'dataset':
            for name in ('mean', 'std'):
                if kwargs.get(name) is None:
                    raise ConfigError(
                        f"data_preprocessor.{name}: found None with normalise='dataset', expected one "
                        "value for each of R, G, B on 0..255; or normalise='tile' or 'unit'."
                    )
        else:
            scale = normalise == 'unit'
            kwargs['mean'] = [0.0] * 3 if scale else None
            kwargs['std'] = [255.0] * 3 if scale else None
        if not epsilon > 0:
            raise ConfigError(
                f'data_preprocessor.epsilon: found {epsilon!r}, expected a number above 0.'
            )
        if kwargs.get('size') is None:
            kwargs.setdefault('size_divisor', 1)  # mmseg wants one of the two in training
        super().__init__(**kwargs)
        self.normalise = normalise
        self.epsilon = epsilon

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Stack, convert to RGB and normalise."""
        data = super().forward(data, training)
        if self.normalise == 'tile':
            data['inputs'] = normalise(data['inputs'], 'tile', epsilon=self.epsilon)
        return data
