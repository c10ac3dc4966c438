"""The segmentor of MLPS: it learns from the masks of several layers, and is gated at test time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real
from typing import Any

from torch import Tensor

from arml.errors import ConfigError, DataError
from arml.methods.mlps.gate import ClassifierGate, check_gate
from arml.methods.mlps.pixels import Pixels
from arml.models.segmentors.functional import stack_masks
from arml.models.segmentors.single_network import SingleNetworkSegmentor, WeightedMask
from arml.registry import MODELS

#: The mask that every segmentor has; the others are fields of the samples.
FIRST = 'deep'
#: Published weights of the masks of bn7, b5_2 and b4_5.
WEIGHTS = {FIRST: 0.6, 'middle': 0.2, 'shallow': 0.2}


@MODELS.register_module()
class MLPSSegmentor(SingleNetworkSegmentor):
    r"""One network, masks of several layers of the classifier, a gate (MLPS, Medical Image Analysis 2022).

    .. math:: L = \sum_m v_m\, \ell(z, m), \qquad v = (0.6, 0.2, 0.2)

    m are the masks made from a deep, a middle and a shallow layer. In the released code a logit of background
    that is built from the deep mask stands behind the others (``background.logit='zero'``); here each mask
    brings its own, which is the same: background is white area, a matter of the image.

    At test time the classifier of stage 1 takes out the classes that it does not find in a tile
    (:class:`~arml.methods.mlps.gate.ClassifierGate`). It is part of this model's checkpoint and of nothing
    else: it is not trained.

    Args:
        mask_weights: v by the name of the mask, >= 0: ``deep`` is ``gt_sem_seg``, any other name the field of a
            sample that ``arml.LoadFurtherMasks`` has filled. One of weight 0 is not looked at.
        gate: ``enabled``; ``threshold`` (0.1), ``mode`` (``'minus_infinity'`` or ``'zero'``);
            ``in_validation``, whether the best epoch is chosen with it; ``model``, the config of the classifier,
            or ``model_of``, the section of the config that has it; ``checkpoint``, its trained parameters.
            None: no gate.
        **kwargs: As of ``arml.SingleNetworkSegmentor``.

    Raises:
        ConfigError: If a value is out of its range, the classifier has other classes, or it needs tiles that
            cannot be had from this model's.
    """

    def __init__(
        self,
        network: dict[str, Any],
        mask_weights: dict[str, float] | None = None,
        gate: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, data_preprocessor=data_preprocessor, **kwargs)
        self.mask_weights = _check_weights(WEIGHTS if mask_weights is None else mask_weights)
        settings = check_gate(gate)
        self.gate: ClassifierGate | None = None
        self.gate_in_validation: bool = settings['in_validation']
        self._gated = True
        if settings['enabled']:
            self.gate = ClassifierGate(
                settings['model'],
                Pixels.of(data_preprocessor),
                threshold=settings['threshold'],
                mode=settings['mode'],
                checkpoint=settings['checkpoint'],
            )
            if self.out_channels - self.gate.num_classes not in (0, 1):
                raise ConfigError(
                    f'model.gate.model: found a classifier of {self.gate.num_classes} classes, expected as many '
                    f'as the network has outputs, {self.out_channels}, or one less, without background'
                )

    def masks_of(self, data_samples: Sequence[Any]) -> dict[str, WeightedMask]:
        """The masks of a batch that have a weight, by name.

        Args:
            data_samples: N samples with ``gt_sem_seg`` and the other masks' fields, all (1, H, W).

        Raises:
            ConfigError: If a sample lacks a field.
            DataError: If masks of one tile differ in size.
        """
        first = stack_masks(data_samples)
        masks = {}
        for name, weight in self.mask_weights.items():
            if weight:
                target = first if name == FIRST else _further(data_samples, name, first)
                masks[name] = WeightedMask(target, weight)
        return masks

    def encode_decode(
        self, inputs: Tensor, batch_img_metas: Sequence[dict] | None = None
    ) -> Tensor:
        """Logits of the prediction at the size of the input, behind the gate.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            batch_img_metas: Not read.

        Returns:
            float32, (N, K, H, W). Their softmax are the class probabilities.
        """
        logits = super().encode_decode(inputs, batch_img_metas)
        if self.gate is None or not self._gated:
            return logits
        return self.gate(logits, inputs)

    def val_step(self, data: Any) -> list[Any]:
        """Predictions of a batch for validation: with the gate only if ``in_validation`` says so."""
        self._gated = self.gate_in_validation
        try:
            return super().val_step(data)
        finally:
            self._gated = True


def _further(data_samples: Sequence[Any], name: str, first: Tensor) -> Tensor:
    """Masks of a field, int64, (N, H, W)."""
    for sample in data_samples:
        if sample.get(name) is None:
            raise ConfigError(
                f'model.mask_weights: found {name!r}, which is no mask of '
                f'{sample.metainfo.get("img_path", "a sample")}. Add it to arml.LoadFurtherMasks in '
                'train_dataloader.dataset.pipeline, or set its weight to 0'
            )
    masks = stack_masks(data_samples, name).long()
    if masks.shape != first.shape:
        raise DataError(
            f'mask {name!r}: found {tuple(masks.shape)}, expected {tuple(first.shape)} as of the first mask. '
            'model.data_preprocessor pads that one alone; bring tiles to one size in the pipeline'
        )
    return masks


def _check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    for name, weight in weights.items():
        number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not number or not isfinite(weight) or weight < 0:
            raise ConfigError(
                f'model.mask_weights.{name}: found {weight!r}, expected a number >= 0'
            )
    if not any(weights.values()):
        raise ConfigError(
            f'model.mask_weights: found {dict(weights)}, expected one of them above 0'
        )
    return dict(weights)
