"""ARML eq. 4 against loops, its limits and its errors."""

import math

import pytest
import torch
import torch.nn.functional as F

from arml.errors import ConfigError
from arml.models.losses import SWVLoss
from arml.models.losses.functional import (
    hard_vote,
    pixel_cross_entropy,
    vote_weights,
    weighted_voting,
)


def make_batch(dtype=torch.float32, ignored=True):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 3, 4, 4, generator=generator, dtype=dtype)
    target = torch.randint(0, 3, (2, 4, 4), generator=generator)
    if ignored:
        target[0, 0, 1] = target[1, 3, 3] = 255
    vote_b = torch.randint(0, 3, (2, 4, 4), generator=generator)
    vote_c = torch.randint(0, 3, (2, 4, 4), generator=generator)
    return logits, target, vote_b, vote_c


def naive_voting(logits, target, vote_b, vote_c, omega):
    losses = torch.zeros(target.shape, dtype=torch.float64)
    for n in range(2):
        for i in range(4):
            for j in range(4):
                label = int(target[n, i, j])
                if label == 255:
                    continue
                scores = [float(logits[n, k, i, j]) for k in range(3)]
                entropy = math.log(sum(math.exp(s) for s in scores)) - scores[label]
                agreed = int(vote_b[n, i, j]) == int(vote_c[n, i, j])
                if math.isinf(omega):
                    weight = 1.0 if agreed else 0.0
                else:
                    weight = omega if agreed else 1 / omega
                losses[n, i, j] = weight * entropy
    return losses


@pytest.mark.parametrize('omega', [1.0, 2.0, 3.5, math.inf])
def test_weighted_voting__equals_the_loops(omega):
    batch = make_batch()
    assert 0 < (batch[2] == batch[3]).sum() < 32
    found = weighted_voting(*batch, omega)
    assert found.shape == (2, 4, 4)
    torch.testing.assert_close(found.double(), naive_voting(*batch, omega), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('omega', [1.0, 2.0, math.inf])
def test_weighted_voting__gradcheck(omega):
    logits, *rest = make_batch(torch.float64)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: weighted_voting(x, *rest, omega), (logits,))


def test_weighted_voting__other_ignore_index():
    logits, target, vote_b, vote_c = make_batch(ignored=False)
    found = weighted_voting(logits, target, vote_b, vote_c, 2.0, ignore_index=1)
    assert torch.equal(found == 0, target == 1)


def test_weighted_voting__is_float64_for_float64_logits():
    logits, *rest = make_batch(torch.float64)
    found = weighted_voting(logits, *rest, 3.5)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, naive_voting(logits, *rest, 3.5), rtol=1e-14, atol=0)


def test_weighted_voting__votes_have_no_gradient_and_no_dtype_of_their_own():
    logits, target, vote_b, vote_c = make_batch()
    expected = weighted_voting(logits, target, vote_b, vote_c, 2)
    small = weighted_voting(logits, target, vote_b.to(torch.uint8), vote_c.to(torch.uint8), 2)
    assert torch.equal(small, expected)
    logits.requires_grad_()
    weighted_voting(logits, target, hard_vote(logits), hard_vote(2 * logits), 2).sum().backward()
    alone = logits.grad.clone()
    logits.grad = None
    votes = hard_vote(logits.detach())
    weighted_voting(logits, target, votes, votes, 2).sum().backward()
    assert torch.equal(logits.grad, alone)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_weighted_voting__computes_in_float32_under_autocast(dtype):
    logits, *rest = make_batch()
    half = logits.to(dtype)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = weighted_voting(half, *rest, 2.0)
    assert found.dtype == torch.float32
    assert torch.equal(found, weighted_voting(half.float(), *rest, 2.0))


@pytest.mark.parametrize('omega', [0.99, 0, -2, math.nan])
def test_weighted_voting__refuses_omega_below_one(omega):
    with pytest.raises(ValueError, match='omega must be at least 1'):
        weighted_voting(*make_batch(), omega)


