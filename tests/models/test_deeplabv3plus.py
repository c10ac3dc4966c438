"""The head of DeepLabV3+: shapes, layers, size, and its forward pass written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from arml.models.heads import DeepLabV3PlusHead

SETTINGS = dict(
    in_channels=6,
    in_index=1,
    channels=8,
    dilations=(1, 2, 3),
    low_level_index=0,
    low_level_in_channels=5,
    low_level_channels=3,
    num_classes=4,
    norm_cfg=dict(type='BN'),
    align_corners=True,
)


def inputs(number=2):
    torch.manual_seed(0)
    return [torch.randn(number, 5, 12, 10), torch.randn(number, 6, 4, 3)]


def test_head__forward_is_that_of_the_paper():
    torch.manual_seed(1)
    head = DeepLabV3PlusHead(**SETTINGS).eval()
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    fine, deep = inputs()

    def layer(module, x, rate=1):
        size = module.conv.kernel_size[0]
        x = F.conv2d(x, module.conv.weight, padding=rate * (size // 2), dilation=rate)
        norm = module.bn
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()

    pyramid = [layer(branch, deep, rate) for branch, rate in zip(head.branches, (1, 2, 3))]  # noqa: B905
    pooled = layer(head.image_pool[1], deep.mean((2, 3), keepdim=True)).expand(-1, -1, 4, 3)
    fused = layer(head.fuse[0], torch.cat([*pyramid, pooled], 1))
    up = F.interpolate(fused, (12, 10), mode='bilinear', align_corners=True)
    x = torch.cat([up, layer(head.low_level, fine)], 1)
    x = layer(head.decoder[2], layer(head.decoder[0], x))
    expected = F.conv2d(x, head.conv_seg.weight, head.conv_seg.bias)
    torch.testing.assert_close(head([fine, deep]), expected)
    assert expected.shape == (2, 4, 12, 10)


def test_head__dropout_is_of_single_values_at_three_places():
    head = DeepLabV3PlusHead(
        **SETTINGS, pyramid_dropout=0.5, decoder_dropout=0.4, dropout_ratio=0.1
    )
    rates = [m.p for m in head.modules() if type(m) is nn.Dropout]
    assert sorted(rates) == [0.1, 0.4, 0.5]
    assert not any(isinstance(module, nn.Dropout2d) for module in head.modules())
    assert head.dropout.p == 0.1  # mmseg's cls_seg runs it before the last convolution


@pytest.mark.parametrize('classes', [4, 21])
def test_head__size_at_full_width(classes):
    with torch.device('meta'):
        head = DeepLabV3PlusHead(in_channels=2048, in_index=3, channels=256, num_classes=classes,
                                 norm_cfg=dict(type='BN'))  # fmt: skip
    pyramid = 2048 * 256 * (1 + 9 + 9 + 9 + 1) + 5 * 2 * 256
    fuse = 1280 * 256 + 2 * 256
    low = 256 * 48 + 2 * 48
    decoder = 304 * 256 * 9 + 256 * 256 * 9 + 2 * 2 * 256
    last = 257 * classes
    assert sum(p.numel() for p in head.parameters()) == pyramid + fuse + low + decoder + last
    assert [branch.conv.dilation[0] for branch in head.branches] == [1, 6, 12, 18]


def test_head__all_of_it_trains():
    head = DeepLabV3PlusHead(**SETTINGS).train()
    head(inputs()).square().sum().backward()
    assert all(parameter.grad.any() for parameter in head.parameters())
