"""The segmentation metric of the project: protocols A and B at full precision."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from arml.datasets.transforms import decode_tile
from arml.datasets.white_area import white_area
from arml.errors import ConfigError, DataError
from arml.evaluation.collecting import CollectingMetric
from arml.evaluation.confusion import PROTOCOLS, confusion_matrix, protocol_metrics
from arml.registry import METRICS


def predict_white(prediction: np.ndarray, image: np.ndarray, background_index: int) -> np.ndarray:
    """Overwrite white areas of the image by background (rule of LUAD-HistoSeg).

    Args:
        prediction: Predicted labels, integer, (H, W).
        image: The tile, uint8, RGB, (H, W, 3).
        background_index: Label written where the tile is white.

    Returns:
        The changed prediction, a new array of the same dtype.
    """
    return np.where(white_area(image), prediction.dtype.type(background_index), prediction)


@METRICS.register_module()
class TissueMetric(CollectingMetric):
    """Scores of predicted tissue masks (``docs/metrics.md``).

    Every pixel of every image enters one confusion matrix per protocol; scores are read from
    the sum over the split. Protocol A drops the pixels whose truth is background. Protocol B
    keeps them: a network with K outputs has to name a tissue there, and each such pixel is a
    false positive. Only where the data set says ``white_area=True`` (LUAD-HistoSeg), and the
    network does not predict background by itself, the white-area rule predicts background
    under protocol B. Protocol B is left out where the data set has no background to predict
    (``background_index=None``, EBHI).

    Args:
        protocols: What to report, of ``'A'`` and ``'B'``.
        ignore_index: True label that no protocol counts.
        keep_per_image: Keep the matrices of every image in :attr:`per_image` (for a bootstrap
            over images) after the evaluation.
        collect_device: As in mmengine.
        prefix: As in mmengine; ``None`` leaves the names as they are.
        collect_dir: As in mmengine.

    Attributes:
        last_confusion: After an evaluation, on the main process: protocol -> int64 matrix,
            rows truth, columns prediction, background last where the data set has one. Under
            protocol A the row of background is empty.
        per_image: With ``keep_per_image``, on the main process: one dict per image with
            ``img_path`` and a matrix per protocol.

    Raises:
        ConfigError: If a protocol is unknown, or the data set's ``metainfo`` lacks what is
            needed.
        DataError: If a sample has no true mask, a label is out of range, sizes disagree, an
            image cannot be read, or the split holds no pixel to count.
    """

    default_prefix = ''  # names stand as they are; None would be warned about

    def __init__(
        self,
        protocols: Sequence[str] = PROTOCOLS,
        ignore_index: int = 255,
        keep_per_image: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        if not protocols or set(protocols) - set(PROTOCOLS):
            raise ConfigError(
                f'TissueMetric: protocols={list(protocols)!r}, expected a choice of '
                f'{list(PROTOCOLS)}'
            )
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.protocols = tuple(protocols)
        self.ignore_index = ignore_index
        self.keep_per_image = keep_per_image
        self.last_confusion: dict[str, np.ndarray] = {}
        self.per_image: list[dict[str, Any]] = []

    def _meta(self, key: str) -> Any:
        if self.dataset_meta is None or key not in self.dataset_meta:
            raise ConfigError(
                f'TissueMetric: the data set\'s metainfo has no "{key}"; use a data set class of '
                "arml.datasets, or state it in the data set's metainfo"
            )
        return self.dataset_meta[key]

    def _size(self) -> tuple[int, int | None]:
        """Number of classes of the matrix and the label of background."""
        num_classes, background = len(self._meta('classes')), self._meta('background_index')
        if background not in (None, num_classes):
            raise ConfigError(
                f'TissueMetric: background_index is {background}, expected {num_classes} (the '
                f'label after the {num_classes} classes) or None'
            )
        return num_classes + (background is not None), background

    def applied_protocols(self) -> tuple[str, ...]:
        """Those of ``protocols`` that the data set allows."""
        _, background = self._size()
        return tuple(p for p in self.protocols if p == 'A' or background is not None)

    def score_names(self) -> list[str]:
        """What :meth:`compute_metrics` will give; needs the data set's metainfo alone."""
        size, _ = self._size()
        matrix, classes = np.eye(size, dtype=int), self._meta('classes')
        protocols = self.applied_protocols()
        return [name for p in protocols for name in protocol_metrics(matrix, classes, p)]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count one batch of predictions (``pred_sem_seg`` against ``gt_sem_seg``)."""
        for sample in data_samples:
            self.results.append(self._count(sample))

    def _count(self, sample: dict) -> dict[str, Any]:
        size, background = self._size()
        name = sample.get('img_path', 'a sample without img_path')
        if 'gt_sem_seg' not in sample:
            raise DataError(
                f'{name}: no true mask (gt_sem_seg), which TissueMetric needs; evaluate on a split '
                "with masks, masks='dense' in the data set"
            )
        truth = sample['gt_sem_seg']['data'].squeeze(0).cpu().numpy()
        prediction = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy()
        counted: dict[str, Any] = {'img_path': str(name)}
        try:
            for protocol in self.applied_protocols():
                if protocol == 'B' and self._white_rule_predicts(sample):
                    prediction = predict_white(prediction, _read_image(sample, truth), background)
                matrix = confusion_matrix(prediction, truth, size, self.ignore_index)
                if protocol == 'A':
                    matrix[len(self._meta('classes')) :] = 0
                counted[protocol] = matrix
        except ValueError as error:
            raise DataError(f'{name}: {error}') from error
        return counted

    def _white_rule_predicts(self, sample: dict) -> bool:
        if not self._meta('white_area'):
            return False
        outputs = sample['seg_logits']['data'].shape[0] if 'seg_logits' in sample else None
        return outputs != self._meta('background_index') + 1

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Flat scores in percent, not rounded (names as in :func:`protocol_metrics`)."""
        self.last_confusion = {}
        self.per_image = list(results) if self.keep_per_image else []
        metrics: dict[str, float] = {}
        for protocol in self.applied_protocols():
            matrix = sum(result[protocol] for result in results)
            if not np.any(matrix):
                raise DataError(
                    f'protocol {protocol}: the split holds no pixel to count ({len(results)} '
                    'images, every pixel ignored or background); check its masks'
                )
            self.last_confusion[protocol] = matrix
            metrics.update(protocol_metrics(matrix, self._meta('classes'), protocol))
        if not metrics:
            raise ConfigError(
                'TissueMetric: only protocol B is asked for, which does not apply to a data set '
                "without background (background_index=None); add 'A' to protocols"
            )
        return metrics


def _read_image(sample: dict, truth: np.ndarray) -> np.ndarray:
    path = sample.get('img_path')
    if path is None:
        raise DataError('the white-area rule needs the image: the sample has no img_path')
    image = decode_tile(path)[..., ::-1]
    if image.shape[:2] != truth.shape:
        raise DataError(
            f'{path}: the image is {image.shape[:2]} pixels (height, width) and its mask '
            f'{truth.shape}; the white-area rule needs both at the same size'
        )
    return image
