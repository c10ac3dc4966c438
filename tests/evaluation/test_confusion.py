"""Confusion matrices against loops and against other libraries."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import f1_score, jaccard_score

from arml.evaluation.confusion import confusion_matrix, protocol_metrics, scores


def random_labels(seed: int, classes: int = 4, shape: tuple = (3, 20, 17)) -> tuple:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, shape)
    noise = generator.integers(0, classes, shape)
    prediction = np.where(generator.random(shape) < 0.6, truth, noise)
    return prediction, truth


def test_confusion_matrix__equals_a_loop_and_leaves_out_ignored():
    prediction, truth = random_labels(0)
    truth[0, :3] = 255
    prediction[0, 0] = 200
    expected = np.zeros((4, 4), dtype=int)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != 255:
            expected[t, p] += 1
    found = confusion_matrix(prediction, truth, 4)
    assert found.dtype == np.int64
    assert np.array_equal(found, expected)


@pytest.mark.parametrize('seed', range(3))
def test_confusion_matrix__equals_sklearn(seed):
    prediction, truth = random_labels(seed, classes=5)
    expected = sklearn_confusion(truth.ravel(), prediction.ravel(), labels=range(5))
    assert np.array_equal(confusion_matrix(prediction, truth, 5), expected)


def test_confusion_matrix__takes_tensors_and_small_integers():
    prediction, truth = random_labels(1)
    expected = confusion_matrix(prediction, truth, 4)
    assert np.array_equal(
        confusion_matrix(torch.as_tensor(prediction), torch.as_tensor(truth), 4), expected
    )
    # uint8 must not wrap when row and column are joined into one number
    wide = np.full((2, 2), 99, dtype=np.uint8)
    assert confusion_matrix(wide, wide, 100)[99, 99] == 4


def test_confusion_matrix__batches_add_up_to_one_shot():
    prediction, truth = random_labels(2, shape=(7, 9, 9))
    parts = [confusion_matrix(prediction[i], truth[i], 4) for i in range(7)]
    assert np.array_equal(sum(parts), confusion_matrix(prediction, truth, 4))


def test_confusion_matrix__raises():
    with pytest.raises(ValueError, match='differ in shape'):
        confusion_matrix(np.zeros((2, 2), int), np.zeros((2, 3), int), 4)
    with pytest.raises(ValueError, match='must be integers'):
        confusion_matrix(np.zeros((2, 2)), np.zeros((2, 2), int), 4)
    with pytest.raises(ValueError, match='prediction holds labels from 0 to 4'):
        confusion_matrix(np.array([0, 4]), np.array([0, 1]), 4)
    with pytest.raises(ValueError, match='truth holds labels from -1 to 0'):
        confusion_matrix(np.array([0, 1]), np.array([0, -1]), 4)


def test_scores__hand_computed():
    result = scores(np.array([[8, 2], [1, 9]]))
    assert result.iou == pytest.approx([8 / 11, 9 / 12])
    assert result.dice == pytest.approx([16 / 19, 18 / 21])
    assert result.miou == pytest.approx((8 / 11 + 9 / 12) / 2)
    assert result.acc == pytest.approx(17 / 20)
    assert result.fwiou == pytest.approx(0.5 * 8 / 11 + 0.5 * 9 / 12)


@pytest.mark.parametrize('seed', range(3))
def test_scores__equal_sklearn_and_torchmetrics(seed):
    prediction, truth = random_labels(seed)
    result = scores(confusion_matrix(prediction, truth, 4))
    flat = truth.ravel(), prediction.ravel()
    assert result.iou == pytest.approx(jaccard_score(*flat, average=None), abs=1e-12)
    assert result.dice == pytest.approx(f1_score(*flat, average=None), abs=1e-12)
    assert result.acc == pytest.approx((truth == prediction).mean(), abs=1e-12)
    assert result.fwiou == pytest.approx(jaccard_score(*flat, average='weighted'), abs=1e-12)
    torchmetrics = pytest.importorskip('torchmetrics')
    oracle = torchmetrics.JaccardIndex('multiclass', num_classes=4, average='macro')
    value = oracle(torch.as_tensor(prediction), torch.as_tensor(truth))
    assert result.miou == pytest.approx(value.item(), abs=1e-6)


def test_scores__mean_runs_over_classes_that_occur():
    matrix = np.zeros((4, 4), int)
    matrix[0, 0], matrix[0, 1] = 6, 2  # class 1 is only predicted, 2 and 3 do not occur
    result = scores(matrix)
    assert np.array_equal(np.isnan(result.iou), [False, False, True, True])
    assert result.miou == pytest.approx((6 / 8 + 0) / 2)
    assert result.mdice == pytest.approx((12 / 14 + 0) / 2)


def test_scores__no_scored_class_occurs():
    result = scores(np.diag([0, 0, 3]), num_scored=2)
    assert np.isnan(result.miou)
    assert result.acc == 1


def test_scores__raises():
    with pytest.raises(ValueError, match='is square'):
        scores(np.zeros((2, 3), int))
    with pytest.raises(ValueError, match='counts no pixel'):
        scores(np.zeros((2, 2), int))
    with pytest.raises(ValueError, match=r'num_scored must be in \[1, 2\], found 3'):
        scores(np.eye(2, dtype=int), num_scored=3)


def test_protocol_metrics__background_on_tissue_is_a_miss_under_both():
    #            t0  t1  background
    matrix = np.array([[6, 0, 2], [0, 8, 0], [4, 0, 0]])
    a = protocol_metrics(matrix, ('x', 'y'), 'A')
    assert a['IoU.x'] == pytest.approx(100 * 6 / 8)
    assert a['ACC'] == pytest.approx(100 * 14 / 16)
    b = protocol_metrics(matrix, ('x', 'y'), 'B')
    assert b['B.IoU.x'] == pytest.approx(100 * 6 / 12)
    assert b['B.IoU.y'] == pytest.approx(100)
    assert b['B.mIoU'] == pytest.approx((50 + 100) / 2)
    assert b['B.ACC'] == pytest.approx(100 * 14 / 20)
    assert b['B.FwIoU'] == pytest.approx(8 / 20 * 50 + 8 / 20 * 100 + 4 / 20 * 0)
    assert set(b) == {f'B.{name}' for name in a}
    assert matrix[2, 0] == 4  # the caller's matrix is not touched


def test_protocol_metrics__raises():
    with pytest.raises(ValueError, match='protocol must be one of'):
        protocol_metrics(np.eye(2, dtype=int), ('x', 'y'), 'C')
    with pytest.raises(ValueError, match=r'2 classes need a 2x2 matrix.*\(4, 4\)'):
        protocol_metrics(np.eye(4, dtype=int), ('x', 'y'), 'A')
    with pytest.raises(ValueError, match='protocol B needs a matrix with a row'):
        protocol_metrics(np.eye(2, dtype=int), ('x', 'y'), 'B')
