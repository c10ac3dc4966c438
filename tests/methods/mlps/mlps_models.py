"""Small models of MLPS for its tests: 4 classes, tiles of 16 pixels."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from arml.registry import MODELS

BACKBONE = dict(
    type='arml.TimmBackbone',
    model_name='resnet18',
    output_stride=8,
    out_indices=(3,),
    pretrained=False,
    model_args=dict(channels=(4, 8, 8, 8)),
)
#: Logits at half the size of the input: 8 x 8 for tiles of 16 pixels.
NETWORK = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='MixVisionTransformer', embed_dims=8, num_stages=1, num_layers=[1], num_heads=[1],
        patch_sizes=[3], strides=[2], sr_ratios=[1], out_indices=(0,),
    ),
    decode_head=dict(
        type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1, concat_input=False,
        dropout_ratio=0.0, num_classes=4, norm_cfg=dict(type='BN'), align_corners=False,
    ),
    train_cfg=dict(), test_cfg=dict(mode='whole'),
)  # fmt: skip
CLASSIFIER = dict(
    type='arml.MLPSClassifier',
    data_preprocessor=dict(type='arml.TissueDataPreProcessor', normalise='unit', bgr_to_rgb=True),
    backbone=BACKBONE,
    head=dict(type='arml.LinearMapHead', num_classes=4, in_channels=8, dropout=0.0),
)
PREPROCESSOR = dict(
    type='arml.TissueDataPreProcessor',
    normalise='dataset',
    mean=[120.0, 110.0, 100.0],
    std=[60.0, 50.0, 40.0],
    bgr_to_rgb=True,
)


def segmentor(seed=0, gate=None, network=NETWORK, **settings):
    torch.manual_seed(seed)
    model = MODELS.build(
        dict(
            type='arml.MLPSSegmentor',
            network=network,
            gate=gate,
            **{'data_preprocessor': PREPROCESSOR, **settings},
        )
    )
    if model.gate is None:
        model.init_weights()
    return model


def sample(masks, **meta):
    """A sample with masks (H, W) by field; ``gt_sem_seg`` int64, others as they are stored."""
    size = next(iter(masks.values())).shape
    made = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, **meta))
    for name, mask in masks.items():
        made.set_data({name: PixelData(data=mask[None])})
    return made


def make_batch(number=3, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(number, 3, size, size, generator=generator)
    samples = []
    for _ in range(number):
        masks = {
            name: torch.randint(0, 4, (size, size), generator=generator)
            for name in ('gt_sem_seg', 'middle', 'shallow')
        }
        for name in ('middle', 'shallow'):
            masks[name] = masks[name].to(torch.uint8)
        samples.append(sample(masks))
    return inputs, samples
