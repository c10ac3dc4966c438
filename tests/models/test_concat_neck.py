"""Maps of several layers side by side, and the classifier that hands them on."""

import pytest
import torch
import torch.nn.functional as F

from arml.errors import ConfigError
from arml.models.necks.concat import ConcatNeck, concatenate_maps
from arml.registry import MODELS

TIMM = dict(
    type='arml.TimmBackbone',
    model_name='resnet18',
    output_stride=8,
    out_indices=(1, 2, 3),
    pretrained=False,
    model_args=dict(channels=(4, 6, 8, 8)),
)


def build(neck, head_channels=18, backbone=TIMM):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='arml.MultiLabelClassifier',
            backbone=backbone,
            neck=neck,
            head=dict(type='arml.LinearMapHead', num_classes=4, in_channels=head_channels),
        )
    ).eval()


def test_concatenate__shrinks_by_means_and_grows_bilinearly():
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 8, 12), (2, 4, 6), (1, 2, 3))
    large, same, small = (torch.randn(2, *shape, generator=generator) for shape in shapes)
    found = concatenate_maps([large, same, small], (4, 6))
    assert found.shape == (2, 6, 4, 6)
    for y in range(4):
        for x in range(6):
            block = large[:, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            torch.testing.assert_close(found[:, :3, y, x], block.mean((2, 3)))
    assert torch.equal(found[:, 3:5], same)
    torch.testing.assert_close(found[:, 5:], F.interpolate(small, (4, 6), mode='bilinear'))
    # What shrinks keeps its mean, and so its share of the scores.
    torch.testing.assert_close(found[:, :3].mean((2, 3)), large.mean((2, 3)))


@pytest.mark.parametrize(('size_of', 'size'), [(-1, (2, 3)), (0, (8, 12)), (1, (4, 6))])
def test_concat_neck__one_map_says_the_size(size_of, size):
    maps = [torch.ones(1, 2, 8, 12), torch.ones(1, 3, 4, 6), torch.ones(1, 4, 2, 3)]
    found = ConcatNeck(size_of)(maps)
    assert found.shape == (1, 9, *size)
    assert torch.equal(found, torch.ones_like(found))


def test_concat_neck__one_map_alone_is_itself():
    one = torch.randn(2, 3, 4, 5)
    assert torch.equal(ConcatNeck()(one), one)
    assert torch.equal(ConcatNeck()([one]), one)


@pytest.mark.parametrize('size_of', [3, -4])
def test_concat_neck__refuses_a_map_that_there_is_not(size_of):
    with pytest.raises(ConfigError, match=rf'neck.size_of: found {size_of}, expected .* -3 to 2'):
        ConcatNeck(size_of)([torch.ones(1, 1, 2, 2)] * 3)


def test_classifier__hands_all_maps_to_the_neck_that_takes_them():
    model = build(dict(type='arml.ConcatNeck'))
    inputs = torch.randn(2, 3, 32, 32)
    maps = model.backbone(inputs)
    assert [tuple(one.shape[1:]) for one in maps] == [(4, 8, 8), (6, 4, 4), (8, 4, 4)]
    features = model.extract_feat(inputs)
    expected = torch.cat([F.avg_pool2d(maps[0], 2), maps[1], maps[2]], dim=1)
    torch.testing.assert_close(features, expected)
    # The maps shrink by means, so the scores are those of the unchanged maps.
    pooled = torch.cat([one.mean((2, 3)) for one in maps], dim=1)
    scores = pooled @ model.head.classifier.weight[:, :, 0, 0].T
    torch.testing.assert_close(model.class_scores(features), scores)


def test_classifier__other_necks_get_the_last_map_alone():
    model = build(None, head_channels=8)
    inputs = torch.randn(1, 3, 32, 32)
    assert torch.equal(model.extract_feat(inputs), model.backbone(inputs)[-1])


def test_classifier__names_the_channels_that_the_maps_have_together():
    model = build(dict(type='arml.ConcatNeck'), head_channels=8)
    with pytest.raises(ConfigError, match='head.in_channels: found 8, expected 18'):
        model.extract_feat(torch.randn(1, 3, 32, 32))


def test_classifier__is_trained_through_all_maps():
    model = build(dict(type='arml.ConcatNeck')).train()
    model.class_scores(model.extract_feat(torch.randn(2, 3, 32, 32))).square().sum().backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
