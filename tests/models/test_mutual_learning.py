"""The segmentor: roles, detached peers, reductions, prediction and errors."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import arml.models  # noqa: F401
from arml.errors import ConfigError
from arml.models.losses.functional import structure_relation
from arml.registry import MODELS

NORM = dict(type='BN')
#: Logits at half the size of the input: 8 x 8 for tiles of 16 pixels.
NETWORK = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='MixVisionTransformer', embed_dims=8, num_stages=1, num_layers=[1], num_heads=[1],
        patch_sizes=[3], strides=[2], sr_ratios=[1], out_indices=(0,),
    ),
    decode_head=dict(
        type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1, concat_input=False,
        dropout_ratio=0.0, num_classes=4, norm_cfg=NORM, align_corners=False,
    ),
    train_cfg=dict(), test_cfg=dict(mode='whole'),
)  # fmt: skip
OFF = dict(
    swv=dict(type='arml.SWVLoss', enabled=False), srm=dict(type='arml.SRMLoss', enabled=False)
)


@pytest.fixture(autouse=True)
def _mmseg_scope():
    init_default_scope('mmseg')


def build(seed=0, network=NETWORK, **options):
    torch.manual_seed(seed)
    config = dict(type='arml.MutualLearningSegmentor', network=copy.deepcopy(network), **options)
    model = MODELS.build(config)
    model.init_weights()
    return model


def make_batch(number=3, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(number, 3, size, size, generator=generator)
    samples = []
    for _ in range(number):
        mask = torch.randint(0, 4, (1, size, size), generator=generator)
        mask[0, :2, :3] = 255
        sample = SegDataSample(metainfo=dict(ori_shape=(size, size), img_shape=(size, size)))
        sample.gt_sem_seg = PixelData(data=mask)
        samples.append(sample)
    return inputs, samples


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)


def gradients(network):
    return [p.grad.clone() for p in network.parameters()]


def test_segmentor__networks_are_independent():
    model = build()
    assert len(model.networks) == 3
    parameters = [dict(network.named_parameters()) for network in model.networks]
    for one, other in ((0, 1), (1, 2), (2, 0)):
        pairs = [(parameters[one][name], parameters[other][name]) for name in parameters[0]]
        assert all(a is not b for a, b in pairs)
        assert not torch.equal(*(p['decode_head.conv_seg.weight'] for p in
                                 (parameters[one], parameters[other])))  # fmt: skip


def test_segmentor__step_equals_the_loop_of_rotating_roles():
    model = build(lambda_=0.2).double()
    inputs, samples = make_batch()
    inputs = inputs.double()
    target = torch.stack([s.gt_sem_seg.data[0] for s in samples])
    losses = model.loss(inputs, samples)
    total(losses).backward()
    found = [gradients(network) for network in model.networks]

    expected_agreement = []
    reference = build(lambda_=0.2).double().networks
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        with torch.no_grad():
            peers = [copy.deepcopy(reference[i]) for i in (b, c)]
            low = [p.decode_head(p.extract_feat(inputs)) for p in peers]
            votes = [F.interpolate(x, scale_factor=2, mode='bilinear').argmax(1) for x in low]
        student = copy.deepcopy(reference[a])
        logits = student.decode_head(student.extract_feat(inputs))
        entropy = F.cross_entropy(
            F.interpolate(logits, scale_factor=2, mode='bilinear'), target,
            ignore_index=255, reduction='none',
        )  # fmt: skip
        agreed = votes[0] == votes[1]
        voting = (entropy * torch.where(agreed, 2.0, 0.5)).sum() / (target != 255).sum()
        relation = 0.0
        for teacher in low:
            for tile in range(3):  # 64 low-resolution pixels: all of them are samples
                relation += 0.5 / 3 * structure_relation(
                    logits[tile].flatten(1).T, teacher[tile].flatten(1).T, 30, 60
                )  # fmt: skip
        name = 'abc'[a]
        torch.testing.assert_close(losses[f'loss_swv_{name}'], 0.8 * voting)
        torch.testing.assert_close(losses[f'loss_srm_{name}'], 0.2 * relation)
        (0.8 * voting + 0.2 * relation).backward()
        for one, other in zip(found[a], gradients(student), strict=True):
            torch.testing.assert_close(one, other)
        expected_agreement.append(agreed[target != 255].float().mean())

    agreement = torch.stack(expected_agreement).mean()
    torch.testing.assert_close(losses['agreement'], agreement)
    torch.testing.assert_close(losses['vote_weight_mean'], 2 * agreement + 0.5 * (1 - agreement))
    assert set(losses) == {
        *(f'loss_{part}_{name}' for part in ('swv', 'srm') for name in 'abc'),
        'agreement',
        'vote_weight_mean',
    }  # fmt: skip


@pytest.mark.parametrize('samples', ['pixel', 'image'])
def test_segmentor__a_network_gets_no_gradient_from_the_losses_of_its_peers(samples):
    model = build(srm=dict(type='arml.SRMLoss', samples=samples))
    losses = model.loss(*make_batch())
    own = sum(losses[f'loss_{part}_a'] for part in ('swv', 'srm'))
    own.backward()
    assert all(p.grad.isfinite().all() for p in model.networks[0].parameters())
    assert any(p.grad.abs().sum() > 0 for p in model.networks[0].parameters())
    for network in model.networks[1:]:
        assert all(p.grad is None or p.grad.abs().sum() == 0 for p in network.parameters())


def test_segmentor__one_optimiser_takes_the_steps_of_three():
    settings = dict(lr=0.05, momentum=0.9, weight_decay=5e-4)
    together, apart = build(), build()
    one = torch.optim.SGD(together.parameters(), **settings)
    three = [torch.optim.SGD(network.parameters(), **settings) for network in apart.networks]
    for step in range(3):
        batch = make_batch(seed=step)
        one.zero_grad()
        total(together.loss(*batch)).backward()
        one.step()
        for optimiser in three:
            optimiser.zero_grad()
        losses = apart.loss(*batch)
        for index, name in enumerate('abc'):
            own = losses[f'loss_swv_{name}'] + losses[f'loss_srm_{name}']
            own.backward(retain_graph=index < 2)
        for optimiser in three:
            optimiser.step()
    for a, b in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_segmentor__lambda_zero_and_srm_off_leave_voting_at_weight_one():
    batch = make_batch()
    zero = build(lambda_=0.0).loss(*batch)
    off = build(srm=dict(type='arml.SRMLoss', enabled=False)).loss(*batch)
    assert set(zero) == set(off)
    assert not any('srm' in name for name in zero)
    for name, value in zero.items():
        assert torch.equal(value, off[name])


def test_segmentor__zero_alpha_and_beta_leave_voting():
    batch = make_batch()
    voting = build(lambda_=0.0).loss(*batch)
    losses = build(srm=dict(type='arml.SRMLoss', alpha=0.0, beta=0.0)).loss(*batch)
    for name in 'abc':
        assert losses[f'loss_srm_{name}'].item() == 0
        torch.testing.assert_close(losses[f'loss_swv_{name}'], 0.8 * voting[f'loss_swv_{name}'])


def test_segmentor__voting_off_is_plain_cross_entropy():
    model = build(**OFF)
    inputs, samples = make_batch()
    losses = model.loss(inputs, samples)
    assert set(losses) == {'loss_ce_a', 'loss_ce_b', 'loss_ce_c'}
    target = torch.stack([s.gt_sem_seg.data[0] for s in samples])
    for name, network in zip('abc', model.networks, strict=True):
        logits = network.decode_head(network.extract_feat(inputs))
        full = F.interpolate(logits, size=(16, 16), mode='bilinear')
        expected = F.cross_entropy(full, target, ignore_index=255)
        torch.testing.assert_close(losses[f'loss_ce_{name}'], expected)


def test_segmentor__single_network_is_the_baseline():
    model = build(num_networks=1, **OFF)
    assert set(model.loss(*make_batch())) == {'loss_ce_a'}
    assert sum(p.numel() for p in model.parameters()) * 3 == sum(
        p.numel() for p in build().parameters()
    )


def test_segmentor__relation_reads_upsampled_logits_if_asked():
    batch = make_batch()
    options = dict(type='arml.SRMLoss', samples='image')
    low = build(srm=options).loss(*batch)
    full = build(srm=dict(options, resolution='mask')).loss(*batch)
    assert torch.equal(low['loss_swv_a'], full['loss_swv_a'])
    assert not torch.isclose(low['loss_srm_a'], full['loss_srm_a'], rtol=1e-4)


def test_segmentor__auxiliary_heads_add_their_plain_loss():
    network = copy.deepcopy(NETWORK)
    network['auxiliary_head'] = dict(
        network['decode_head'], loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)
    )
    model = build(network=network, num_networks=1, **OFF)
    inputs, samples = make_batch()
    losses = model.loss(inputs, samples)
    assert losses['a.aux.loss_ce'] > 0
    total(losses).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_segmentor__trains_through_mmengine_and_reduces_the_loss():
    model = build(network=NETWORK).train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9))
    inputs, samples = make_batch()
    for sample in samples:
        sample.gt_sem_seg.data = torch.ones_like(sample.gt_sem_seg.data)
    values = [
        model.train_step(dict(inputs=inputs, data_samples=samples), wrapper)['loss'].item()
        for _ in range(8)
    ]
    assert values[-1] < 0.6 * values[0]


def test_segmentor__losses_are_finite_and_full_precision_under_autocast():
    model = build()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model.loss(*make_batch())
    assert all(v.dtype == torch.float32 and v.isfinite() for v in losses.values())
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_predict__gives_masks_at_the_original_size():
    model = build().eval()
    inputs, samples = make_batch()
    for sample in samples:
        sample.set_metainfo(dict(ori_shape=(24, 20)))
    with torch.no_grad():
        results = model(inputs, samples, mode='predict')
        logits = model(inputs, mode='tensor')
    assert results[1].pred_sem_seg.data.shape == (1, 24, 20)
    assert results[1].seg_logits.data.shape == (4, 24, 20)
    expected = F.interpolate(logits[1:2], size=(24, 20), mode='bilinear').argmax(1)
    assert torch.equal(results[1].pred_sem_seg.data, expected)
    with torch.no_grad():
        assert model.predict(inputs)[0].pred_sem_seg.data.shape == (1, 16, 16)


def test_predict__a_is_the_first_network_and_mean_is_the_mean_of_probabilities():
    first, mean = build().eval(), build(prediction='mean').eval()
    inputs, _ = make_batch(size=18)
    with torch.no_grad():
        each = [
            F.interpolate(n.decode_head(n.extract_feat(inputs)), size=(18, 18), mode='bilinear')
            for n in first.networks
        ]
        assert torch.equal(first.encode_decode(inputs), each[0])
        torch.testing.assert_close(first.predict_probabilities(inputs), each[0].softmax(1))
        expected = sum(x.softmax(1) for x in each) / 3
        torch.testing.assert_close(mean.predict_probabilities(inputs), expected)
        assert torch.equal(first.extract_feat(inputs)[0], first.networks[0].extract_feat(inputs)[0])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_networks=2), r'model\.num_networks: found 2, expected 1 or 3'),
        (dict(mask_weight=-1), r'model\.mask_weight: found -1, expected a number >= 0'),
        (dict(background=dict(logit='one')), r"model\.background\.logit: found 'one', expected one"),
        (dict(background=dict(in_relation=1)), r'background\.in_relation: found 1, expected True'),
        (dict(background=dict(value=1)), r"model\.background: found 'value', expected logit and"),
        (dict(lambda_=1.5), r'model\.lambda_: found 1\.5, expected a number from 0 to 1'),
        (dict(lambda_='0.2'), r"model\.lambda_: found '0\.2'"),
        (dict(prediction='b'), r"model\.prediction: found 'b', expected 'a' or 'mean'"),
        (dict(swv=dict(type='arml.SWVLoss', omega=0.1)), r'swv\.omega: found 0\.1'),
        (
            dict(network=dict(NETWORK, data_preprocessor=dict(type='SegDataPreProcessor'))),
            r'model\.network\.data_preprocessor: found one, expected none',
        ),
        (
            dict(network=dict(NETWORK, test_cfg=dict(mode='slide', crop_size=8, stride=8))),
            r"model\.network\.test_cfg\.mode: found 'slide', expected 'whole'",
        ),
        (
            dict(network=dict(NETWORK, decode_head=dict(
                NETWORK['decode_head'], num_classes=2, out_channels=1, threshold=0.5,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))),
            r'decode_head\.out_channels: found 1',
        ),
        (dict(network=NETWORK['backbone']), r'model\.network\.type: found MixVisionTransformer'),
    ],
)  # fmt: skip
def test_segmentor__names_the_leaf_of_a_bad_value(options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)
