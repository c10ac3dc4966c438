"""OEEM's classifier, its maps and its masks, each written out by hand."""

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT

from arml.config import load_config
from arml.models.classifiers import LinearMapHead, MultiLabelSoftMarginLoss
from arml.pipeline.checks import build_on_meta
from arml.pseudo.maps import WeightMaps
from arml.pseudo.rules import MaskRule
from arml.registry import MODELS

CONFIGS = ROOT / 'configs' / 'oeem'
SCALES = (2.0, 1.75, 1.5, 1.25, 1.0)


@functools.cache
def tiny():
    torch.manual_seed(0)
    config = load_config(CONFIGS / 'oeem_tiny_synthetic.py')
    model = MODELS.build(config.classifier.model).eval()
    torch.nn.init.normal_(model.head.classifier.bias)
    return model


def test_classifier__has_the_channels_of_three_maps():
    config = load_config(CONFIGS / 'oeem_resnet38_bcss.py')
    model = build_on_meta(config.classifier.model, 'classifier.model').eval()
    with torch.device('meta'):
        maps = model.backbone(torch.empty(1, 3, 224, 224))
        features = model.extract_feat(torch.empty(1, 3, 224, 224))
    assert [tuple(one.shape[1:]) for one in maps] == [(512, 28, 28), (1024, 28, 28), (4096, 28, 28)]
    assert features.shape == (1, 5632, 28, 28)
    assert model.head.classifier.weight.shape == (4, 5632, 1, 1)
    assert model.head.classifier.bias.shape == (4,)
    assert model.head.dropout.p == 0
    dilations = {
        name: getattr(model.backbone, name).conv_branch2b1.dilation for name in ('b6', 'b7')
    }
    assert dilations == {'b6': (4, 4), 'b7': (2, 2)}


def test_classifier__tiny_backbone_gives_three_maps_too():
    features = tiny().extract_feat(torch.randn(2, 3, 112, 112))
    assert features.shape == (2, 32 + 64 + 128, 14, 14)


def test_head__scores_and_maps_have_the_bias():
    torch.manual_seed(0)
    head = LinearMapHead(3, 5, dropout=0.0, bias=True)
    assert torch.equal(head.classifier.bias, torch.zeros(3))
    torch.nn.init.normal_(head.classifier.bias)
    weight, bias = head.classifier.weight[:, :, 0, 0], head.classifier.bias
    features = torch.randn(2, 5, 4, 6)
    maps, scores = head.maps(features), head.scores(features)
    for n in range(2):
        for k in range(3):
            total = 0.0
            for y in range(4):
                for x in range(6):
                    value = bias[k] + sum(weight[k, c] * features[n, c, y, x] for c in range(5))
                    torch.testing.assert_close(maps[n, k, y, x], value, rtol=1e-4, atol=1e-5)
                    total += value
            torch.testing.assert_close(scores[n, k], total / 24, rtol=1e-4, atol=1e-5)


def test_head__without_a_bias_is_what_it_was():
    torch.manual_seed(3)
    plain = LinearMapHead(4, 8)
    torch.manual_seed(3)
    expected = torch.nn.Conv2d(8, 4, 1, bias=False)
    torch.nn.init.xavier_uniform_(expected.weight)
    assert torch.equal(plain.classifier.weight, expected.weight)
    assert list(plain.state_dict()) == ['classifier.weight']
    features = torch.randn(1, 8, 3, 3)
    assert torch.equal(plain.maps(features), F.conv2d(features, expected.weight))


def test_maps__are_the_linear_layer_at_every_position():
    model = tiny()
    inputs = torch.randn(1, 3, 112, 112)
    found = WeightMaps(relu=False)(model, inputs)['final']
    features = model.extract_feat(inputs).movedim(1, 3)
    weight, bias = model.head.classifier.weight[:, :, 0, 0], model.head.classifier.bias
    expected = (features @ weight.T + bias).movedim(3, 1)
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(found.mean((2, 3)), model(inputs).detach())


def test_loss__is_binary_cross_entropy_over_classes_and_tiles():
    logits = torch.randn(6, 4, dtype=torch.float64)
    labels = (torch.rand(6, 4) > 0.5).double()
    expected = F.binary_cross_entropy_with_logits(logits, labels, reduction='mean')
    torch.testing.assert_close(MultiLabelSoftMarginLoss()(logits, labels), expected)


def naive_rule(maps: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Sum over scales (S, K, H, W), absent classes minus infinity, arg-max."""
    total = maps.sum(axis=0)
    for k in np.flatnonzero(~present):
        total[k] = -np.inf
    return total.argmax(axis=0)


@pytest.mark.parametrize('seed', range(20))
def test_rule__is_the_arg_max_of_the_sum_with_absent_classes_at_minus_infinity(seed):
    # The mean over scales is the sum by 1/S, the joint min-max is x -> (x - min) / (max - min): both keep
    # the order of the classes at every pixel, and an absent class is minus infinity in the rule too.
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(3, 4, 16, 16, generator=generator) * 5 - 2  # raw logits, mostly below 0
    present = torch.rand(4, generator=generator) > 0.5
    present[seed % 4] = True
    mask = MaskRule(normalisation='joint')(maps.mean(0), present).mask
    assert np.array_equal(mask, naive_rule(maps.double().numpy(), present.numpy()))


def test_rule__per_class_scaling_would_be_another():
    maps = torch.stack([torch.full((4, 4), 5.0), torch.zeros(4, 4)])
    maps[1, 0, 0] = 1.0
    present = torch.tensor([True, True])
    assert (MaskRule(normalisation='joint')(maps, present).mask == 0).all()
    assert MaskRule(normalisation='per_class')(maps, present).mask[0, 0] == 1


def test_rule__needs_raw_maps():
    maps = torch.tensor([-3.0, -1.0])[:, None, None].expand(2, 4, 4)
    present = torch.tensor([True, True])
    assert (MaskRule()(maps, present).mask == 1).all()
    assert (MaskRule()(maps.relu(), present).mask == 0).all()  # a ReLU would leave a tie of zeros


def test_masks__from_a_classifier_at_several_scales_by_hand():
    model, size = tiny(), 32
    inputs = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(5))
    found = WeightMaps(relu=False, scales=SCALES)(model, inputs)['final']
    assert found.shape == (2, 4, 8, 8)  # of the largest scale
    summed = torch.zeros(2, 4, 8, 8)
    with torch.no_grad():
        for scale in SCALES:
            scaled = F.interpolate(inputs, (round(size * scale),) * 2, mode='bilinear')
            maps = model.class_maps(model.extract_feat(scaled))
            summed += F.interpolate(maps, (8, 8), mode='bilinear')
    full = F.interpolate(summed, (size, size), mode='bilinear')
    for index, present in enumerate(([True, False, True, True], [False, True, False, False])):
        present = torch.tensor(present)
        expected = full[index].masked_fill(~present[:, None, None], -torch.inf).argmax(0)
        resized = F.interpolate(found, (size, size), mode='bilinear')[index]
        assert np.array_equal(MaskRule()(resized, present).mask, expected.numpy())
