"""Grad-CAM++ of classifiers against a naive loop and the library ``grad-cam``; what it costs and refuses."""

import copy

import numpy as np
import pytest
import torch
from narrow import (
    LABELS,
    NECKS,
    RELEASED,
    SquareHead,
    classifier,
    count_passes,
    naive_gradients,
    tiles,
)
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from arml.errors import ConfigError
from arml.methods.gradcam_plus_plus.maps import GradCAMPlusPlusMaps
from arml.pseudo.maps import resize_maps
from arml.pseudo.rules import MaskRule
from arml.registry import MAPS


@pytest.fixture(scope='module')
def models() -> dict[str, nn.Module]:
    return {name: classifier(neck) for name, neck in NECKS.items()}


@pytest.fixture
def model(models) -> nn.Module:
    return models['none']


class Bare(nn.Module):
    """A classifier without ``class_maps``: nothing is known of its head."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.backbone, self.inner = inner.backbone, inner
        self.extract_feat, self.class_scores = inner.extract_feat, inner.class_scores


def naive(model, image, layer, index, epsilon=1e-6):
    """The map of one tile (1, 3, H, W), class and layer in plain numbers, (h, w)."""
    activations, gradients = naive_gradients(model, image, layer, index)
    result = np.zeros(activations.shape[1:])
    for values, slopes in zip(activations.double(), gradients.double(), strict=True):
        weight, total = 0.0, float(values.sum())
        for slope in slopes.flatten().tolist():
            if slope > 0:
                weight += slope**3 / (2 * slope**2 + total * slope**3 + epsilon)
        result += weight * values.numpy()
    return torch.from_numpy(result.clip(min=0)).float()


def close(maps, expected, atol=1e-4):
    scale = expected.abs().max()
    assert scale > 0
    torch.testing.assert_close(maps / scale, expected / scale, atol=atol, rtol=0)


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """For each backward pass the number of layers it goes to, 0 where it only tries the head."""
    return count_passes(monkeypatch)


@pytest.mark.parametrize('neck', ['none', 'active'])
def test_maps__equal_the_naive_loop(models, neck):
    model, images = models[neck], tiles(5)
    layers = (*RELEASED, 'features')
    maps = GradCAMPlusPlusMaps(layers)(model, images, present=LABELS)
    assert tuple(maps) == ('b4_5', 'b5_2', 'bn7', 'final')
    for layer, found in zip(layers, maps.values(), strict=True):
        assert found.shape == (5, 4, 4, 4)
        assert found.dtype == torch.float32
        assert not found.requires_grad
        expected = torch.zeros_like(found)
        for tile, index in torch.nonzero(LABELS).tolist():
            expected[tile, index] = naive(model, images[tile : tile + 1], layer, index)
        close(found, expected)
        assert not found[~LABELS].any()
        assert found.min() == 0


@pytest.mark.parametrize('epsilon', [0, 1e-6, 1e-2])
def test_maps__epsilon_and_a_head_that_is_not_linear(epsilon):
    head = {'type': SquareHead, 'num_classes': 4, 'in_channels': 256}
    model, images = classifier(head=head), tiles(2)
    with torch.no_grad():
        features = model.extract_feat(images)
    for given in (None, features):
        maps = GradCAMPlusPlusMaps(epsilon=epsilon)(model, images, features=given)['final']
        for tile in range(2):
            expected = naive(model, images[tile : tile + 1], 'features', 1, epsilon)
            close(maps[tile, 1], expected)


@pytest.mark.parametrize('epsilon', [0, 1e-6])
@pytest.mark.parametrize('size', [32, 96])
def test_maps__of_even_gradients_are_those_of_backward_passes(model, passes, size, epsilon):
    images, maps = tiles(3, size), GradCAMPlusPlusMaps(epsilon=epsilon)
    closed = maps(model, images)['final']
    assert passes == [0]  # the trial of the head alone
    passes.clear()
    general = maps(Bare(model), images)['final']
    assert passes == [1] * 4
    for index in range(4):
        close(closed[:, index], general[:, index], atol=2e-5)


@pytest.mark.parametrize('weight', [1.0, 0.01])
@pytest.mark.parametrize('layer', ['b2_2', 'b4_5', 'b5_2', 'relu7'])
@pytest.mark.parametrize('neck', ['none', 'active'])
def test_masks__equal_those_of_the_library(neck, layer, weight):
    """Both are scaled class by class and resized. A small head is one where epsilon rules."""
    model, size = classifier(NECKS[neck]), 64
    with torch.no_grad():
        model.head.classifier.weight.mul_(weight)
    images = tiles(2, size)
    ours = GradCAMPlusPlusMaps(['bn7' if layer == 'relu7' else layer])(model, images)['final']
    library = np.zeros((2, 4, size, size), np.float32)
    with GradCAMPlusPlus(model, [model.backbone.get_submodule(layer)]) as cam:
        for index in range(4):
            target = [ClassifierOutputTarget(index)] * 2
            library[:, index] = cam(images.clone().requires_grad_(), target)
    model.zero_grad()
    for tile in range(2):
        mask = MaskRule('per_class')(resize_maps(ours[tile], (size, size)), torch.ones(4))
        expected = torch.from_numpy(library[tile])
        assert expected.amax(dim=(1, 2)).min() > 0.99
        torch.testing.assert_close(mask.maps, expected, atol=1e-4, rtol=0)
        assert (mask.mask != library[tile].argmax(0)).mean() <= 0.002


def test_masks__per_class_and_joint_scaling_are_not_the_same(model):
    """Why the configs name it: a weak class wins where it is scaled by itself."""
    maps = resize_maps(GradCAMPlusPlusMaps()(model, tiles(1))['final'][0], (32, 32))
    masks = [MaskRule(kind)(maps, torch.ones(4)).mask for kind in ('per_class', 'joint')]
    assert (masks[0] != masks[1]).any()


@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_maps__of_a_batch_are_those_of_its_tiles(model, layers):
    images, maps = tiles(5), GradCAMPlusPlusMaps(layers)
    together = maps(model, images, present=LABELS)
    for tile in range(5):
        alone = maps(model, images[tile : tile + 1], present=LABELS[tile : tile + 1])
        for name, found in together.items():
            torch.testing.assert_close(found[tile : tile + 1], alone[name], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_maps__of_the_classes_asked_for_are_those_of_all(model, layers):
    images, maps = tiles(5), GradCAMPlusPlusMaps(layers)
    everything = maps(model, images)
    some = maps(model, images, present=LABELS)
    nothing = maps(model, images, present=torch.zeros(5, 4))
    for name, found in everything.items():
        expected = torch.where(LABELS[:, :, None, None], found, 0)
        torch.testing.assert_close(some[name], expected, rtol=1e-3, atol=1e-7)
        assert nothing[name].shape == found.shape
        assert not nothing[name].any()


def test_maps__one_backward_pass_for_each_labelled_class_serves_all_layers(models, passes):
    GradCAMPlusPlusMaps(RELEASED)(models['active'], tiles(5), present=LABELS)
    # One tile with one class, two with two, one with three.
    assert passes == [3] * (1 + 2 + 3)
    passes.clear()
    GradCAMPlusPlusMaps(RELEASED)(models['none'], tiles(5), present=LABELS)
    assert sorted(passes) == [0] + [2] * (1 + 2 + 3)


@pytest.mark.parametrize('layer', ['b2_2', 'b3'])
def test_maps__of_frozen_blocks_and_behind_them(model, layer):
    """The first blocks are frozen: gradients reach them and leave their weights alone."""
    frozen = [p.requires_grad for p in model.backbone.b2_2.parameters()]
    assert not any(frozen)
    found = GradCAMPlusPlusMaps([layer])(Bare(model), tiles(1))['final']
    if layer == 'b2_2':  # the other gives a pair, which the naive loop cannot read
        close(found[0, 1], naive(model, tiles(1), layer, 1))
    assert found.any()
    assert [p.requires_grad for p in model.backbone.b2_2.parameters()] == frozen
    assert all(p.grad is None for p in model.parameters())
    assert all(p.requires_grad for p in model.backbone.b4_5.conv_branch2b1.parameters())


def test_maps__flips_rotations_and_relu(model):
    """The mean over the views comes before the ReLU."""
    images, layers = tiles(2), ('b3_2', 'b5_2')
    plain = GradCAMPlusPlusMaps(layers, relu=False)
    views = GradCAMPlusPlusMaps(layers, relu=False, flips=True, rotations=True)(model, images)
    total = {name: torch.zeros_like(maps) for name, maps in views.items()}
    for turns in range(4):
        for mirrored in (False, True):
            view = (images.flip(3) if mirrored else images).rot90(turns, (2, 3))
            for name, maps in plain(model, view).items():
                maps = maps.rot90(-turns, (2, 3))
                total[name] += maps.flip(3) if mirrored else maps
    positive = GradCAMPlusPlusMaps(layers, flips=True, rotations=True)(model, images)
    for name, maps in views.items():
        close(maps, total[name] / 8)
        assert torch.equal(positive[name], maps.relu())
    assert views['b3_2'].min() < 0 < views['b3_2'].max()


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_maps__whatever_the_caller_s_mode(model, mode, layers):
    expected = GradCAMPlusPlusMaps(layers)(model, tiles(2), present=LABELS[:2])
    with mode():
        images = tiles(2)
        features = model.extract_feat(images)
        maps = GradCAMPlusPlusMaps(layers)(model, images, features, LABELS[:2])
    for name, found in expected.items():
        torch.testing.assert_close(maps[name], found)


def test_maps__in_full_precision_under_autocast(model):
    """Powers of small gradients would be gone in half precision."""
    with torch.no_grad():
        features = model.extract_feat(tiles(2))
    expected = GradCAMPlusPlusMaps()(model, tiles(2), features)['final']
    with torch.autocast('cpu', torch.bfloat16):
        found = GradCAMPlusPlusMaps()(model, tiles(2), features)['final']
    torch.testing.assert_close(found, expected)


def test_maps__in_prediction():
    model = classifier(
        maps={'type': 'arml.GradCAMPlusPlusMaps'},
        mask_rule={'type': 'arml.MaskRule', 'normalisation': 'per_class'},
    )
    images = tiles(2, 48)
    with torch.no_grad():
        samples = model(images, mode='predict')
    maps = GradCAMPlusPlusMaps()(model, images)['final']
    present = model.presence(images)
    for index, sample in enumerate(samples):
        expected = MaskRule('per_class')(resize_maps(maps[index], (48, 48)), present[index])
        torch.testing.assert_close(sample.seg_logits.data, expected.maps)
        assert (sample.pred_sem_seg.data[0].numpy() == expected.mask).all()


def test_maps__built_from_a_config():
    maps = MAPS.build({'type': 'arml.GradCAMPlusPlusMaps', 'layers': ['b4_5', 'bn7']})
    assert maps.names == ('b4_5', 'final')
    assert (maps.relu, maps.epsilon) == (True, 1e-6)
    assert GradCAMPlusPlusMaps().names == ('final',)


@pytest.mark.parametrize('epsilon', [-1e-9, float('inf'), float('nan'), None, '1e-6', True])
def test_maps__refuse_an_epsilon(epsilon):
    with pytest.raises(ConfigError, match=r'GradCAMPlusPlusMaps\.epsilon: found .* expected'):
        GradCAMPlusPlusMaps(epsilon=epsilon)


def test_maps__messages_name_the_class(model):
    with pytest.raises(ConfigError, match=r'^GradCAMPlusPlusMaps\.layers: found \[\], expected'):
        GradCAMPlusPlusMaps([])
    with pytest.raises(ConfigError, match=r"^GradCAMPlusPlusMaps\.layers: found \['b4', 'b4'\]"):
        GradCAMPlusPlusMaps(['b4', 'b4'])
    with pytest.raises(ConfigError, match=r"^GradCAMPlusPlusMaps\.layers: found 'b9', .*expected"):
        GradCAMPlusPlusMaps(['b9'])(model, tiles(1))
    for layers in (('features',), RELEASED):
        with pytest.raises(ValueError, match=r'^GradCAMPlusPlusMaps: expected present .* K = 4'):
            GradCAMPlusPlusMaps(layers)(model, tiles(2), present=torch.ones(2, 5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_maps__same_on_a_gpu(model, layers):
    expected = GradCAMPlusPlusMaps(layers)(model, tiles(5), present=LABELS)
    maps = GradCAMPlusPlusMaps(layers)(copy.deepcopy(model).cuda(), tiles(5).cuda(), present=LABELS)
    for name, found in expected.items():
        assert maps[name].is_cuda
        close(maps[name].cpu(), found, atol=0.05)  # products in TF32, to the third power
