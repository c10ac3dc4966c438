"""Protocols A and B on tiny masks."""

import socket
import sys

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from sklearn.metrics import confusion_matrix as sklearn_confusion

from arml.errors import ConfigError, DataError
from arml.evaluation.tissue_metric import TissueMetric, predict_white
from arml.registry import METRICS

CLASSES = ('TUM', 'STR', 'LYM', 'NEC')
META = {'classes': CLASSES, 'background_index': 4, 'white_area': False}
WHITE_META = {**META, 'white_area': True}
NO_BACKGROUND_META = {**META, 'background_index': None}


def masks(seed: int, images: int = 6, background: bool = True) -> tuple:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 5 if background else 4, (images, 12, 10))
    prediction = np.where(generator.random(truth.shape) < 0.5, truth, 0)
    prediction[prediction == 4] = 1
    truth[:, 0] = 255
    return prediction, truth


def sample(prediction, truth, **metainfo) -> SegDataSample:
    result = SegDataSample(metainfo=metainfo)
    result.pred_sem_seg = PixelData(data=torch.as_tensor(prediction)[None])
    if truth is not None:
        result.gt_sem_seg = PixelData(data=torch.as_tensor(truth)[None])
    return result


def evaluate(samples: list, meta: dict = META, **settings) -> tuple:
    metric = METRICS.build({'type': 'arml.TissueMetric', **settings})
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = meta
    for one in samples:  # batches of one
        evaluator.process([one])
    return evaluator.evaluate(len(samples)), metric


def pairs(prediction, truth) -> list:
    return [
        sample(p, t, img_path=f'{i}.png')
        for i, (p, t) in enumerate(zip(prediction, truth, strict=True))
    ]


def test_tissue_metric__names_and_oracle():
    prediction, truth = masks(0)
    metrics, metric = evaluate(pairs(prediction, truth))
    scalars = ['mIoU', 'mDice', 'ACC', 'FwIoU']
    names = scalars + [f'{s}.{c}' for s in ('IoU', 'Dice') for c in CLASSES]
    assert set(metrics) == {*names, *(f'B.{name}' for name in names)}
    assert all(type(value) is float for value in metrics.values())

    counted = truth != 255
    full = sklearn_confusion(truth[counted], prediction[counted], labels=range(5))
    assert np.array_equal(metric.last_confusion['B'], full)
    tissue = counted & (truth != 4)
    a = sklearn_confusion(truth[tissue], prediction[tissue], labels=range(4))
    assert np.array_equal(metric.last_confusion['A'][:4, :4], a)
    iou_a = np.diag(a) / (a.sum(0) + a.sum(1) - np.diag(a))
    iou_b = (np.diag(full) / (full.sum(0) + full.sum(1) - np.diag(full)))[:4]
    assert metrics['mIoU'] == pytest.approx(100 * iou_a.mean(), abs=1e-10)
    assert metrics['B.mIoU'] == pytest.approx(100 * iou_b.mean(), abs=1e-10)
    assert metrics['IoU.LYM'] == pytest.approx(100 * iou_a[2], abs=1e-10)
    assert metrics['ACC'] == pytest.approx(100 * np.trace(a) / a.sum(), abs=1e-10)
    assert metrics['B.mIoU'] < metrics['mIoU']


def test_tissue_metric__only_b_looks_at_background_pixels():
    prediction, truth = masks(1)
    before, _ = evaluate(pairs(prediction, truth))
    changed = np.where(truth == 4, 3, prediction)
    after, _ = evaluate(pairs(changed, truth))
    assert all(before[n] == after[n] for n in before if not n.startswith('B.'))
    assert after['B.mIoU'] != before['B.mIoU']
    # ignored pixels count under neither
    ignored, _ = evaluate(pairs(np.where(truth == 255, 2, prediction), truth))
    assert ignored == before


def test_tissue_metric__batches_equal_one_shot():
    prediction, truth = masks(2)
    one_by_one, metric = evaluate(pairs(prediction, truth))
    together, whole = evaluate([sample(prediction.reshape(-1, 10), truth.reshape(-1, 10))])
    assert one_by_one == together
    assert np.array_equal(metric.last_confusion['B'], whole.last_confusion['B'])


def test_tissue_metric__background_predicted_on_tissue_is_a_miss():
    truth = np.zeros((4, 5), dtype=np.int64)
    prediction = truth.copy()
    prediction[0] = 4
    metrics, _ = evaluate([sample(prediction, truth)])
    assert metrics['IoU.TUM'] == metrics['B.IoU.TUM'] == pytest.approx(75)
    assert metrics['ACC'] == pytest.approx(75)
    assert np.isnan(metrics['IoU.STR'])
    assert metrics['mIoU'] == pytest.approx(75)


def test_tissue_metric__b_is_left_out_without_background():
    prediction, truth = masks(3, background=False)
    metrics, metric = evaluate(pairs(prediction, truth), NO_BACKGROUND_META)
    assert 'mIoU' in metrics
    assert not [name for name in metrics if name.startswith('B.')]
    assert metric.last_confusion['A'].shape == (4, 4)
    with pytest.raises(ConfigError, match='only protocol B'):
        evaluate(pairs(prediction, truth), NO_BACKGROUND_META, protocols=('B',))


