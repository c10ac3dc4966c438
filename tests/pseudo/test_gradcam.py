"""Grad-CAM against a naive loop, torchcam and weight maps."""

import copy

import pytest
import torch
from narrow import LABELS, NECKS, RELEASED, SquareHead, classifier, naive_grad_cam, tiles
from torch import nn
from torchcam.methods import GradCAM

from arml.pseudo.gradcam import GradCAMMaps
from arml.pseudo.gradcam_reader import linear_head
from arml.pseudo.maps import resize_maps
from arml.pseudo.rules import MaskRule


@pytest.fixture(scope='module')
def models() -> dict[str, nn.Module]:
    return {name: classifier(neck) for name, neck in NECKS.items()}


@pytest.fixture
def model(models) -> nn.Module:
    return models['active']


def close(maps, expected):
    scale = expected.abs().max()
    assert scale > 0
    torch.testing.assert_close(maps / scale, expected / scale, atol=2e-5, rtol=0)


@pytest.mark.parametrize('neck', NECKS)
def test_gradcam__equals_the_naive_loop(models, neck):
    model, images = models[neck], tiles(5)
    layers = (*RELEASED, 'features')
    maps = GradCAMMaps(layers)(model, images, present=LABELS)
    assert tuple(maps) == ('b4_5', 'b5_2', 'bn7', 'final')
    for layer, found in zip(layers, maps.values(), strict=True):
        assert found.shape == (5, 4, 4, 4)
        assert found.dtype == torch.float32
        assert not found.requires_grad
        expected = torch.zeros_like(found)
        for tile, index in torch.nonzero(LABELS).tolist():
            expected[tile, index] = naive_grad_cam(model, images[tile : tile + 1], layer, index)
        close(found, expected)
        assert not found[~LABELS].any()
        assert found.min() < 0  # no ReLU


@pytest.mark.parametrize('layer', [*RELEASED, 'features', 'b5_1.conv_branch2a'])
def test_gradcam__one_layer_one_tile_all_classes(model, layer):
    image = tiles(1)
    maps = GradCAMMaps([layer])(model, image)
    assert tuple(maps) == GradCAMMaps([layer]).names == ('final',)
    for index in range(4):
        close(maps['final'][0, index], naive_grad_cam(model, image, layer, index))


@pytest.mark.parametrize('block', ['b4', 'b5', 'b6'])
def test_gradcam__block_that_also_gives_its_activated_input(model, block):
    """The network takes the block's first output for the next block: the maps are of that one."""
    image, kept = tiles(1), {}

    def keep(_module, _inputs, output):
        kept['x'] = output[0]
        output[0].retain_grad()

    hook = model.backbone.get_submodule(block).register_forward_hook(keep)
    scores = model(image.clone().requires_grad_())
    hook.remove()
    scores[0, 2].backward()
    weights = kept['x'].grad.mean((2, 3), keepdim=True)
    expected = (weights * kept['x'].detach()).sum(1)[0]
    model.zero_grad()
    close(GradCAMMaps([block])(model, image)['final'][0, 2], expected)


@pytest.mark.parametrize('layer', ['b4_5', 'b5_2', 'relu7'])
def test_gradcam__equals_torchcam(model, layer):
    image = tiles(1)
    maps = GradCAMMaps([layer], relu=True)(model, image)['final']
    for index in range(4):
        with GradCAM(model, target_layer=f'backbone.{layer}') as cam:
            (expected,) = cam(index, model(image), normalized=False)
        torch.testing.assert_close(maps[0, index], expected[0].detach(), atol=1e-6, rtol=1e-4)
    assert (maps >= 0).all()
    assert maps.any()


@pytest.mark.parametrize('layers', [('features',), ('bn7',), (*RELEASED, 'features')])
def test_gradcam__head_that_is_not_linear(layers):
    head = {'type': SquareHead, 'num_classes': 4, 'in_channels': 256}
    model, images = classifier(head=head), tiles(5)
    with torch.no_grad():
        features = model.extract_feat(images)
    assert linear_head(model, features) is None
    for given in (None, features):
        maps = GradCAMMaps(layers)(model, images, features=given, present=LABELS)
        for layer, found in zip(layers, maps.values(), strict=True):
            for tile, index in torch.nonzero(LABELS).tolist():
                close(
                    found[tile, index],
                    naive_grad_cam(model, images[tile : tile + 1], layer, index),
                )
            assert not found[~LABELS].any()


