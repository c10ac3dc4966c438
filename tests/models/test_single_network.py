"""One mmseg network on noisy masks: its losses are those written out by hand."""

import pytest
import torch
import torch.nn.functional as F
from test_mutual_learning import NETWORK, build, make_batch

from arml.errors import ConfigError
from arml.models.losses import PixelCrossEntropy
from arml.registry import MODELS

AUXILIARY = dict(
    type='FCNHead',
    in_channels=8,
    in_index=0,
    channels=4,
    num_convs=1,
    num_classes=4,
    norm_cfg=dict(type='BN'),
    loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4),
)


@pytest.fixture(autouse=True)
def _mmseg_scope():
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')


def single(seed=0, **settings):
    torch.manual_seed(seed)
    model = MODELS.build({'type': 'arml.SingleNetworkSegmentor', 'network': NETWORK, **settings})
    model.init_weights()
    return model


def test_single__plain_loss_is_the_mean_cross_entropy_over_counted_pixels():
    model = single().train()
    inputs, samples = make_batch()
    samples[0].gt_sem_seg.data[:, :3] = 255
    samples[1].gt_sem_seg.data[:, -4:] = 4  # background
    losses = model.loss(inputs, samples)
    assert set(losses) == {'loss_mask'}

    network = single().train().networks[0]
    target = torch.stack([sample.gt_sem_seg.data[0] for sample in samples])
    logits = network.decode_head(network.extract_feat(inputs))
    logits = F.interpolate(logits, target.shape[-2:], mode='bilinear')
    expected = F.cross_entropy(logits, target.where(target < 4, 255), ignore_index=255)
    torch.testing.assert_close(losses['loss_mask'], expected)


def test_single__equals_one_network_of_mutual_learning_without_voting_and_relation():
    off = dict(num_networks=1, swv=dict(type='arml.SWVLoss', enabled=False))
    off['srm'] = dict(type='arml.SRMLoss', enabled=False)
    other, ours = build(**off).train(), single().train()
    ours.load_state_dict(other.state_dict())
    assert list(ours.loss(*make_batch()).values()) == list(other.loss(*make_batch()).values())
    ours.eval(), other.eval()
    inputs = make_batch()[0]
    assert torch.equal(ours.predict_probabilities(inputs), other.predict_probabilities(inputs))


@pytest.mark.parametrize('kind', ['zero', 'minus_infinity'])
def test_single__background_has_the_logit_that_is_asked_for(kind):
    model = single(background=dict(logit=kind)).train()
    inputs, samples = make_batch()
    samples[0].gt_sem_seg.data[:, -4:] = 4
    found = model.loss(inputs, samples)['loss_mask']

    network = single().train().networks[0]
    target = torch.stack([sample.gt_sem_seg.data[0] for sample in samples])
    logits = F.interpolate(
        network.decode_head(network.extract_feat(inputs)), target.shape[-2:], mode='bilinear'
    )
    elsewhere = 0.0 if kind == 'zero' else -1e30
    channel = torch.where(target == 4, 100.0, elsewhere)[:, None]
    expected = F.cross_entropy(torch.cat([logits, channel], 1), target, ignore_index=255)
    torch.testing.assert_close(found, expected)


def test_single__other_heads_have_the_same_loss_by_their_weight():
    network = {**NETWORK, 'auxiliary_head': [AUXILIARY, {**AUXILIARY, 'loss_decode': dict(
        type='CrossEntropyLoss', loss_weight=2.0)}]}  # fmt: skip
    model = single(network=network).train()
    inputs, samples = make_batch()
    losses = model.loss(inputs, samples)
    assert set(losses) == {'loss_mask', 'auxiliary_0.loss_mask', 'auxiliary_1.loss_mask'}
    torch.manual_seed(0)
    reference = single(network=network).train().networks[0]
    features = reference.extract_feat(inputs)
    target = torch.stack([sample.gt_sem_seg.data[0] for sample in samples])
    for index, weight in ((0, 0.4), (1, 2.0)):
        logits = F.interpolate(
            reference.auxiliary_head[index](features), target.shape[-2:], mode='bilinear'
        )
        expected = weight * F.cross_entropy(logits, target, ignore_index=255)
        torch.testing.assert_close(losses[f'auxiliary_{index}.loss_mask'], expected)


def test_single__all_ignored_gives_zero_and_finite_gradients():
    model = single().train()
    inputs, samples = make_batch()
    for sample in samples:
        sample.gt_sem_seg.data.fill_(255)
    loss = model.loss(inputs, samples)['loss_mask']
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_single__extra_division_is_by_the_number_of_tiles():
    logits, target = torch.randn(5, 4, 6, 6), torch.randint(4, (5, 6, 6))
    plain, divided = PixelCrossEntropy(), PixelCrossEntropy(extra_batch_division=True)
    torch.testing.assert_close(divided(logits, target), plain(logits, target) / 5)


def test_single__prediction_is_that_of_the_network_and_sums_to_one():
    model = single().eval()
    inputs, samples = make_batch()
    probabilities = model.predict_probabilities(inputs)
    assert probabilities.shape == (len(inputs), 4, *inputs.shape[2:])
    torch.testing.assert_close(probabilities.sum(1), torch.ones_like(probabilities[:, 0]))
    found = model.predict(inputs, samples)
    assert torch.equal(found[1].pred_sem_seg.data[0], probabilities[1].argmax(0))


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(background=dict(logit='none')), 'model.background.logit'),
        (dict(background=dict(in_relation=True)), "'in_relation'"),
        (dict(network={**NETWORK, 'type': 'CascadeEncoderDecoder', 'num_stages': 1,
                       'decode_head': [NETWORK['decode_head']]}), 'one decode head'),
        (dict(network={**NETWORK, 'auxiliary_head': {**AUXILIARY, 'loss_decode': [
            dict(type='CrossEntropyLoss', loss_weight=1.0)] * 2}}), 'loss_decode'),
    ],
)  # fmt: skip
def test_single__what_cannot_be_used_is_refused_by_name(settings, words):
    with pytest.raises(ConfigError, match=words):
        single(**settings)
