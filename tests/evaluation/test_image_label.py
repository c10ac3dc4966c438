"""Accuracy and average precision of image-level labels."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from arml.errors import DataError
from arml.evaluation.image_label import ImageLabelMetric, average_precision
from arml.registry import METRICS


def run(scores, labels, **arguments) -> dict[str, float]:
    metric = METRICS.build({'type': 'arml.ImageLabelMetric', **arguments})
    metric.dataset_meta = {'classes': ('A', 'B', 'C')}
    for start in range(0, len(scores), 4):
        samples = [
            {'pred_scores': torch.as_tensor(s), 'image_label': tuple(int(v) for v in row)}
            for s, row in zip(scores[start : start + 4], labels[start : start + 4], strict=True)
        ]
        metric.process({}, samples)
    return metric.evaluate(len(scores))


@pytest.mark.parametrize('levels', [1000, 4])
def test_average_precision__equals_sklearn_also_with_ties(levels):
    rng = np.random.default_rng(0)
    scores = np.round(rng.random(60) * levels) / levels
    labels = rng.random(60) < 0.3
    expected = average_precision_score(labels, scores)
    assert average_precision(scores, labels) == pytest.approx(expected)


def test_average_precision__edges():
    assert math.isnan(average_precision(np.array([0.1, 0.2]), np.array([0, 0])))
    assert average_precision(np.array([0.9, 0.1]), np.array([1, 0])) == 1
    assert average_precision(np.array([0.5, 0.5]), np.array([1, 0])) == 0.5


def test_image_label_metric__values():
    rng = np.random.default_rng(1)
    scores = rng.random((10, 3)).astype(np.float32)
    labels = rng.random((10, 3)) < 0.5
    labels[:, 2] = False
    metrics = run(scores, labels)
    assert metrics['label_accuracy.A'] == 100 * np.mean((scores[:, 0] > 0.5) == labels[:, 0])
    assert metrics['AP.B'] == pytest.approx(
        100 * average_precision_score(labels[:, 1], scores[:, 1])
    )
    assert math.isnan(metrics['AP.C'])
    assert metrics['mAP'] == pytest.approx((metrics['AP.A'] + metrics['AP.B']) / 2)
    mean = np.mean([metrics[f'label_accuracy.{name}'] for name in 'ABC'])
    assert metrics['label_accuracy'] == pytest.approx(mean)
    assert all(isinstance(value, float) for value in metrics.values())


def test_image_label_metric__threshold():
    scores, labels = np.array([[0.3, 0.3, 0.3]]), np.array([[1, 1, 1]])
    assert run(scores, labels)['label_accuracy'] == 0
    assert run(scores, labels, threshold=0.25)['label_accuracy'] == 100


def test_image_label_metric__refuses():
    metric = ImageLabelMetric()
    with pytest.raises(DataError, match=r'tile.png: image_label: found none, expected 3'):
        metric.process({}, [{'pred_scores': torch.rand(3), 'img_path': 'tile.png'}])
    with pytest.raises(DataError, match='found 2 entries'):
        metric.process({}, [{'pred_scores': torch.rand(3), 'image_label': (0, 1)}])
