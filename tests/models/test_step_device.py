"""No training step waits for the device: no value is read back, no shape depends on values."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch._subclasses.fake_tensor import FakeTensorMode

import arml.models  # noqa: F401
from arml.pipeline.run import BF16
from arml.registry import MODELS

BACKBONE = dict(
    type='arml.TimmBackbone', model_name='resnet18', output_stride=8, out_indices=(2,),
    pretrained=False,
)  # fmt: skip
PREPROCESSOR = dict(
    type='arml.TissueDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True
)


def classifier(**options):
    return dict(
        type='arml.MultiLabelClassifier', backbone=BACKBONE, data_preprocessor=PREPROCESSOR,
        neck=dict(type='arml.ARSNeck', in_channels=128, gamma_init=0.1, **options),
        head=dict(type='arml.LinearMapHead', num_classes=4, in_channels=128),
    )  # fmt: skip


def segmentor(**options):
    network = dict(
        type='EncoderDecoder', backbone=BACKBONE, train_cfg=dict(), test_cfg=dict(mode='whole'),
        decode_head=dict(
            type='PSPHead', in_channels=128, in_index=0, channels=8, pool_scales=(1, 2),
            num_classes=4, norm_cfg=dict(type='BN'), align_corners=False,
        ),
    )  # fmt: skip
    return dict(
        type='arml.MutualLearningSegmentor', network=network, data_preprocessor=PREPROCESSOR,
        **options,
    )  # fmt: skip


CONFIGS = {
    'segmentor': segmentor(),
    'without voting and relation': segmentor(
        swv=dict(type='arml.SWVLoss', enabled=False), srm=dict(type='arml.SRMLoss', enabled=False)
    ),
    'one network, background logit': segmentor(
        num_networks=1, background=dict(logit='zero', in_relation=True),
        swv=dict(type='arml.SWVLoss', omega='drop'),
        srm=dict(type='arml.SRMLoss', samples='image', resolution='mask'),
    ),
    'normalised, regions': segmentor(
        swv=dict(type='arml.SWVLoss', normalise=True),
        srm=dict(type='arml.SRMLoss', samples='region'),
    ),
    'classifier': classifier(),
    'released classifier': classifier(softmax_dim='height', reactivation='released'),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _mmseg_scope():
    init_default_scope('mmseg')


def batch(number=2, size=32):
    """What a loader gives, on the CPU."""
    inputs = [torch.randint(0, 256, (3, size, size)).byte() for _ in range(number)]
    samples = []
    for _ in range(number):
        meta = dict(image_label=(1, 0, 0, 1), img_path='tile', img_shape=(size, size))
        sample = SegDataSample(metainfo=meta)
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 5, (1, size, size)))
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def stepper(config, device, wrap=OptimWrapper) -> Callable[[], dict]:
    """A whole step from raw tiles on the CPU: copies, forward and backward pass, update."""
    model = MODELS.build(config).train()
    model = model if device == 'cpu' else model.to(device)  # fake parameters cannot be moved
    wrapper = wrap(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9))
    data = batch()
    return lambda: model.train_step(data, wrapper)


@pytest.mark.parametrize('name', CONFIGS)
def test_step__reads_no_value(name):
    with FakeTensorMode():
        losses = stepper(CONFIGS[name], 'cpu')()
        assert losses['loss'].shape == ()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('wrap', [OptimWrapper, partial(AmpOptimWrapper, **BF16)])
@pytest.mark.parametrize('name', CONFIGS)
def test_step__gpu_is_not_waited_for(name, wrap):
    step = stepper(CONFIGS[name], 'cuda', wrap=wrap)
    step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        losses = step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert losses['loss'].isfinite()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('options', [dict(), BF16])
@pytest.mark.parametrize('name', CONFIGS)
def test_step__mixed_precision_is_near_full(name, options):
    """The loss of a first step."""
    torch.manual_seed(0)
    exact = stepper(CONFIGS[name], 'cuda')()
    torch.manual_seed(0)
    mixed = stepper(CONFIGS[name], 'cuda', wrap=partial(AmpOptimWrapper, **options))()
    torch.testing.assert_close(mixed['loss'], exact['loss'], rtol=0.1, atol=0.1)
