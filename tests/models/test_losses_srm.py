"""SRMLoss: what a sample is, which networks teach, and its errors."""

import pytest
import torch

from arml.errors import ConfigError
from arml.models.losses import SRMLoss
from arml.models.losses.functional import point_relation, structure_relation


def draw(seed, *shape, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_(
        requires_grad
    )


def three(*shape, requires_grad=False):
    return [draw(seed, *shape, requires_grad=requires_grad) for seed in range(3)]


def released_relation(student, teacher):
    """What the authors ran: every image is one vector of all its logits."""
    terms = {'distance': 0.0, 'angle': 0.0}
    images = len(student)
    flat = [x.reshape(images, -1) for x in (student, teacher)]

    def smooth(difference):
        difference = abs(float(difference))
        return difference**2 / 2 if difference < 1 else difference - 0.5

    norms = [
        [[float((x[i] - x[j]).norm()) for j in range(images)] for i in range(images)] for x in flat
    ]
    means = [sum(map(sum, n)) / (images * (images - 1)) for n in norms]
    for i in range(images):
        for j in range(images):
            one, other = norms[0][i][j] / means[0], norms[1][i][j] / means[1]
            terms['distance'] += smooth(one - other) / images**2
            for k in range(images):
                if j in (i, k):
                    continue
                cosines = [
                    ((x[i] - x[j]) @ (x[k] - x[j])) / (n[i][j] * n[k][j])
                    for x, n in zip(flat, norms, strict=True)
                ]
                terms['angle'] += smooth(cosines[0] - cosines[1]) / images**3
    return 30 * terms['distance'] + 60 * terms['angle']


def test_srm_loss__image_samples_are_the_released_reading():
    logits = three(5, 3, 4, 4)
    found = SRMLoss(samples='image')(logits)
    for index, loss in enumerate(found):
        peers = [logits[(index + 1) % 3], logits[(index + 2) % 3]]
        expected = 0.5 * sum(released_relation(logits[index], peer) for peer in peers)
        assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_srm_loss__all_pixels_are_samples_where_a_tile_has_few():
    logits = three(2, 3, 4, 4)
    found = SRMLoss(per_tile=64)(logits)
    for index, loss in enumerate(found):
        expected = 0.0
        for peer in (logits[(index + 1) % 3], logits[(index + 2) % 3]):
            for tile in range(2):
                student, teacher = (x[tile].reshape(3, 16).T for x in (logits[index], peer))
                expected += structure_relation(student, teacher, 30, 60).item() / 4
        assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_srm_loss__draws_the_same_distinct_pixels_of_every_network():
    positions = torch.arange(2 * 64, dtype=torch.float64).view(2, 1, 8, 8)
    torch.manual_seed(0)
    drawn = SRMLoss(per_tile=10)._pixels([positions, positions + 1000])
    assert drawn[0].shape == (2, 10, 1)
    assert torch.equal(drawn[1] - drawn[0], torch.full_like(drawn[0], 1000))
    for tile in range(2):
        chosen = set(drawn[0][tile].flatten().tolist())
        assert len(chosen) == 10
        assert chosen <= set(positions[tile].flatten().tolist())


def test_srm_loss__draw_depends_on_the_global_seed_alone():
    logits = three(2, 3, 8, 8)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(SRMLoss(per_tile=10)(logits)[0].item())
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize('options', [{}, {'samples': 'image'}, {'relation': 'point'}])
def test_srm_loss__a_network_has_the_gradient_of_its_own_loss_only(options):
    logits = three(4, 3, 3, 3, requires_grad=True)
    losses = SRMLoss(**options)(logits)
    for index, loss in enumerate(losses):
        found = torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)
        for other, gradient in enumerate(found):
            moved = gradient is not None and bool(gradient.abs().sum() > 0)
            assert moved == (other == index)


@pytest.mark.parametrize('options', [{}, {'samples': 'image'}])
def test_srm_loss__angle_and_distance_are_separable(options):
    logits = three(4, 3, 3, 3)
    both = SRMLoss(alpha=30, beta=60, **options)(logits)
    distance = SRMLoss(alpha=30, beta=0, **options)(logits)
    angle = SRMLoss(alpha=0, beta=60, **options)(logits)
    for total, one, other in zip(both, distance, angle, strict=True):
        assert one > 0
        assert other > 0
        torch.testing.assert_close(total, one + other)


def test_srm_loss__invariant_to_an_orthogonal_map_of_the_classes():
    logits = three(2, 3, 4, 4)
    rotation = torch.linalg.qr(draw(9, 3, 3)).Q
    turned = [torch.einsum('kl,nlhw->nkhw', rotation, x) for x in logits]
    torch.testing.assert_close(SRMLoss()(turned), SRMLoss()(logits))
    assert max(SRMLoss()([logits[0]] * 3)).item() == 0


def test_srm_loss__point_is_the_mean_over_both_teachers():
    logits = three(2, 3, 4, 4)
    found = SRMLoss(relation='point')(logits)
    expected = (point_relation(logits[0], logits[1]) + point_relation(logits[0], logits[2])) / 2
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'relation': 'line'}, r"srm\.relation: found 'line', expected one of structure, point"),
        ({'samples': 'region?'}, r'srm\.samples: found'),
        ({'resolution': 'half'}, r'srm\.resolution: found'),
        ({'alpha': -1}, r'srm\.alpha: found -1, expected a finite number >= 0'),
        ({'beta': float('inf')}, r'srm\.beta: found inf'),
        ({'beta': '60'}, r"srm\.beta: found '60'"),
        ({'per_tile': 0}, r'srm\.per_tile: found 0, expected an integer from 1 to 64'),
        ({'per_tile': 65}, r'srm\.per_tile: found 65'),
        ({'per_tile': 2.5}, r'srm\.per_tile: found 2\.5'),
    ],
)
def test_srm_loss__names_the_leaf_of_a_bad_value(options, message):
    with pytest.raises(ConfigError, match=message):
        SRMLoss(**options)


@pytest.mark.parametrize('relation', ['structure', 'point'])
def test_srm_loss__refuses_a_single_network(relation):
    with pytest.raises(ValueError, match='at least two networks'):
        SRMLoss(relation=relation)([draw(0, 2, 3, 4, 4)])
