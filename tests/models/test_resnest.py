"""ResNeSt by depth and stride, the released head, and channels taken from the backbone."""

import pytest
import torch

import arml.models  # noqa: F401
from arml.errors import ConfigError
from arml.models.segmentors.template import build_network
from arml.registry import MODELS


@pytest.fixture(autouse=True)
def _mmseg_scope():
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')


def backbone(**options):
    return dict(
        type='arml.ResNeSt', depth=50, stem_channels=128, radix=2, reduction_factor=4,
        avg_down_stride=True, contract_dilation=True, **options,
    )  # fmt: skip


def network(**head):
    head = dict(
        type='PSPHead', in_channels=None, in_index=0, channels=16, num_classes=4,
        norm_cfg=dict(type='BN'), init_cfg=None,
    ) | head  # fmt: skip
    return dict(
        type='EncoderDecoder', backbone=backbone(encoder_depth=3), decode_head=head,
        train_cfg=dict(), test_cfg=dict(mode='whole'),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('depth', 'stride', 'channels', 'size'),
    [(5, 8, 2048, 8), (5, 16, 2048, 4), (5, 32, 2048, 2), (4, 8, 1024, 8), (3, 8, 512, 8),
     (3, 32, 512, 8), (2, 8, 256, 16)],
)  # fmt: skip
def test_resnest__channels_and_stride(depth, stride, channels, size):
    with torch.device('meta'):
        net = MODELS.build(backbone(encoder_depth=depth, output_stride=stride))
        net.eval()
        (out,) = net(torch.zeros(2, 3, 64, 64))
    assert out.shape == (2, channels, size, size)
    assert net.channels == [channels]


def test_resnest__weights_of_the_whole_network_fit_the_cut_one():
    whole = MODELS.build(backbone()).state_dict()
    cut = MODELS.build(backbone(encoder_depth=3)).state_dict()
    assert {name: tuple(v.shape) for name, v in cut.items()}.items() <= {
        name: tuple(v.shape) for name, v in whole.items()
    }.items()
    assert len(cut) < len(whole)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(encoder_depth=6), r'encoder_depth: found 6, expected one of 2, 3, 4, 5'),
        (dict(output_stride=4), r'output_stride: found 4, expected one of 8, 16, 32'),
    ],
)
def test_resnest__refuses(options, message):
    with pytest.raises(ConfigError, match=message):
        MODELS.build(backbone(**options))


def test_template__channels_follow_the_backbone():
    assert build_network(network()).decode_head.in_channels == 512
    assert build_network(network(in_channels=512)).decode_head.in_channels == 512


def test_template__a_backbone_without_channels_is_refused():
    silent = network()
    silent['backbone'] = dict(type='ResNet', depth=18)
    with pytest.raises(ConfigError, match=r'in_channels: found None, but the backbone ResNet'):
        build_network(silent)


def test_released_head__is_the_pyramid_of_the_released_code():
    head = build_network(
        network(type='arml.ReleasedPSPHead', channels=512, dropout_ratio=0.2, align_corners=True)
    ).decode_head
    # methods: 512 -> four branches of 128 (no norm where it pools to one), 1024 -> 512, 3x3 to K.
    convolutions = [m for m in head.modules() if isinstance(m, torch.nn.Conv2d)]
    shapes = [tuple(c.weight.shape) for c in convolutions]
    assert sorted(shapes) == sorted([(4, 512, 3, 3), *[(128, 512, 1, 1)] * 4, (512, 1024, 1, 1)])
    assert [branch[1].with_norm for branch in head.branches] == [False, True, True, True]
    assert head.dropout.p == 0.2
    out = head([torch.randn(2, 512, 6, 5)])
    assert out.shape == (2, 4, 6, 5)
    out.sum().backward()
    assert all(p.grad is not None for p in head.parameters())
