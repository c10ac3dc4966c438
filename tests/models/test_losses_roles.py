"""Which network teaches which, for every relation of SRMLoss, and what is computed at all."""

import pytest
import torch

from arml.models.losses import SRMLoss, functional, geometry, mutual
from arml.models.losses.functional import (
    correlation_relation,
    joint_relation,
    kl_relation,
    mutual_structure_relation,
    point_relation,
    released_point_relation,
    structure_relation,
)
from arml.models.losses.mutual import Roles


def draw(seed, *shape, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return values.requires_grad_(requires_grad)


def tiles(logits):
    return logits.flatten(2).mT


#: Options of SRMLoss and the relation of a student to a teacher that they mean.
RELATIONS = {
    'pixel': (dict(), lambda s, t, g: structure_relation(tiles(s), tiles(t), 30, 60, g)),
    'image': (
        dict(samples='image'),
        lambda s, t, g: structure_relation(s.flatten(1), t.flatten(1), 30, 60, g),
    ),
    'distance': (
        dict(beta=0.0),
        lambda s, t, g: structure_relation(tiles(s), tiles(t), 30, 0, g),
    ),
    'point': (dict(relation='point'), point_relation),
    'released_pixel': (
        dict(relation='point', point_form='released_pixel'),
        lambda s, t, g: released_point_relation(s, t, 'pixel', g),
    ),
    'released_batch': (
        dict(relation='point', point_form='released_batch'),
        lambda s, t, g: released_point_relation(s, t, 'batch', g),
    ),
    'kl': (
        dict(relation='kl', temperature=4),
        lambda s, t, g: kl_relation(s, t, 4, 'class', g),
    ),
    'kl_pixel': (
        dict(relation='kl', axis='pixel'),
        lambda s, t, g: kl_relation(s, t, 30, 'pixel', g),
    ),
    'crl_correlation': (dict(relation='crl_correlation'), correlation_relation),
}


def expected_losses(relation, logits, mains, direction, teacher_gradient):
    losses = []
    for main in mains:
        terms = []
        for peer in range(len(logits)):
            if peer != main:
                student, teacher = (main, peer) if direction == 'from_peers' else (peer, main)
                terms.append(relation(logits[student], logits[teacher], teacher_gradient))
        losses.append(sum(terms) / len(terms))
    return losses


def gradients(loss, logits):
    found = torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(logits, found, strict=True)]


@pytest.mark.parametrize('name', RELATIONS)
@pytest.mark.parametrize('mains', [None, [0], [2, 0]])
@pytest.mark.parametrize('direction', ['from_peers', 'to_peers'])
@pytest.mark.parametrize('teacher_gradient', [False, True])
def test_srm_loss__is_the_mean_over_peers_in_every_role(name, mains, direction, teacher_gradient):
    options, relation = RELATIONS[name]
    logits = [draw(seed, 4, 3, 3, 3, requires_grad=True) for seed in range(3)]
    module = SRMLoss(direction=direction, teacher_gradient=teacher_gradient, **options)
    found = module(logits, mains)
    order = range(3) if mains is None else mains
    expected = expected_losses(relation, logits, order, direction, teacher_gradient)
    assert len(found) == len(expected)
    for main, one, other in zip(order, found, expected, strict=True):
        assert one.shape == ()
        assert one > 0
        torch.testing.assert_close(one, other)
        moved = gradients(one, logits)
        torch.testing.assert_close(moved, gradients(other, logits))
        students = {main} if direction == 'from_peers' else {0, 1, 2} - {main}
        students = {0, 1, 2} if teacher_gradient else students
        assert {i for i, g in enumerate(moved) if g.abs().sum() > 0} == students


@pytest.mark.parametrize('mains', [None, [1]])
@pytest.mark.parametrize('axis', ['class', 'pixel'])
@pytest.mark.parametrize('teacher_gradient', [False, True])
def test_srm_loss__joint_relates_to_the_mean_of_the_peers(mains, axis, teacher_gradient):
    logits = [draw(seed, 4, 3, 3, 3, requires_grad=True) for seed in range(3)]
    options = dict(relation='crl_joint', axis=axis, teacher_gradient=teacher_gradient)
    forth = SRMLoss(**options)(logits, mains)
    back = SRMLoss(direction='to_peers', **options)(logits, mains)
    for index, main in enumerate(range(3) if mains is None else mains):
        peers = [x for i, x in enumerate(logits) if i != main]
        expected = joint_relation(logits[main], peers, 30, axis, teacher_gradient)
        torch.testing.assert_close(forth[index], expected)
        torch.testing.assert_close(gradients(forth[index], logits), gradients(expected, logits))
        mean = (peers[0] + peers[1]) / 2
        expected = kl_relation(mean, logits[main], 30, axis, teacher_gradient)
        torch.testing.assert_close(back[index], expected)
        torch.testing.assert_close(gradients(back[index], logits), gradients(expected, logits))


