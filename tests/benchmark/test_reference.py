"""The references are right: they say what a loop over the equation says, and what arml says."""

import itertools
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from arml.benchmark.reference import (
    cross_entropy_step,
    decode,
    explicit_mutual_relation,
    explicit_structure_relation,
    grad_cam,
    unfreeze,
)
from arml.models.losses.functional import mutual_structure_relation, structure_relation
from arml.pseudo.gradcam import GradCAMMaps
from arml.registry import MODELS

TINY = dict(
    type='arml.MultiLabelClassifier',
    backbone=dict(
        type='arml.TimmBackbone', model_name='resnet18', output_stride=8, out_indices=(3,),
        pretrained=False, model_args=dict(channels=(4, 8, 8, 8)),
    ),
    neck=dict(type='arml.ARSNeck', in_channels=8, reduction=2, gamma_init=0.5),
    head=dict(type='arml.LinearMapHead', in_channels=8, num_classes=4),
)  # fmt: skip


def samples(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth_l1(x):
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def by_loops(student, teacher, alpha, beta):
    """Straight from eqs. 5-8."""

    def geometry(x):
        length = [[float((a - b).norm()) for b in x] for a in x]
        positive = [value for row in length for value in row if value > 0]
        mean = sum(positive) / len(positive)
        cosines = []
        for i, j, k in itertools.product(range(len(x)), repeat=3):
            product = length[i][j] * length[k][j]
            cosines.append(float((x[i] - x[j]) @ (x[k] - x[j])) / product if product else 0.0)
        return [value / mean for row in length for value in row], cosines

    total = 0.0
    for weight, one, other in zip((alpha, beta), geometry(student), geometry(teacher), strict=True):
        total += weight * sum(map(smooth_l1, np.subtract(one, other))) / len(one)
    return total


@pytest.mark.parametrize(('alpha', 'beta'), [(30.0, 60.0), (1.0, 0.0), (0.0, 1.0)])
def test_explicit_structure_relation__equals_loops(alpha, beta):
    student, teacher = samples(4, 5), 2 * samples(4, 5, seed=1)
    found = explicit_structure_relation(student, teacher, alpha, beta)
    assert float(found) == pytest.approx(by_loops(student, teacher, alpha, beta), rel=1e-12)


@pytest.mark.parametrize('dimensions', [4, 300])
def test_explicit_structure_relation__equals_ours_with_its_gradient(dimensions):
    student, teacher = samples(6, dimensions).requires_grad_(), samples(6, dimensions, seed=1)
    values = [
        relation(student, teacher, 30.0, 60.0)
        for relation in (explicit_structure_relation, structure_relation)
    ]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, student)[0] for value in values))


@pytest.mark.parametrize('shape', [(5, 40), (3, 5, 4)])
def test_explicit_mutual_relation__equals_ours_with_its_gradients(shape):
    networks = [samples(*shape, seed=seed).requires_grad_() for seed in range(3)]
    values, gradients = explicit_mutual_relation(networks, 30.0, 60.0)
    ours = mutual_structure_relation(networks, 30.0, 60.0)
    for value, gradient, found in zip(values, gradients, ours, strict=True):
        torch.testing.assert_close(found.detach(), value)
        assert gradient.shape == shape
    found = torch.autograd.grad(sum(ours), networks)
    for one, gradient in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, gradient)


def test_explicit_structure_relation__of_equal_samples_is_zero_with_finite_gradient():
    student = torch.ones(3, 5, requires_grad=True)
    value = explicit_structure_relation(student, student.detach(), 30.0, 60.0)
    assert value.item() == 0
    assert torch.autograd.grad(value, student)[0].isfinite().all()


@pytest.fixture(scope='module')
def classifier():
    torch.manual_seed(0)
    return MODELS.build(TINY).eval()


@pytest.mark.parametrize('layer', ['net.layer2', 'features'])
def test_grad_cam__equals_gradients_of_the_batch(classifier, layer):
    tiles = torch.randn(2, 3, 32, 32)
    (found,) = GradCAMMaps(layers=(layer,), relu=False)(classifier, tiles).values()
    for index in range(2):
        maps = grad_cam(classifier, tiles[index : index + 1], layer)
        torch.testing.assert_close(found[index], maps, rtol=1e-4, atol=1e-7)


def test_grad_cam__leaves_gradients_of_all_weights(classifier):
    network = unfreeze(classifier)
    grad_cam(network, torch.randn(1, 3, 32, 32), 'features')
    assert all(p.grad is not None for p in network.parameters())
    network.zero_grad()


class Network(nn.Module):
    """What the step needs of an mmseg network."""

    align_corners = False

    def __init__(self):
        super().__init__()
        self.decode_head = nn.Conv2d(3, 4, 1)

    def extract_feat(self, inputs):
        return F.avg_pool2d(inputs, 2)


class Wrapper:
    """Keeps what it is given."""

    def update_params(self, loss):
        self.loss = loss


def test_cross_entropy_step__is_the_mean_over_valid_pixels():
    network, wrapper = Network(), Wrapper()
    inputs = torch.randn(2, 3, 8, 8)
    target = torch.randint(4, (2, 8, 8))
    target[:, 0] = 255
    loss = cross_entropy_step(network, wrapper, inputs, target, nullcontext)
    logits = F.interpolate(network.decode_head(F.avg_pool2d(inputs, 2)), (8, 8), mode='bilinear')
    expected = F.cross_entropy(logits, target, ignore_index=255, reduction='none')[:, 1:].mean()
    torch.testing.assert_close(loss, expected.detach())
    assert wrapper.loss.requires_grad


def test_decode__reads_every_byte(fake_tissue):
    images = sorted((fake_tissue / 'train').glob('*.png'))
    pairs = [(image, fake_tissue / 'train_mask' / image.name) for image in images]
    assert cv2.imread(str(images[0])).shape == (32, 32, 3)
    assert decode(pairs) == len(images) * 32 * 32 * 4
    assert decode([(images[0], None)]) == 32 * 32 * 3
