"""How well a classifier tells which tissues a tile holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arml.errors import DataError
from arml.evaluation.collecting import CollectingMetric
from arml.registry import METRICS


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    r"""Area under the precision-recall steps.

    .. math:: \mathrm{AP} = \sum_i (R_i - R_{i-1}) P_i

    over the distinct scores in falling order; tiles of equal score count together.

    Args:
        scores: Float, (N,), any scale.
        labels: bool, (N,).

    Returns:
        AP in [0, 1]; nan if no label is true.
    """
    labels = labels.astype(bool)
    positives = labels.sum()
    if positives == 0:
        return float('nan')
    order = np.argsort(-scores, kind='stable')
    hits = np.cumsum(labels[order])
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    found = hits[last_of_ties]
    precision = found / (np.flatnonzero(last_of_ties) + 1)
    recall = found / positives
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


@METRICS.register_module()
class ImageLabelMetric(CollectingMetric):
    """Accuracy and average precision of image-level labels, in percent at full precision.

    Reads ``pred_scores`` (K probabilities) and ``image_label`` (K of 0 or 1) of each sample.
    Returns ``label_accuracy`` (mean over classes), ``label_accuracy.<class>``, ``mAP`` (mean over
    classes that occur) and ``AP.<class>`` (nan for a class that does not occur).

    Args:
        threshold: A class is answered if its probability is above this, in [0, 1].
        collect_device: As in mmengine.
        prefix: As in mmengine; none by default.
    """

    default_prefix = ''  # names stand as they are; None would be warned about

    def __init__(
        self, threshold: float = 0.5, collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.threshold = threshold

    def score_names(self) -> list[str]:
        """What :meth:`compute_metrics` will give; needs the data set's metainfo alone."""
        of_classes = [
            f'{score}.{name}'
            for name in (self.dataset_meta or {}).get('classes') or ()
            for score in ('label_accuracy', 'AP')
        ]
        return ['label_accuracy', 'mAP', *of_classes]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep scores and labels of a batch.

        Raises:
            DataError: If a sample has no label, or one of another length than its scores.
        """
        for sample in data_samples:
            scores = torch.as_tensor(sample['pred_scores']).detach().float().cpu().numpy()
            label = sample.get('image_label')
            if label is None or len(label) != len(scores):
                found = 'none' if label is None else f'{len(label)} entries'
                raise DataError(
                    f'{sample.get("img_path", "a sample")}: image_label: found {found}, expected '
                    f'{len(scores)} (val and test pipelines need arml.ImageLabelFromMask).'
                )
            self.results.append((scores, np.asarray(label, dtype=bool)))

    def compute_metrics(self, results: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Compute the metrics over all samples."""
        scores = np.stack([row[0] for row in results])
        labels = np.stack([row[1] for row in results])
        names = (self.dataset_meta or {}).get('classes') or range(scores.shape[1])
        right = ((scores > self.threshold) == labels).mean(axis=0)
        precision = np.array(
            [average_precision(*column) for column in zip(scores.T, labels.T, strict=True)]
        )
        occurring = ~np.isnan(precision)
        metrics = {
            'label_accuracy': 100 * right.mean(),
            'mAP': 100 * precision[occurring].mean() if occurring.any() else float('nan'),
        }
        for index, name in enumerate(names):
            metrics[f'label_accuracy.{name}'] = 100 * right[index]
            metrics[f'AP.{name}'] = 100 * precision[index]
        return {key: float(value) for key, value in metrics.items()}