@pytest.fixture
def white_tile(tmp_path):
    """A tile whose right half is white, and its path."""
    image = np.full((16, 20, 3), 120, dtype=np.uint8)
    image[:, 10:] = 250
    image[2, 2] = 255  # one white pixel, too small an area
    path = tmp_path / 'tile.png'
    Image.fromarray(image).save(path)
    return image, str(path)


def test_tissue_metric__white_rule_predicts_background_under_b_only(white_tile):
    image, path = white_tile
    truth = np.zeros((16, 20), dtype=np.int64)
    truth[:, 10:] = 4
    prediction = np.zeros_like(truth)
    ruled, _ = evaluate([sample(prediction, truth, img_path=path)], WHITE_META)
    assert ruled['IoU.TUM'] == ruled['B.IoU.TUM'] == 100
    plain, _ = evaluate([sample(prediction, truth, img_path=path)], META)
    assert plain['IoU.TUM'] == 100
    assert plain['B.IoU.TUM'] == pytest.approx(50)
    # under protocol A white predicted on tissue must not become a miss
    tissue, _ = evaluate([sample(prediction, np.zeros_like(truth), img_path=path)], WHITE_META)
    assert tissue['IoU.TUM'] == 100
    assert tissue['B.IoU.TUM'] == pytest.approx(50)
    assert (predict_white(prediction, image, 4) == truth).all()


def test_tissue_metric__white_rule_leaves_a_network_with_background_alone(white_tile):
    _, path = white_tile
    truth = np.zeros((16, 20), dtype=np.int64)
    one = sample(truth, truth, img_path=path)
    one.seg_logits = PixelData(data=torch.zeros(5, 16, 20))
    assert evaluate([one], WHITE_META)[0]['B.IoU.TUM'] == 100
    one = sample(truth, truth, img_path=path)
    one.seg_logits = PixelData(data=torch.zeros(4, 16, 20))
    assert evaluate([one], WHITE_META)[0]['B.IoU.TUM'] == pytest.approx(50)


def test_tissue_metric__keeps_matrices_per_image_on_demand():
    prediction, truth = masks(4, images=3)
    _, metric = evaluate(pairs(prediction, truth), keep_per_image=True)
    assert [image['img_path'] for image in metric.per_image] == ['0.png', '1.png', '2.png']
    assert np.array_equal(sum(i['A'] for i in metric.per_image), metric.last_confusion['A'])
    assert evaluate(pairs(prediction, truth))[1].per_image == []


def test_tissue_metric__raises(tmp_path):
    prediction, truth = masks(5, images=1)
    with pytest.raises(ConfigError, match=r"protocols=\['C'\]"):
        TissueMetric(protocols=['C'])
    with pytest.raises(ConfigError, match='metainfo has no "background_index"'):
        evaluate(pairs(prediction, truth), {'classes': CLASSES})
    with pytest.raises(ConfigError, match='background_index is 0, expected 4'):
        evaluate(pairs(prediction, truth), {**META, 'background_index': 0})
    with pytest.raises(DataError, match=r'x\.png: no true mask'):
        evaluate([sample(prediction[0], None, img_path='x.png')])
    with pytest.raises(DataError, match=r'0\.png: truth holds labels from 0 to 4, expected 0 to 3'):
        evaluate(pairs(prediction, truth), NO_BACKGROUND_META)
    with pytest.raises(DataError, match=r'x\.png: prediction and truth differ in shape'):
        evaluate([sample(prediction[0, 1:], truth[0], img_path='x.png')])
    with pytest.raises(DataError, match='no pixel to count'):
        evaluate([sample(prediction[0], np.full_like(truth[0], 255))])
    with pytest.raises(DataError, match='sample has no img_path'):
        evaluate([sample(prediction[0], truth[0])], WHITE_META)
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'not a picture')
    with pytest.raises(DataError, match=r'broken\.png: not a readable image'):
        evaluate([sample(prediction[0], truth[0], img_path=str(broken))], WHITE_META)
    small = tmp_path / 'small.png'
    Image.new('RGB', (3, 3)).save(small)
    with pytest.raises(DataError, match=r'small\.png: the image is \(3, 3\)'):
        evaluate([sample(prediction[0], truth[0], img_path=str(small))], WHITE_META)


def _rank(rank: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group(
        'gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    prediction, truth = masks(6, images=5)
    # as mmengine's sampler does: every second image, the last one twice to fill up
    indices = [0, 2, 4] if rank == 0 else [1, 3, 0]
    metric = TissueMetric(collect_dir=f'{folder}/collect')
    metric.dataset_meta = META
    samples = pairs(prediction, truth)
    metric.process(None, [samples[i].to_dict() for i in indices])
    torch.save(metric.evaluate(5), f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform == 'win32', reason='gloo over TCP is tested on POSIX only')
def test_tissue_metric__two_processes_equal_one(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, (port, str(tmp_path)), nprocs=2)
    expected, _ = evaluate(pairs(*masks(6, images=5)))
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pt') == expected
