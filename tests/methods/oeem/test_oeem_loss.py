"""Online easy example mining: the weights and the loss, written out from their equations."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from arml.errors import ConfigError
from arml.methods.oeem import (
    OEEMLoss,
    at_most_one_class,
    easy_example_loss,
    easy_example_weights,
)
from arml.models.losses import PixelCrossEntropy
from arml.registry import MODELS

IGNORE = 255


def batch(seed=0, n=3, k=4, size=5, ignored=0.2, dtype=torch.float64):
    """Logits, and masks in which classes and ignored pixels are mixed."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, k, size, size, generator=generator, dtype=dtype) * 2
    target = torch.randint(k, (n, size, size), generator=generator)
    target[torch.rand(n, size, size, generator=generator) < ignored] = IGNORE
    return logits, target


def naive(logits, target, temperature=1.0, ignored_in_weights=False):
    """The loss, pixel by pixel in plain Python, from the equation."""
    n, k, height, width = logits.shape
    total, number = 0.0, 0
    for i in range(n):
        losses, classes = [], set()
        for y in range(height):
            for x in range(width):
                label = int(target[i, y, x])
                if label == IGNORE:
                    if ignored_in_weights:
                        losses.append(0.0)
                    continue
                classes.add(label)
                z = [float(logits[i, c, y, x]) for c in range(k)]
                losses.append(math.log(sum(math.exp(v) for v in z)) - z[label])
        number += len(losses)
        if len(classes) <= 1:
            total += sum(losses)
            continue
        exponentials = [math.exp(-loss / temperature) for loss in losses]
        mean = sum(exponentials) / len(exponentials)
        total += sum(e / mean * loss for e, loss in zip(exponentials, losses, strict=True))
    return total / number if number else 0.0