def test_linear_head__tries_the_head(model):
    features = torch.zeros(1, 256, 4, 4)
    weights = model.head.classifier.weight.detach()[:, :, 0, 0]
    torch.testing.assert_close(linear_head(model, features), weights)
    biased = classifier()
    biased.class_maps = lambda features: biased.head.maps(features) + 1
    assert linear_head(biased, features) is None
    biased.class_maps = lambda features: 2 * biased.head.maps(features)
    assert linear_head(biased, features) is None
    biased.class_maps = lambda features: biased.head.maps(features.relu())
    assert linear_head(biased, features) is None


def test_linear_head__positions_must_count_alike(model):
    """The class maps have the mean gradient, but a logit hangs on one position more than on others."""
    middle = classifier()
    middle.class_scores = lambda features: middle.head.maps(features)[:, :, 1, 1]
    assert linear_head(middle, torch.zeros(1, 256, 4, 4)) is None


def test_gradcam__classifier_without_class_maps(model):
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.inner = model.backbone, model
            self.extract_feat, self.class_scores = model.extract_feat, model.class_scores

    maps = GradCAMMaps()(Bare(), tiles(2))['final']
    torch.testing.assert_close(maps, GradCAMMaps()(model, tiles(2))['final'])


def test_gradcam__relu_flips_and_rotations(model):
    images = tiles(2)
    plain = GradCAMMaps(('b4_5', 'b5_2'))
    views = GradCAMMaps(('b4_5', 'b5_2'), flips=True, rotations=True)(model, images)
    total = {name: torch.zeros_like(maps) for name, maps in views.items()}
    for turns in range(4):
        for mirrored in (False, True):
            view = (images.flip(3) if mirrored else images).rot90(turns, (2, 3))
            for name, maps in plain(model, view).items():
                maps = maps.rot90(-turns, (2, 3))
                total[name] += maps.flip(3) if mirrored else maps
    positive = GradCAMMaps(('b4_5', 'b5_2'), relu=True, flips=True, rotations=True)(model, images)
    for name, maps in views.items():
        torch.testing.assert_close(maps, total[name] / 8)
        torch.testing.assert_close(positive[name], maps.relu())


def test_gradcam__input_that_is_not_square(model):
    images = torch.randn(2, 3, 24, 40, generator=torch.Generator().manual_seed(2))
    maps = GradCAMMaps(RELEASED, rotations=True)(model, images, present=LABELS[:2])
    assert {tuple(found.shape) for found in maps.values()} == {(2, 4, 3, 5)}


@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_gradcam__no_class_at_all(model, layers):
    maps = GradCAMMaps(layers)(model, tiles(2), present=torch.zeros(2, 4))
    for found in maps.values():
        assert found.shape == (2, 4, 4, 4)
        assert not found.any()


def test_gradcam__in_prediction():
    model = classifier(maps={'type': 'arml.GradCAMMaps', 'layers': RELEASED}, map_name='b5_2')
    images = tiles(2, 48)
    with torch.no_grad():
        samples = model(images, mode='predict')
    maps = GradCAMMaps(RELEASED)(model, images)['b5_2']
    present = model.presence(images)
    for index, sample in enumerate(samples):
        expected = MaskRule()(resize_maps(maps[index], (48, 48)), present[index])
        torch.testing.assert_close(sample.seg_logits.data, expected.maps)
        assert (sample.pred_sem_seg.data[0].numpy() == expected.mask).all()


def test_gradcam__a_part_that_is_overwritten_in_place_is_read_before():
    backbone = {
        'type': 'arml.TimmBackbone',
        'model_name': 'resnet18',
        'output_stride': 8,
        'out_indices': (2,),
        'pretrained': False,
    }
    head = {'type': 'arml.LinearMapHead', 'num_classes': 4, 'in_channels': 128}
    model, image = classifier(backbone=backbone, head=head), tiles(1)
    maps = GradCAMMaps(['net.bn1', 'net.layer1.0.bn2', 'net.layer2'])(model, image)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    assert maps['net.bn1'].shape == (1, 4, 16, 16)
    assert maps['final'].shape == (1, 4, 4, 4)
    for index in range(4):
        close(maps['net.bn1'][0, index], naive_grad_cam(model, image, 'net.bn1', index))
        close(maps['final'][0, index], naive_grad_cam(model, image, 'features', index))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('layers', [('features',), RELEASED])
def test_gradcam__same_maps_on_a_gpu(model, layers):
    images = tiles(5)
    expected = GradCAMMaps(layers)(model, images, present=LABELS)
    on_gpu = copy.deepcopy(model).cuda()
    for present in (LABELS, LABELS.cuda()):
        maps = GradCAMMaps(layers)(on_gpu, images.cuda(), present=present)
        for name, found in expected.items():
            assert maps[name].is_cuda
            # Wide enough for products in TF32.
            torch.testing.assert_close(
                maps[name].cpu() / found.abs().max(), found / found.abs().max(), atol=0.02, rtol=0
            )
