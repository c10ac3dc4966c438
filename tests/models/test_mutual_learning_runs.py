"""One network run three times, background in training, weights of the two losses: what the released code does."""

import copy

import pytest
import torch
import torch.nn.functional as F
from test_mutual_learning import NETWORK, OFF, build, gradients, make_batch, total

from arml.models.losses.functional import structure_relation
from arml.models.segmentors.functional import background_channel, ignore_background

#: Channel dropout is what the runs of one network differ by.
DROPPING = dict(NETWORK, decode_head=dict(NETWORK['decode_head'], dropout_ratio=0.5))
#: Batch norm in the backbone.
NORMALISED = dict(
    DROPPING, backbone=dict(
        type='arml.TimmBackbone', model_name='resnet18', output_stride=8, out_indices=(1,),
        pretrained=False,
    ), decode_head=dict(DROPPING['decode_head'], in_channels=64),
)  # fmt: skip
IMAGES = dict(type='arml.SRMLoss', samples='image', resolution='mask')


@pytest.fixture(autouse=True)
def _mmseg_scope():
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')


def with_background(samples, rows=4):
    for sample in samples:
        sample.gt_sem_seg.data[:, -rows:] = 4
    return samples


def test_runs__one_network_is_run_three_times_and_the_first_run_is_trained():
    model = build(network=DROPPING, num_networks=1).train()
    assert len(model.networks) == 1
    torch.manual_seed(5)
    losses = model.loss(*make_batch())
    assert {k for k in losses if k.startswith('loss')} == {'loss_swv_a', 'loss_srm_a'}
    total(losses).backward()
    found = gradients(model.networks[0])

    reference = build(network=DROPPING, num_networks=1).train().networks[0]
    inputs, samples = make_batch()
    target = torch.stack([s.gt_sem_seg.data[0] for s in samples])
    torch.manual_seed(5)
    low = []
    for run in range(3):
        with torch.set_grad_enabled(run == 0):
            low.append(reference.decode_head(reference.extract_feat(inputs)))
    assert not torch.equal(low[0], low[1])
    full = [F.interpolate(x, scale_factor=2, mode='bilinear') for x in low]
    entropy = F.cross_entropy(full[0], target, ignore_index=255, reduction='none')
    agreed = full[1].argmax(1) == full[2].argmax(1)
    voting = 0.8 * (entropy * torch.where(agreed, 2.0, 0.5)).sum() / (target != 255).sum()
    relation = 0.0
    for teacher in low[1:]:
        for tile in range(3):
            relation += 0.2 * 0.5 / 3 * structure_relation(
                low[0][tile].flatten(1).T, teacher[tile].flatten(1).T, 30, 60
            )  # fmt: skip
    torch.testing.assert_close(losses['loss_swv_a'], voting)
    torch.testing.assert_close(losses['loss_srm_a'], relation)
    (voting + relation).backward()
    for one, other in zip(found, gradients(reference), strict=True):
        torch.testing.assert_close(one, other)


def test_runs__batch_norm_sees_all_three():
    torch.manual_seed(0)
    model = build(network=NORMALISED, num_networks=1).train()
    twin = copy.deepcopy(model).networks[0]
    inputs, samples = make_batch()
    with torch.no_grad():
        for _ in range(3):
            twin.decode_head(twin.extract_feat(inputs))
    total(model.loss(inputs, samples)).backward()
    found, expected = dict(model.networks[0].named_buffers()), dict(twin.named_buffers())
    assert any('backbone' in name for name in found)
    for name, value in found.items():
        # What the head sees after its dropout differs from run to run.
        if name.startswith('backbone') or name.endswith('num_batches_tracked'):
            torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize(('rate', 'calls'), [(0.0, 1), (0.5, 3)])
def test_runs__share_features_unless_they_are_drawn_anew(rate, calls, monkeypatch):
    model = build(network=DROPPING, num_networks=1).train()
    backbone = model.networks[0].backbone
    made, run = [], backbone.forward

    def counted(x):
        made.append(1)
        return [F.dropout(y, rate) if rate else y for y in run(x)]

    monkeypatch.setattr(backbone, 'forward', counted)
    model.loss(*make_batch())
    assert len(made) == calls


def test_runs__symmetric_is_the_mean_over_the_runs():
    torch.manual_seed(5)
    losses = build(network=DROPPING, num_networks=1, symmetric=True).train().loss(*make_batch())
    torch.manual_seed(5)
    first = build(network=DROPPING, num_networks=1).train().loss(*make_batch())
    assert {k[-1] for k in losses if k.startswith('loss')} == set('abc')
    torch.testing.assert_close(3 * losses['loss_swv_a'], first['loss_swv_a'])
    torch.testing.assert_close(3 * losses['loss_srm_a'], first['loss_srm_a'])


@pytest.mark.parametrize('options', [dict(direction='to_peers'), dict(teacher_gradient=True)])
def test_runs__of_peers_carry_a_graph_where_they_are_trained(options):
    model = build(
        network=DROPPING, num_networks=1, srm=dict(type='arml.SRMLoss', **options), lambda_=1.0
    ).train()
    torch.manual_seed(5)
    total(model.loss(*make_batch())).backward()
    found = gradients(model.networks[0])
    plain = build(network=DROPPING, num_networks=1, lambda_=1.0).train()
    torch.manual_seed(5)
    total(plain.loss(*make_batch())).backward()
    assert any(
        not torch.allclose(a, b) for a, b in zip(found, gradients(plain.networks[0]), strict=True)
    )


