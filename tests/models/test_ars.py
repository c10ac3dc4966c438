"""ARS against naive loops, and its properties."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from arml.errors import ConfigError
from arml.models.necks.ars import ARSNeck
from arml.models.necks.functional import (
    criss_cross_attention,
    criss_cross_weights,
    reactivate,
)
from arml.models.necks.reactivation import ChannelReactivation, ReleasedReactivation

H, W = 4, 5


@pytest.fixture
def qkv() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, channels, H, W, generator=generator, dtype=torch.float64)
        for channels in (3, 3, 6)
    )


def naive_affinity(query, key, value, mask_self):
    """One position at a time, softmax over its column and row."""
    out = torch.zeros_like(value)
    for n in range(len(query)):
        for h in range(H):
            for w in range(W):
                places = [(k, w) for k in range(H) if not (mask_self and k == h)]
                places += [(h, k) for k in range(W)]
                energies = [float(query[n, :, h, w] @ key[n, :, a, b]) for a, b in places]
                exponentials = [math.exp(energy) for energy in energies]
                for (a, b), exponential in zip(places, exponentials, strict=True):
                    out[n, :, h, w] += exponential / sum(exponentials) * value[n, :, a, b]
    return out


def naive_height(query, key, value, mask_self):
    """As released: for each entry of column and row, softmax over the row index of the query."""
    out = torch.zeros_like(value)

    def energy(n, h, w, entry):
        place = (entry, w) if entry < H else (h, entry - H)
        if mask_self and entry == h:
            return None, place
        return float(query[n, :, h, w] @ key[n, :, place[0], place[1]]), place

    for n in range(len(query)):
        for h in range(H):
            for w in range(W):
                for entry in range(H + W):
                    own, place = energy(n, h, w, entry)
                    if own is None:
                        continue
                    others = [energy(n, row, w, entry)[0] for row in range(H)]
                    total = sum(math.exp(other) for other in others if other is not None)
                    out[n, :, h, w] += math.exp(own) / total * value[n, :, place[0], place[1]]
    return out


@pytest.mark.parametrize('mask_self', [True, False])
@pytest.mark.parametrize(
    ('softmax_dim', 'naive'), [('affinity', naive_affinity), ('height', naive_height)]
)
def test_criss_cross_attention__equals_naive_loops(qkv, softmax_dim, naive, mask_self):
    fast = criss_cross_attention(*qkv, softmax_dim=softmax_dim, mask_self=mask_self)
    torch.testing.assert_close(fast, naive(*qkv, mask_self))


def test_criss_cross_weights__sum_to_one_over_the_other_positions(qkv):
    weights = criss_cross_weights(qkv[0], qkv[1])
    torch.testing.assert_close(weights.sum(3), torch.ones(2, H, W, dtype=torch.float64))
    assert ((weights > 0).sum(3) == H + W - 1).all()
    twice = criss_cross_weights(qkv[0], qkv[1], mask_self=False)
    assert ((twice > 0).sum(3) == H + W).all()


def test_criss_cross_attention__sees_only_column_and_row(qkv):
    query, key, value = qkv
    changed = value.clone()
    changed[:, :, 2, 3] += 1
    difference = criss_cross_attention(query, key, changed) - criss_cross_attention(*qkv)
    touched = difference.abs().amax(dim=(0, 1)) > 0
    expected = torch.zeros(H, W, dtype=torch.bool)
    expected[2], expected[:, 3] = True, True
    assert torch.equal(touched, expected)


@pytest.mark.parametrize('softmax_dim', ['affinity', 'height'])
def test_criss_cross_attention__gradients(qkv, softmax_dim):
    inputs = [x[:1, :2].clone().requires_grad_() for x in qkv]
    assert gradcheck(lambda *x: criss_cross_attention(*x, softmax_dim=softmax_dim), inputs)


@pytest.mark.parametrize('softmax_dim', ['affinity', 'height'])
def test_criss_cross_attention__a_map_of_one_row_has_finite_gradients(softmax_dim):
    x = torch.randn(1, 2, 1, 3, requires_grad=True)
    criss_cross_attention(x, x, x, softmax_dim).sum().backward()
    assert x.grad.isfinite().all()


def test_criss_cross_attention__half_precision_does_not_overflow():
    x = torch.full((1, 4, 3, 3), 30.0, dtype=torch.bfloat16)
    out = criss_cross_attention(x, x, x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, x)


def test_criss_cross_attention__refuses(qkv):
    query, key, value = qkv
    with pytest.raises(ValueError, match='one shape'):
        criss_cross_attention(query, key[:, :2], value)
    with pytest.raises(ValueError, match='softmax_dim'):
        criss_cross_attention(query, key, value, softmax_dim='width')
    with pytest.raises(ValueError, match='expected value'):
        criss_cross_attention(query, key, value[:, :, :3])


def test_reactivate__is_exp_minus_x_near_zero_and_bounded_far_away():
    x = torch.linspace(-0.2, 0.2, 9, dtype=torch.float64)
    torch.testing.assert_close(reactivate(x), torch.exp(-x), rtol=2e-4, atol=0)
    torch.testing.assert_close(reactivate(x, bound=None), torch.exp(-x))
    far = reactivate(torch.tensor([-1e4, 1e4]))
    torch.testing.assert_close(far, torch.tensor([math.exp(5), math.exp(-5)]))
    values = reactivate(torch.linspace(-4, 4, 50))
    assert (values.diff() < 0).all()


def test_reactivate__released_projection():
    x = torch.tensor([0.0, 1.0])
    expected = torch.tensor([0.8, 0.8 * math.exp(-0.8)])
    torch.testing.assert_close(reactivate(x, scale=0.8, bound=None), expected)


def test_reactivate__gradient():
    x = torch.linspace(-6, 6, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(reactivate, (x,))


@pytest.mark.parametrize(('reduction', 'width'), [(8, 2), (4, 4)])
def test_ars__reduction_is_the_width_of_query_and_key(reduction, width):
    neck = ARSNeck(16, reduction=reduction)
    assert (neck.query.out_channels, neck.key.out_channels, neck.value.out_channels) == (
        width,
        width,
        16,
    )


def test_ars__starts_as_the_identity():
    features = torch.rand(2, 16, H, W)
    torch.testing.assert_close(ARSNeck(16)(features), features)


def test_ars__gamma_zero_leaves_the_attention_out():
    neck = ARSNeck(16, reactivation='none')
    features = torch.rand(2, 16, H, W)
    assert torch.equal(neck(features), features)
    neck.gamma.data.fill_(0.5)
    assert not torch.equal(neck(features), features)


def test_ars__equation_of_fusion_and_reactivation():
    torch.manual_seed(0)
    neck = ARSNeck(16)
    neck.gamma.data.fill_(0.3)
    torch.nn.init.normal_(neck.reactivation.conv.weight, std=0.05)
    f = torch.rand(2, 16, H, W)
    with torch.no_grad():
        context = naive_affinity(neck.query(f), neck.key(f), neck.value(f), True)
    fused = 0.3 * context + f
    pooled = fused.mean(dim=1, keepdim=True)
    kernel = neck.reactivation.conv.weight
    padded = torch.nn.functional.pad(pooled, (3, 3, 3, 3))
    response = torch.zeros_like(pooled)
    for h in range(H):
        for w in range(W):
            response[:, 0, h, w] = (padded[:, 0, h : h + 7, w : w + 7] * kernel[0, 0]).sum((1, 2))
    gate = torch.exp(-5 * torch.tanh(response / 5))
    torch.testing.assert_close(neck(f), fused * gate)
    assert gate.shape == (2, 1, H, W)


@pytest.mark.parametrize('reactivation', ['paper', 'channel', 'released'])
def test_ars__every_parameter_is_trained(reactivation):
    torch.manual_seed(0)
    neck = ARSNeck(16, reactivation=reactivation)
    optimizer = torch.optim.SGD(neck.parameters(), lr=0.1)
    before = {name: p.detach().clone() for name, p in neck.named_parameters()}
    for step in range(3):
        optimizer.zero_grad()
        features = torch.randn(4, 16, H, W)
        (neck(features) * torch.linspace(-1, 1, 16)[:, None, None]).square().mean().backward()
        if step == 0:
            assert not neck.query.weight.grad.any()
            assert neck.gamma.grad.any()
        optimizer.step()
    assert not [name for name, p in neck.named_parameters() if torch.equal(p, before[name])]


def test_ars__no_parameter_without_effect():
    """A bias of the key cancels in a softmax over the affinities, not in one over the rows."""
    assert ARSNeck(16).key.bias is None
    assert ARSNeck(16, softmax_dim='height').key.bias is not None


def test_ars__disabled_has_no_parameters():
    neck = ARSNeck(16, enabled=False)
    features = torch.rand(1, 16, H, W)
    assert neck(features) is features
    assert not list(neck.parameters())


def test_ars__at_inference():
    features = torch.rand(1, 16, H, W)
    neck = ARSNeck(16, gamma_init=1.0, at_inference=False)
    assert torch.equal(neck.eval()(features), features)
    assert not torch.equal(neck.train()(features), features)
    kept = ARSNeck(16, gamma_init=1.0)
    assert torch.equal(kept.eval()(features), kept.train()(features))


def test_ars__gamma_fixed():
    inert = ARSNeck(16, gamma_trainable=False)
    assert {name for name, _ in inert.named_parameters()} == {'reactivation.conv.weight'}
    fixed = ARSNeck(16, gamma_trainable=False, gamma_init=0.5)
    assert not fixed.gamma.requires_grad
    assert fixed.query.weight.requires_grad


def test_ars__released_parameters_that_train():
    neck = ARSNeck(
        16,
        gamma_trainable=False,
        reactivation='released',
        channel_gate='frozen',
        gate_norm_eval=True,
    )
    trained = {name: p.numel() for name, p in neck.named_parameters() if p.requires_grad}
    assert trained == {'reactivation.conv.weight': 98}
    assert not neck.train().reactivation.bn.training


def test_released_reactivation__value():
    gate = ReleasedReactivation(4, channel_gate='trained', norm_eval=True).train()
    for parameter in gate.mlp.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.zeros_(gate.conv.weight)
    features = torch.rand(2, 4, H, W)
    torch.testing.assert_close(gate(features), features * 0.8 * 0.8)
    assert gate.spatial_gate(features).shape == (2, 1, H, W)
    spatial_only = ReleasedReactivation(4, channel_gate='none', norm_eval=True)
    torch.nn.init.zeros_(spatial_only.conv.weight)
    torch.testing.assert_close(spatial_only(features), features * 0.8)


def test_channel_reactivation__gate_of_neighbouring_channels():
    gate = ChannelReactivation(bound=None)
    gate.conv.weight.data[0, 0] = torch.tensor([0.0, 0, 0, 1, 0, 0, 0])
    features = torch.rand(2, 5, H, W)
    expected = torch.exp(-features.mean(dim=(2, 3), keepdim=True))
    torch.testing.assert_close(gate.gate(features), expected)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'softmax_dim': 'width'}, "softmax_dim: found 'width'"),
        ({'reactivation': 'x'}, "reactivation: found 'x'"),
        ({'channel_gate': 'x'}, "channel_gate: found 'x'"),
        ({'reduction': 0}, 'reduction: found 0'),
        ({'exponent_bound': 0}, 'exponent_bound: found 0'),
    ],
)
def test_ars__refuses(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ARSNeck(16, **arguments)


def test_neck__takes_part_from_its_start_epoch():
    torch.manual_seed(0)
    neck = ARSNeck(in_channels=8, gamma_init=0.5, start_epoch=2)
    features = torch.randn(2, 8, 4, 5)
    assert not torch.equal(neck(features), features)  # not being trained: it is part of the model
    for epoch, there in ((0, False), (1, False), (2, True), (3, True)):
        neck.set_epoch(epoch)
        for mode in (True, False):
            neck.train(mode)
            assert torch.equal(neck(features), features) is not there
    with pytest.raises(ConfigError, match=r'ARSNeck\.start_epoch: found -1'):
        ARSNeck(in_channels=8, start_epoch=-1)