@pytest.mark.parametrize('temperature', [0.3, 1.0, 4.0])
@pytest.mark.parametrize('ignored_in_weights', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_oeem__equals_the_naive_loop(seed, ignored_in_weights, temperature):
    logits, target = batch(seed)
    target[1] = target[1].where(target[1] == IGNORE, 2)  # one class
    found = easy_example_loss(logits, target, temperature, ignored_in_weights)
    assert found.item() == pytest.approx(
        naive(logits, target, temperature, ignored_in_weights), rel=1e-12
    )


def test_oeem__by_hand():
    # Two pixels with losses ln 2 and ln 4: exp(-l) is 1/2 and 1/4, their mean 3/8, so w = 4/3 and 2/3.
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, math.log(3.0)]]], dtype=torch.float64)[None]
    target = torch.tensor([[[1, 0]]])
    losses = F.cross_entropy(logits, target, reduction='none')
    torch.testing.assert_close(losses, torch.tensor([[[2.0, 4.0]]], dtype=torch.float64).log())
    weights = easy_example_weights(losses, torch.ones_like(target, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.tensor([[[4 / 3, 2 / 3]]], dtype=torch.float64))
    expected = (4 / 3 * math.log(2) + 2 / 3 * math.log(4)) / 2
    assert easy_example_loss(logits, target).item() == pytest.approx(expected, rel=1e-12)


def test_oeem__ignored_pixels_by_hand():
    # As above with a third pixel that is ignored. As released it has l = 0 and so exp(0) = 1: the mean is
    # (1/2 + 1/4 + 1) / 3 = 7/12, the weights 6/7 and 3/7, and the mean is over three pixels.
    logits = torch.tensor([[[0.0, 0.0, 9.0]], [[0.0, math.log(3.0), 0.0]]], dtype=torch.float64)[
        None
    ]
    target = torch.tensor([[[1, 0, IGNORE]]])
    two = (4 / 3 * math.log(2) + 2 / 3 * math.log(4)) / 2
    assert easy_example_loss(logits, target).item() == pytest.approx(two, rel=1e-12)
    three = (6 / 7 * math.log(2) + 3 / 7 * math.log(4)) / 3
    found = easy_example_loss(logits, target, ignored_in_weights=True)
    assert found.item() == pytest.approx(three, rel=1e-12)


def test_oeem__weights_have_mean_one_and_fall_with_the_loss():
    losses = torch.rand(3, 6, 7, dtype=torch.float64) * 5
    counted = torch.rand(3, 6, 7) > 0.3
    weights = easy_example_weights(losses, counted)
    for image in range(3):
        own = counted[image]
        assert weights[image][own].mean().item() == pytest.approx(1.0, rel=1e-12)
        order = losses[image][own].argsort()
        assert (weights[image][own][order].diff() < 0).all()
    assert (weights[~counted] == 0).all()


def test_oeem__ignored_logits_have_no_part():
    logits, target = batch()
    changed = logits.masked_fill((target == IGNORE)[:, None], 7.0)
    for released in (False, True):
        first, second = (easy_example_loss(z, target, 1.0, released) for z in (logits, changed))
        torch.testing.assert_close(first, second)
    # As released they take weight from the others all the same.
    assert easy_example_loss(logits, target, 1.0, True) < easy_example_loss(logits, target)
    none = target.where(target != IGNORE, 0)
    torch.testing.assert_close(
        easy_example_loss(logits, none, 1.0, True), easy_example_loss(logits, none)
    )


def test_oeem__masks_of_at_most_one_class_keep_weight_one():
    logits, target = batch(n=4)
    target[0] = target[0].where(target[0] == IGNORE, 3)
    target[1] = IGNORE
    assert at_most_one_class(target).tolist() == [True, True, False, False]
    alone = easy_example_loss(logits[:2], target[:2])
    torch.testing.assert_close(alone, F.cross_entropy(logits[:2], target[:2], ignore_index=IGNORE))
    # The other two are weighted: what is easy counts more, so the loss is below the plain one.
    rest = F.cross_entropy(logits[2:], target[2:], ignore_index=IGNORE)
    assert easy_example_loss(logits[2:], target[2:]) < rest


def test_oeem__a_batch_is_its_images_by_their_counted_pixels():
    logits, target = batch(n=3)
    target[2, :3] = IGNORE
    numbers = (target != IGNORE).sum((1, 2))
    alone = torch.stack([easy_example_loss(logits[i : i + 1], target[i : i + 1]) for i in range(3)])
    whole = easy_example_loss(logits, target)
    torch.testing.assert_close(whole, (alone * numbers).sum() / numbers.sum())
    full = target.where(target != IGNORE, 0)
    alone = torch.stack([easy_example_loss(logits[i : i + 1], full[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(easy_example_loss(logits, full), alone.mean())


def test_oeem__no_gradient_flows_through_the_weights():
    logits, target = batch()
    logits.requires_grad_()
    easy_example_loss(logits, target).backward()
    found, logits.grad = logits.grad.clone(), None
    losses = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction='none')
    counted = target != IGNORE
    weights = easy_example_weights(losses, counted)
    assert not weights.requires_grad
    ((weights * losses).sum() / counted.sum()).backward()
    torch.testing.assert_close(found, logits.grad)
    # w * softmax-minus-one-hot, written out.
    one_hot = F.one_hot(target.where(counted, 0), 4).movedim(3, 1)
    by_hand = weights[:, None] * (logits.softmax(1) - one_hot) / counted.sum()
    torch.testing.assert_close(found, by_hand.detach())


def test_oeem__high_temperature_is_plain_cross_entropy():
    logits, target = batch()
    plain = PixelCrossEntropy()(logits, target)
    torch.testing.assert_close(OEEMLoss(temperature=1e12)(logits, target), plain)
    assert OEEMLoss(temperature=0.5)(logits, target) < OEEMLoss()(logits, target) < plain


def test_oeem__nothing_counted_gives_zero_and_no_nan():
    for released in (False, True):
        logits, target = batch()
        logits.requires_grad_()
        loss = OEEMLoss(ignored_in_weights=released)(logits, torch.full_like(target, IGNORE))
        loss.backward()
        assert loss.item() == 0
        assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_oeem__one_image_without_a_counted_pixel_changes_nothing():
    logits, target = batch()
    empty = torch.full_like(target[:1], IGNORE)
    more = easy_example_loss(torch.cat([logits, logits[:1]]), torch.cat([target, empty]))
    torch.testing.assert_close(more, easy_example_loss(logits, target))


def test_oeem__very_hard_pixels_stay_finite():
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 0, 0, 1] = 1e4
    loss = easy_example_loss(logits, torch.tensor([[[0, 1]]]))
    # The hard pixel's weight is exp(-1e4) = 0 in any float: what is left is 2 ln 2 / 2.
    assert loss.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_oeem__half_precision_is_computed_in_float32(dtype):
    logits, target = batch(dtype=torch.float32)
    half = logits.to(dtype)
    expected = easy_example_loss(half.float(), target)
    found = easy_example_loss(half, target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    with torch.autocast('cpu', dtype=dtype):
        torch.testing.assert_close(easy_example_loss(half, target), expected, rtol=0, atol=0)
        assert easy_example_weights(half[:, 0], target != IGNORE).dtype == torch.float32


def network():
    """A backbone of one convolution's width, a head and another head of weight 0.4."""
    head = dict(
        type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=1, concat_input=False,
        dropout_ratio=0.0, num_classes=4, norm_cfg=dict(type='BN'), align_corners=False,
    )  # fmt: skip
    backbone = dict(
        type='arml.TimmBackbone', model_name='resnet18', out_indices=(1,), pretrained=False,
        model_args=dict(channels=(4, 4, 4, 4)),
    )  # fmt: skip
    loss = dict(type='CrossEntropyLoss', loss_weight=0.4, avg_non_ignore=True)
    return dict(
        type='EncoderDecoder', backbone=backbone, decode_head=head,
        auxiliary_head={**head, 'loss_decode': loss}, train_cfg=dict(), test_cfg=dict(mode='whole'),
    )  # fmt: skip


def segmentor(**settings):
    torch.manual_seed(0)
    built = MODELS.build(dict(type='arml.SingleNetworkSegmentor', network=network(), **settings))
    built.init_weights()
    return built.train()


def test_oeem__loss_of_the_segmentor_and_of_its_other_heads():
    inputs = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    target = batch(n=2, size=16, ignored=0.0)[1]
    target[0, :3] = IGNORE
    target[1, -4:] = 4  # background: ignored, and no class
    samples = []
    for mask in target:
        samples.append(SegDataSample())
        samples[-1].gt_sem_seg = PixelData(data=mask[None])
    losses = segmentor(mask_loss=dict(type='arml.OEEMLoss')).loss(inputs, samples)

    reference = segmentor().networks[0]
    features = reference.extract_feat(inputs)
    target = target.where(target < 4, IGNORE)
    expected = {}
    for name, head, factor in (
        ('loss_mask', reference.decode_head, 1.0),
        ('auxiliary_0.loss_mask', reference.auxiliary_head, 0.4),
    ):
        logits = F.interpolate(head(features), target.shape[-2:], mode='bilinear')
        expected[name] = factor * naive(logits.detach().double(), target)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-5)
    sum(losses.values()).backward()


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(temperature=0), r'OEEMLoss.temperature: found 0, expected a number above 0'),
        (dict(temperature=-1.0), 'OEEMLoss.temperature'),
        (dict(temperature=math.inf), 'OEEMLoss.temperature: found inf'),
        (dict(temperature=True), 'OEEMLoss.temperature: found True'),
        (dict(temperature='1'), "OEEMLoss.temperature: found '1'"),
        (dict(ignored_in_weights=1), 'ignored_in_weights: found 1, expected True or False'),
    ],
)
def test_oeem__refuses_settings(settings, words):
    with pytest.raises(ConfigError, match=words):
        MODELS.build(dict(type='arml.OEEMLoss', **settings))


def test_oeem__refuses_shapes_and_temperatures():
    logits, target = batch()
    with pytest.raises(ValueError, match=r'logits must be \(N, K, H, W\) and target \(N, H, W\)'):
        easy_example_loss(logits, target[:2])
    with pytest.raises(ValueError, match=r'losses and counted must both be \(N, H, W\)'):
        easy_example_weights(logits[:, 0], target[:2] == 0)
    with pytest.raises(ValueError, match=r'temperature must be above 0, got 0'):
        easy_example_weights(logits[:, 0], target == 0, temperature=0)
    assert 'temperature=1.0, ignored_in_weights=False' in repr(OEEMLoss())