def test_weighted_voting__refuses_other_shapes():
    logits, target, vote_b, vote_c = make_batch()
    with pytest.raises(ValueError, match=r'target .* \(2, 3, 4, 4\) and \(2, 4\)'):
        weighted_voting(logits, target[:, 0], vote_b, vote_c, 2)
    with pytest.raises(ValueError, match=r'vote_c .* \(1, 4, 4\)'):
        weighted_voting(logits, target, vote_b, vote_c[:1], 2)
    with pytest.raises(ValueError, match='logits must be'):
        weighted_voting(logits.flatten(2), target, vote_b, vote_c, 2)


def test_vote_weights__refuses_votes_of_two_shapes():
    with pytest.raises(ValueError, match='votes of the peers must have one shape'):
        vote_weights(torch.zeros(2, 3), torch.zeros(2, 4), 2)


@pytest.mark.parametrize('classes', [2, 4, 20, 300])
def test_hard_vote__equals_argmax(classes):
    logits = torch.randn(2, classes, 5, 6, requires_grad=True)
    found = hard_vote(logits)
    assert not found.requires_grad
    assert torch.equal(found.long(), logits.argmax(1))


def test_hard_vote__ties_go_to_the_lowest_class():
    logits = torch.tensor([1.0, 3.0, 3.0, 0.0]).view(1, 4, 1, 1)
    assert hard_vote(logits).item() == 1


def test_swv_loss__is_the_mean_over_valid_pixels():
    batch = make_batch()
    found = SWVLoss(omega=2)(*batch)
    assert found.item() == pytest.approx(naive_voting(*batch, 2).sum().item() / 30, rel=1e-5)


def test_swv_loss__omega_one_is_cross_entropy():
    logits, target, vote_b, vote_c = make_batch()
    expected = F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(SWVLoss(omega=1)(logits, target, vote_b, vote_c), expected)
    torch.testing.assert_close(SWVLoss(enabled=False)(logits, target), expected)


def test_swv_loss__agreement_everywhere_and_nowhere():
    logits, target, vote_b, _ = make_batch()
    plain = F.cross_entropy(logits, target, ignore_index=255)
    loss = SWVLoss(omega=3)
    torch.testing.assert_close(loss(logits, target, vote_b, vote_b), 3 * plain)
    torch.testing.assert_close(loss(logits, target, vote_b, vote_b + 1), plain / 3)


def test_swv_loss__large_omega_scales_like_omega_and_drop_is_its_limit():
    logits, target, vote_b, vote_c = make_batch(torch.float64)
    valid = target != 255
    share = ((vote_b == vote_c) & valid).sum() / valid.sum()
    drop = SWVLoss(omega='drop')(logits, target, vote_b, vote_c)
    large = SWVLoss(omega=1e6)(logits, target, vote_b, vote_c) / 1e6
    torch.testing.assert_close(large, share * drop, rtol=1e-6, atol=0)
    normal = SWVLoss(omega=1e6, normalise=True)(logits, target, vote_b, vote_c)
    torch.testing.assert_close(normal, drop, rtol=1e-6, atol=0)
    assert torch.equal(SWVLoss(omega=math.inf)(logits, target, vote_b, vote_c), drop)


def test_swv_loss__normalised_weights_change_nothing_at_omega_one():
    batch = make_batch()
    torch.testing.assert_close(SWVLoss(omega=1, normalise=True)(*batch), SWVLoss(omega=1)(*batch))


@pytest.mark.parametrize('options', [{'normalise': True}, {'omega': 'drop'}, {'omega': 5}])
def test_swv_loss__switched_off_reads_no_vote_and_no_weight(options):
    logits, target, vote_b, vote_c = make_batch()
    expected = F.cross_entropy(logits, target, ignore_index=255)
    loss = SWVLoss(enabled=False, **options)
    torch.testing.assert_close(loss(logits, target), expected)
    torch.testing.assert_close(loss(logits, target, vote_b, vote_c), expected)