def test_runs__direction_makes_no_difference_to_three_rotating_networks():
    batch = make_batch()
    srm = dict(type='arml.SRMLoss', samples='image')
    one, other = build(srm=srm), build(srm=dict(srm, direction='to_peers'))
    for model in (one, other):
        total(model.loss(*batch)).backward()
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_weights__of_both_losses_are_leaves():
    batch = make_batch()
    usual = build().loss(*batch)
    torch.manual_seed(0)
    other = build(mask_weight=1.0, lambda_=0.1).loss(*batch)
    torch.testing.assert_close(other['loss_swv_a'], usual['loss_swv_a'] / 0.8)
    alone = build(mask_weight=0.8, srm=OFF['srm']).loss(*batch)
    torch.testing.assert_close(alone['loss_swv_a'], usual['loss_swv_a'])


def test_background__is_ignored_by_default():
    inputs, samples = make_batch()
    marked = build().loss(inputs, with_background(copy.deepcopy(samples)))
    for sample in with_background(samples):
        sample.gt_sem_seg.data[sample.gt_sem_seg.data == 4] = 255
    ignored = build().loss(inputs, samples)
    assert torch.equal(marked['loss_swv_a'], ignored['loss_swv_a'])


def test_background__the_released_logit_neutralises_background_but_counts_it():
    inputs, samples = make_batch()
    target = torch.stack([s.gt_sem_seg.data[0] for s in with_background(samples)])
    model = build(background=dict(logit='zero'), **OFF)
    found = model.loss(inputs, samples)['loss_ce_a']
    logits = model.logits_of(0, inputs)
    entropy = torch.zeros(target.shape)
    for n, i, j in torch.cartesian_prod(*(torch.arange(size) for size in target.shape)):
        label = target[n, i, j]
        if label == 255:
            continue
        five = torch.cat([logits[n, :, i, j], torch.tensor([100.0 if label == 4 else 0.0])])
        entropy[n, i, j] = -five.log_softmax(0)[label]
    assert entropy[target == 4].max() < 1e-6
    torch.testing.assert_close(found, entropy.sum() / (target != 255).sum())


def test_background__minus_infinity_leaves_tissue_alone():
    inputs, samples = make_batch()
    target = torch.stack([s.gt_sem_seg.data[0] for s in with_background(samples)])
    ignored = build(**OFF).loss(inputs, samples)['loss_ce_a']
    found = build(background=dict(logit='minus_infinity'), **OFF).loss(inputs, samples)
    share = ((target != 255) & (target != 4)).sum() / (target != 255).sum()
    torch.testing.assert_close(found['loss_ce_a'], ignored * share)


@pytest.mark.parametrize('resolution', ['mask', 'logits'])
def test_background__is_part_of_the_relation_if_asked(resolution):
    inputs, samples = make_batch()
    for index, sample in enumerate(with_background(samples, 6)):
        sample.gt_sem_seg.data[:, :, 5 * index : 5 * index + 5] = 1
    srm = dict(IMAGES, resolution=resolution)
    values = [
        build(srm=srm, background=dict(logit='zero', in_relation=seen)).loss(inputs, samples)
        for seen in (False, True)
    ]
    # The constant part is the same in both networks and far larger than the logits.
    assert values[1]['loss_srm_a'] < 0.05 * values[0]['loss_srm_a']
    assert torch.equal(values[0]['loss_swv_a'], values[1]['loss_swv_a'])
    other = build(srm=srm, background=dict(logit='minus_infinity', in_relation=True))
    torch.testing.assert_close(other.loss(inputs, samples)['loss_srm_a'], values[0]['loss_srm_a'])


def test_background__predictions_have_the_tissues_only():
    model = build(background=dict(logit='zero')).eval()
    with torch.no_grad():
        assert model.predict_probabilities(make_batch()[0]).shape[1] == 4


def test_background__a_network_with_an_output_for_it_learns_it():
    network = dict(NETWORK, decode_head=dict(NETWORK['decode_head'], num_classes=5))
    inputs, samples = make_batch()
    five = build(network=network, **OFF).loss(inputs, with_background(samples))
    total(five).backward()
    assert five['loss_ce_a'].isfinite()


def test_background__auxiliary_heads_ignore_it_too():
    network = dict(NETWORK, auxiliary_head=dict(NETWORK['decode_head']))
    inputs, samples = make_batch()
    losses = build(network=network, num_networks=1, **OFF).loss(inputs, with_background(samples))
    assert losses['a.aux.loss_ce'].isfinite()
    assert (samples[0].gt_sem_seg.data == 4).any()  # the caller's masks are as they were


def test_functional__background():
    target = torch.tensor([[[0, 4, 255]]])
    assert ignore_background(target, 4, 255).tolist() == [[[0, 255, 255]]]
    channel = background_channel(target, 4, 0.0, torch.float32)
    assert channel.shape == (1, 1, 1, 3)
    assert channel.flatten().tolist() == [0, 100, 0]
    endless = background_channel(target, 4, float('-inf'), torch.float32)
    assert endless.isfinite().all()
    assert endless[0, 0, 0, 0] < -1e37