@pytest.mark.parametrize('name', [*RELATIONS, 'crl_joint'])
@pytest.mark.parametrize('teacher_gradient', [False, True])
def test_srm_loss__of_one_network_forwarded_three_times(name, teacher_gradient):
    options = RELATIONS[name][0] if name in RELATIONS else dict(relation=name)
    weight = draw(0, 3, 5, requires_grad=True)
    inputs = [draw(seed, 4, 5, 9) for seed in range(1, 4)]

    def forward(x):
        return torch.einsum('kc,ncp->nkp', weight, x).unflatten(2, (3, 3))

    with torch.no_grad():
        peers = [forward(x) for x in inputs[1:]]
    module = SRMLoss(teacher_gradient=teacher_gradient, **options)
    (found,) = module([forward(inputs[0]), *peers], mains=[0])
    (moved,) = torch.autograd.grad(found, weight)
    full = [forward(x) for x in inputs]
    (expected,) = SRMLoss(**options)([full[0], *(x.detach() for x in full[1:])], mains=[0])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(moved, torch.autograd.grad(expected, weight)[0])
    assert moved.abs().sum() > 0


def test_srm_loss__a_main_network_alone_has_the_loss_it_has_among_others():
    logits = [draw(seed, 2, 3, 8, 8) for seed in range(3)]
    for options in (dict(), dict(samples='region'), dict(relation='kl')):
        torch.manual_seed(0)
        every = SRMLoss(per_tile=10, **options)(logits)
        torch.manual_seed(0)
        (alone,) = SRMLoss(per_tile=10, **options)(logits, mains=[1])
        torch.testing.assert_close(alone, every[1])


def test_mutual_structure_relation__visits_a_pair_once_and_a_network_once(monkeypatch):
    visited, seen = [], []

    def spy(first, second):
        visited.append((first, second))
        return geometry.angle_terms(first, second)

    def look(samples):
        seen.append(samples.requires_grad)
        return geometry.relations(samples)

    monkeypatch.setattr(functional, 'angle_terms', spy)
    monkeypatch.setattr(functional, 'relations', look)
    samples = [draw(seed, 4, 3, requires_grad=True) for seed in range(3)]
    mutual_structure_relation(samples, 30, 60)
    assert (len(visited), seen) == (3, [True] * 3)
    visited.clear(), seen.clear()
    mutual_structure_relation(samples, 30, 60, Roles(3, mains=[0]))
    assert (len(visited), seen) == (2, [True, False, False])
    visited.clear(), seen.clear()
    mutual_structure_relation(samples, 30, 60, Roles(3, mains=[0], direction='to_peers'))
    assert (len(visited), seen) == (2, [False, True, True])


def test_mutual_relation__embeds_a_network_once_and_compares_only_what_is_needed():
    embedded, compared = [], []

    def embed(logits):
        embedded.append(logits.requires_grad)
        return logits

    def difference(student, teacher):
        compared.append((student.requires_grad, teacher.requires_grad))
        return (student - teacher).square().sum()

    logits = [draw(seed, 2, 3, requires_grad=True) for seed in range(3)]
    relation = mutual.Relation(embed, difference)
    mutual.mutual_relation(relation, logits, Roles(3))
    assert (embedded, compared) == ([True] * 3, [(True, False)] * 6)
    embedded.clear(), compared.clear()
    mutual.mutual_relation(relation, logits, Roles(3, mains=[0]))
    assert (embedded, compared) == ([True, False, False], [(True, False)] * 2)


def test_roles__name_students_and_pairs():
    assert Roles(3).students == {0, 1, 2}
    assert Roles(3).pairs == [(0, 1), (0, 2), (1, 2)]
    assert Roles(3, mains=[2]).students == {2}
    assert Roles(3, mains=[2]).pairs == [(0, 2), (1, 2)]
    assert Roles(3, mains=[2], direction='to_peers').students == {0, 1}
    assert Roles(3, mains=[2], teacher_gradient=True).students == {0, 1, 2}
    assert Roles(4, mains=[1, 0]).mains == (1, 0)


@pytest.mark.parametrize('mains', [[], [0, 0], [3], [-1]])
def test_roles__refuse_mains_that_are_no_networks(mains):
    with pytest.raises(ValueError, match='distinct indices of 3 networks, got'):
        Roles(3, mains)
    with pytest.raises(ValueError, match='distinct indices of 3 networks, got'):
        SRMLoss()([draw(0, 2, 3, 4, 4)] * 3, mains)


def test_roles__refuse_a_single_network_and_an_unknown_direction():
    with pytest.raises(ValueError, match='at least two networks, got 1'):
        Roles(1)
    with pytest.raises(ValueError, match="one of from_peers, to_peers, got 'both'"):
        Roles(3, direction='both')


def test_mutual_relation__refuses_two_shapes():
    relation = mutual.Relation(lambda x: x, lambda s, t: (s - t).sum())
    with pytest.raises(ValueError, match=r'one shape, got \(2, 3\) and \(2, 4\)'):
        mutual.mutual_relation(relation, [draw(0, 2, 3), draw(0, 2, 4)], Roles(2))
