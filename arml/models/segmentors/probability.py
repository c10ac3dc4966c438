"""What all segmentors of arml have in common: a prediction that is a probability of every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import EncoderDecoder
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.models.utils import resize
from torch import Tensor

from arml.models.losses.functional import at_least_float32


class ProbabilitySegmentor(BaseSegmentor):
    """Prediction from one or more mmseg networks; how they are trained is for subclasses to say.

    A subclass sets ``networks``, calls :meth:`describe` at the end of its constructor, and has ``loss``. Where
    the prediction is not that of the first network, it has ``encode_decode`` of its own.

    Attributes:
        networks: Networks of one template (:func:`~arml.models.segmentors.template.build_network`).
    """

    networks: Sequence[EncoderDecoder]

    def describe(self) -> None:
        """Say what mmseg's ``postprocess_result`` and tools read from a segmentor."""
        first = self.networks[0]
        self.align_corners: bool = first.align_corners
        self.num_classes: int = first.num_classes
        self.out_channels: int = first.out_channels

    def extract_feat(self, inputs: Tensor) -> Any:
        """Features of the first network, as its backbone (and neck) gives them."""
        return self.networks[0].extract_feat(inputs)

    def encode_decode(
        self, inputs: Tensor, batch_img_metas: Sequence[dict] | None = None
    ) -> Tensor:
        """Logits of the prediction at the size of the input.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            batch_img_metas: Not read; mmseg's signature.

        Returns:
            float, (N, K, H, W). Their softmax are the class probabilities.
        """
        return self.logits_of(0, inputs)

    def predict_probabilities(self, inputs: Tensor) -> Tensor:
        """Class probabilities at the size of the input; depends on the array alone.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).

        Returns:
            float32 in [0, 1] with sum 1 over classes, (N, K, H, W).
        """
        return self.encode_decode(inputs).softmax(1)

    def predict(self, inputs: Tensor, data_samples: list[Any] | None = None) -> list[Any]:
        """Segmentations in mmseg's form.

        Args:
            inputs: Preprocessed tiles, float, (N, 3, H, W).
            data_samples: N samples whose ``ori_shape`` (and padding, flip) is undone, or None.

        Returns:
            The samples with ``pred_sem_seg`` (1, h, w) and ``seg_logits`` (K, h, w).
        """
        return self.postprocess_result(self.encode_decode(inputs), data_samples)

    def logits_of(self, index: int, inputs: Tensor) -> Tensor:
        """Logits of one network at the size of the input, float32, (N, K, H, W)."""
        network = self.networks[index]
        logits = network.decode_head(network.extract_feat(inputs))
        return self.resize_logits(at_least_float32(logits), inputs.shape[-2:])

    def resize_logits(self, logits: Tensor, size: Sequence[int] | torch.Size) -> Tensor:
        """Logits (N, K, h, w) at another size, bilinear, corners aligned as the head says."""
        return resize(
            logits, size=size, mode='bilinear', align_corners=self.align_corners, warning=False
        )

    def _forward(self, inputs: Tensor, data_samples: list[Any] | None = None) -> Tensor:
        """Logits of the prediction, (N, K, H, W); mmengine's mode ``'tensor'``."""
        return self.encode_decode(inputs)