def test_swv_loss__extra_batch_division_is_of_plain_cross_entropy_only():
    batch = make_batch()
    plain = F.cross_entropy(*batch[:2], ignore_index=255)
    off = SWVLoss(enabled=False, extra_batch_division=True)
    torch.testing.assert_close(off(*batch[:2]), plain / 2)
    assert torch.equal(SWVLoss(extra_batch_division=True)(*batch), SWVLoss()(*batch))
    assert 'extra_batch_division=True' in repr(off)


@pytest.mark.parametrize('name', ['enabled', 'normalise', 'extra_batch_division'])
def test_swv_loss__names_the_leaf_of_a_switch_that_is_none(name):
    with pytest.raises(ConfigError, match=rf"swv\.{name}: found 'no', expected True or False"):
        SWVLoss(**{name: 'no'})


def test_swv_loss__drop_is_cross_entropy_on_agreed_pixels():
    logits, target, vote_b, vote_c = make_batch()
    chosen = torch.where(vote_b == vote_c, target, 255)
    expected = F.cross_entropy(logits, chosen, ignore_index=255)
    for normalise in (False, True):
        loss = SWVLoss(omega='drop', normalise=normalise)
        torch.testing.assert_close(loss(logits, target, vote_b, vote_c), expected)


def test_swv_loss__drop_without_any_agreement_is_zero():
    logits, target, vote_b, _ = make_batch()
    logits.requires_grad_()
    loss = SWVLoss(omega='drop')(logits, target, vote_b, vote_b + 1)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_swv_loss__without_valid_pixels_is_zero():
    logits, target, vote_b, vote_c = make_batch()
    for loss in (SWVLoss(), SWVLoss(normalise=True), SWVLoss(enabled=False)):
        assert loss(logits, torch.full_like(target, 255), vote_b, vote_c).item() == 0


def test_swv_loss__normalised_weights_have_mean_one():
    logits, target, vote_b, vote_c = make_batch()
    loss = SWVLoss(omega=4, normalise=True)
    weights = loss.weights(vote_b, vote_c, target)
    valid = target != 255
    assert weights[~valid].abs().sum() == 0
    assert weights[valid].mean().item() == pytest.approx(1, rel=1e-6)
    ratio = weights[valid].max() / weights[valid].min()
    assert ratio.item() == pytest.approx(16, rel=1e-6)
    expected = (pixel_cross_entropy(logits, target) * weights).sum() / valid.sum()
    torch.testing.assert_close(loss(logits, target, vote_b, vote_c), expected)


@pytest.mark.parametrize(
    'options', [{}, {'omega': 3.5}, {'omega': 'drop'}, {'omega': 4, 'normalise': True}]
)
def test_swv_loss__voting_counts_valid_pixels_only(options):
    _, target, vote_b, vote_c = make_batch()
    loss, valid = SWVLoss(**options), target != 255
    voting = loss.voting(vote_b, vote_c, valid, valid.sum())
    assert voting.agreed == ((vote_b == vote_c) & valid).sum()
    torch.testing.assert_close(voting.total, voting.weights[valid].sum())
    assert torch.equal(voting.weights * valid, loss.weights(vote_b, vote_c, target))
    nowhere = loss.voting(vote_b, vote_b + 1, valid, valid.sum())
    assert nowhere.agreed == 0
    torch.testing.assert_close(nowhere.total, nowhere.weights[valid].sum())


@pytest.mark.parametrize('omega', [0.5, 'all', None, True, math.nan, '2'])
def test_swv_loss__names_the_leaf_of_a_bad_omega(omega):
    with pytest.raises(ConfigError, match=r"swv\.omega: found .*, expected .*'drop'"):
        SWVLoss(omega=omega)


def test_swv_loss__needs_votes_when_enabled():
    logits, target, vote_b, _ = make_batch()
    with pytest.raises(ValueError, match='votes of two peers'):
        SWVLoss()(logits, target, vote_b)
