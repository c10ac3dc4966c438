"""Tiles of a loader as the input of a network: as mmseg's preprocessor, without waiting for a GPU."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

import arml.models  # noqa: F401
from arml.errors import DataError
from arml.models.data_preprocessor import to_device
from arml.registry import MODELS

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
EQUAL, UNEQUAL = [(6, 5), (6, 5)], [(6, 5), (4, 8)]


def batch(sizes):
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for index, size in enumerate(sizes):
        inputs.append(torch.randint(0, 256, (3, *size), generator=generator).byte())
        sample = SegDataSample(metainfo={'image_label': (1, 0), 'ori_shape': size})
        mask = torch.randint(0, 4, (1, *size), generator=generator)
        sample.set_data({'gt_sem_seg': PixelData(data=mask), 'weight': torch.tensor(0.5 * index)})
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


@pytest.mark.parametrize('converts', [True, False])
@pytest.mark.parametrize(
    ('sizes', 'training', 'options'),
    [
        (EQUAL, True, dict(size_divisor=1)),
        (EQUAL, True, dict(size=(8, 8))),
        (UNEQUAL, True, dict(size_divisor=4, pad_val=-1, seg_pad_val=7)),
        (EQUAL, False, dict(size_divisor=4)),
        (EQUAL, False, dict(test_cfg=dict(size_divisor=4), size_divisor=1)),
    ],
)
def test_preprocessor__equals_mmsegs_bit_for_bit(sizes, training, options, converts):
    options = dict(mean=MEAN, std=STD, bgr_to_rgb=converts, **options)
    expected = SegDataPreProcessor(**options)(batch(sizes), training)
    ours = MODELS.build(dict(type='arml.TissueDataPreProcessor', **options))
    found = ours(batch(sizes), training)
    assert torch.equal(found['inputs'], expected['inputs'])
    assert found.keys() == expected.keys()
    for one, other in zip(found['data_samples'], expected['data_samples'], strict=True):
        assert one.metainfo == other.metainfo
        assert one.keys() == other.keys()
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        assert torch.equal(one.weight, other.weight)


def test_preprocessor__channels_last_is_the_order_in_memory_alone():
    options = dict(type='arml.TissueDataPreProcessor', mean=MEAN, std=STD, size=(8, 8))
    expected = MODELS.build(options)(batch(EQUAL), True)['inputs']
    found = MODELS.build({**options, 'channels_last': True})(batch(EQUAL), True)['inputs']
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.nn.Conv2d(3, 4, 3)(found).is_contiguous(memory_format=torch.channels_last)


def test_preprocessor__leaves_the_loaders_batch_alone():
    given = batch(EQUAL)
    before = given['inputs'][0].clone()
    options = dict(mean=MEAN, std=STD, bgr_to_rgb=True, size=(8, 8))
    ours = MODELS.build(dict(type='arml.TissueDataPreProcessor', **options))
    found = ours(given, True)
    assert torch.equal(given['inputs'][0], before)
    assert given['data_samples'][0].gt_sem_seg.shape == (6, 5)
    assert found['data_samples'][0].gt_sem_seg.shape == (8, 8)


def test_preprocessor__without_samples():
    ours = MODELS.build(dict(type='arml.TissueDataPreProcessor', normalise='tile'))
    found = ours({'inputs': batch(EQUAL)['inputs']})
    assert found['data_samples'] is None
    assert found['inputs'].mean((2, 3)).abs().max() < 1e-5


def test_to_device__goes_to_a_gpu_through_pinned_memory_and_nowhere_else():
    steps = []

    class Recorded(SimpleNamespace):
        def pin_memory(self):
            steps.append('pin')
            return self

        def to(self, device, **options):
            steps.append((device.type, options))

    cpu, gpu = torch.device('cpu'), torch.device('cuda', 0)
    to_device(Recorded(device=cpu), gpu)
    assert steps == ['pin', ('cuda', {'non_blocking': True})]
    steps.clear()
    to_device(Recorded(device=gpu), gpu)
    to_device(Recorded(device=gpu), cpu)  # what is read must have arrived
    to_device(Recorded(device=cpu), cpu)
    assert steps == [('cuda', {}), ('cpu', {}), ('cpu', {})]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('normalise', ['dataset', 'tile', 'unit'])
def test_preprocessor__gpu_is_not_waited_for(normalise):
    options = dict(mean=MEAN, std=STD, bgr_to_rgb=True, normalise=normalise)
    ours = MODELS.build(dict(type='arml.TissueDataPreProcessor', **options))
    expected = ours(batch(EQUAL), True)
    ours = ours.to('cuda')
    ours(batch(EQUAL), True)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        found = ours(batch(EQUAL), True)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    torch.testing.assert_close(found['inputs'].cpu(), expected['inputs'])
    for one, other in zip(found['data_samples'], expected['data_samples'], strict=True):
        assert torch.equal(one.gt_sem_seg.data.cpu(), other.gt_sem_seg.data)
        assert one.weight.device.type == 'cuda'


@pytest.mark.parametrize('training', [True, False])
def test_preprocessor__tiles_of_two_sizes_name_two_files(training):
    preprocessor = MODELS.build(
        dict(type='arml.TissueDataPreProcessor', normalise='unit', size_divisor=1)
    )
    tiles = [torch.zeros(3, 4, 6), torch.zeros(3, 4, 6), torch.zeros(3, 5, 6)]
    samples = [SegDataSample(metainfo=dict(img_path=f'{name}.png')) for name in 'abc']
    with pytest.raises(DataError, match=r'c\.png: 6x5 pixels; expected 6x4 as a\.png'):
        preprocessor(dict(inputs=tiles, data_samples=samples), training)
