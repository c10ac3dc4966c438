"""The classifier of stage 1: trained with image-level labels, read out as maps."""

from numbers import Real
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F

from arml.errors import ConfigError, DataError
from arml.models.data_preprocessor import to_device
from arml.pseudo.maps import resize_maps
from arml.registry import MAPS, MASK_RULES, MODELS


@MODELS.register_module()
class MultiLabelClassifier(BaseModel):
    """Backbone, neck and head for multi-label classification; class maps from the same features.

    Args:
        backbone: Any arml, mmseg or timm (``arml.TimmBackbone``) backbone; its last map is used,
            or all of them if the neck says ``takes_all_maps``.
        neck: For example ``arml.ARSNeck`` or ``arml.ConcatNeck``; None for none.
        head: ``arml.LinearMapHead`` with ``num_classes`` and ``in_channels``.
        loss: Of logits (N, K) and labels (N, K).
        maps: How maps are computed, of the registry MAPS. Default ``arml.WeightMaps``.
        mask_rule: How maps become a mask, of the registry MASK_RULES. Default ``arml.MaskRule``.
        map_name: Which of the maps becomes the mask in prediction.
        presence_threshold: A class is present in a tile if its probability is above this, in
            [0, 1); if none is, the most probable one is. True labels are never used for it.
        data_preprocessor: mmseg's ``SegDataPreProcessor``.
        init_cfg: As in mmengine.

    Raises:
        ConfigError: If the mask rule needs the image and the preprocessor does not keep its colours,
            the threshold is out of range, or features have other channels than the head takes.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        loss: dict | None = None,
        maps: dict | None = None,
        mask_rule: dict | None = None,
        map_name: str = 'final',
        presence_threshold: float = 0.25,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.head = MODELS.build(head)
        self.loss_function = MODELS.build(loss or {'type': 'arml.MultiLabelSoftMarginLoss'})
        self.maps = MAPS.build(maps or {'type': 'arml.WeightMaps'})
        self.mask_rule = MASK_RULES.build(mask_rule or {'type': 'arml.MaskRule'})
        if (
            self.mask_rule.needs_image
            and getattr(self.data_preprocessor, 'normalise', '') == 'tile'
        ):
            raise ConfigError(
                "MultiLabelClassifier: found data_preprocessor.normalise='tile' with a mask_rule that "
                'looks at the image (white_area), whose colours are lost then. Expected '
                "normalise='dataset' or a rule without white_area."
            )
        number = isinstance(presence_threshold, Real) and not isinstance(presence_threshold, bool)
        if not number or not 0 <= presence_threshold < 1:
            raise ConfigError(
                f'classifier.model.presence_threshold: found {presence_threshold!r}, expected a '
                'number in [0, 1)'
            )
        self.map_name = map_name
        self.presence_threshold = presence_threshold

    @property
    def num_classes(self) -> int:
        """K."""
        return self.head.num_classes

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Features (N, C, h, w) after the neck, of preprocessed images (N, 3, H, W)."""
        features = self.backbone(inputs)
        several = getattr(self.neck, 'takes_all_maps', False)
        if isinstance(features, tuple | list) and not several:
            features = features[-1]
        if self.neck is not None:
            if getattr(self.neck, 'enabled', True) and not several:
                check_channels('neck', self.neck, features)
            features = self.neck(features)
        check_channels('head', self.head, features)
        return features

    def class_scores(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features."""
        return self.head.scores(features)

    def class_maps(self, features: Tensor) -> Tensor:
        """Raw class maps (N, K, h, w) of features: no ReLU, no normalisation."""
        return self.head.maps(features)

    def presence(self, inputs: Tensor, features: Tensor | None = None) -> Tensor:
        """Which classes the classifier takes to be present, bool (N, K); never from true labels.

        Args:
            inputs: Preprocessed images, float, (N, 3, H, W).
            features: ``extract_feat(inputs)``, if the caller has them already.
        """
        features = self.extract_feat(inputs) if features is None else features
        return self.present(self.class_scores(features).float().sigmoid())

    def present(self, probabilities: Tensor) -> Tensor:
        """Which classes count as present, bool (N, K): above the threshold, else the arg-max."""
        present = probabilities > self.presence_threshold
        best = F.one_hot(probabilities.argmax(dim=1), probabilities.shape[1]).bool()
        return torch.where(present.any(dim=1, keepdim=True), present, best)

    def forward(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None, mode: str = 'tensor'
    ) -> Any:
        """Run the classifier.

        Args:
            inputs: Preprocessed images, float, (N, 3, H, W).
            data_samples: One for each image; ``loss`` needs their ``image_label``.
            mode: ``loss``: a dict of losses and diagnostics; ``predict``: the samples with
                ``pred_scores`` (K probabilities), ``pred_sem_seg`` (the mask of the maps, int64
                0..K) and ``seg_logits`` (the normalised maps, (K, H, W)), at the original size;
                ``tensor``: logits (N, K).

        Raises:
            DataError: If a sample of ``loss`` has no usable label.
            ValueError: If ``mode`` is unknown.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.class_scores(self.extract_feat(inputs))
        raise ValueError(f'mode: found {mode!r}, expected loss, predict or tensor')

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """The loss and, without gradient, the share of right answers at 0.5."""
        logits = self.class_scores(self.extract_feat(inputs))
        labels = to_device(gather_labels(data_samples, self.num_classes), inputs.device)
        right = (logits.detach() > 0) == labels.bool()
        return {
            'loss_cls': self.loss_function(logits, labels),
            'label_accuracy': right.float().mean(),
        }

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Scores, maps and masks. The features are computed once for all three."""
        with torch.no_grad():
            features = self.extract_feat(inputs)
            probabilities = self.class_scores(features).float().sigmoid()
        maps = self.maps(self, inputs, features=features)[self.map_name]
        present = self.present(probabilities)
        if data_samples is None:
            data_samples = [SegDataSample() for _ in range(len(inputs))]
        for index, sample in enumerate(data_samples):
            image = self.restore_image(inputs[index]) if self.mask_rule.needs_image else None
            one = to_original_size(maps[index], tuple(inputs.shape[2:]), sample.metainfo)
            if image is not None:
                image = to_original_size(image, tuple(inputs.shape[2:]), sample.metainfo)
                image = image.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
            mask = self.mask_rule(one, present[index], image)
            labels = torch.from_numpy(mask.mask).to(inputs.device, torch.int64)
            sample.set_data(
                {
                    'pred_scores': probabilities[index],
                    'pred_sem_seg': PixelData(data=labels[None]),
                    'seg_logits': PixelData(data=mask.maps),
                }
            )
        return data_samples

    def restore_image(self, image: Tensor) -> Tensor:
        """Undo the preprocessing: RGB in 0..255, float, (3, H, W)."""
        preprocessor = self.data_preprocessor
        if getattr(preprocessor, '_enable_normalize', False):
            image = image * preprocessor.std + preprocessor.mean
        converted = getattr(preprocessor, '_channel_conversion', False)
        return image if converted else image.flip(0)


def check_channels(part: str, module: nn.Module, features: Tensor) -> None:
    """Check that a part of the classifier takes the features (N, C, h, w) that come to it.

    Raises:
        ConfigError: If it says that it takes another number of channels; names the leaf.
    """
    expected = getattr(module, 'in_channels', features.shape[1])
    if features.shape[1] != expected:
        raise ConfigError(
            f'classifier.model.{part}.in_channels: found {expected}, expected {features.shape[1]}, '
            'the channels of the features that come to it'
        )


def gather_labels(data_samples: list[SegDataSample], num_classes: int) -> Tensor:
    """Collect ``image_label`` of the samples as float (N, K).

    Raises:
        DataError: If one is missing or does not have K entries; names the image.
    """
    rows = []
    for sample in data_samples:
        label = sample.metainfo.get('image_label')
        where = sample.metainfo.get('img_path', 'a sample')
        if label is None:
            raise DataError(
                f'{where}: has no image-level label (image_label). Training needs '
                'arml.PackTissueInputs at the end of the pipeline, and labels in the file names.'
            )
        if len(label) != num_classes:
            raise DataError(
                f'{where}: image_label has {len(label)} entries ({tuple(label)}), expected '
                f'{num_classes}, the num_classes of the head.'
            )
        rows.append([float(value) for value in label])
    return torch.tensor(rows)


def to_original_size(maps: Tensor, input_size: tuple[int, int], meta: dict) -> Tensor:
    """Resize (C, h, w) bilinearly to the input, cut its padding off, resize to ``ori_shape``.

    Args:
        maps: Float, (C, h, w), covering the whole input.
        input_size: Height and width of the input in pixels.
        meta: ``ori_shape`` and mmseg's ``img_padding_size`` or ``padding_size`` (left, right,
            top, bottom), each optional.
    """
    padding = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
    size = tuple(meta.get('ori_shape', input_size))[:2]
    if any(padding):
        maps = resize_maps(maps, input_size)
        left, right, top, bottom = padding
        maps = maps[:, top : input_size[0] - bottom, left : input_size[1] - right]
    return resize_maps(maps, size)
