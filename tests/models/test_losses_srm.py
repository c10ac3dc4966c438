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


@pytest.mark.parametrize(
    ('per_tile', 'size', 'grid'),
    [
        (64, (16, 24), (8, 8)),
        (10, (16, 24), (3, 3)),
        (1, (16, 24), (1, 1)),
        (64, (4, 16), (4, 8)),
        (36, (7, 7), (6, 6)),
    ],
)
def test_srm_loss__regions_are_means_over_the_cells_of_a_grid(per_tile, size, grid):
    logits = three(2, 3, *size)
    found = SRMLoss(samples='region', per_tile=per_tile)._samples(logits)
    (height, width), (rows, columns) = size, grid
    for samples, x in zip(found, logits, strict=True):
        assert samples.shape == (2, rows * columns, 3)
        for r in range(rows):
            for c in range(columns):
                top, bottom = r * height // rows, -(-(r + 1) * height // rows)
                left, right = c * width // columns, -(-(c + 1) * width // columns)
                mean = x[:, :, top:bottom, left:right].mean((2, 3))
                torch.testing.assert_close(samples[:, r * columns + c], mean)


def test_srm_loss__regions_relate_within_a_tile():
    logits = three(2, 3, 8, 8)
    found = SRMLoss(samples='region', per_tile=16)(logits)
    cells = [x.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5)) for x in logits]
    for index, loss in enumerate(found):
        expected = 0.0
        for peer in (cells[(index + 1) % 3], cells[(index + 2) % 3]):
            for tile in range(2):
                student, teacher = (x[tile].reshape(3, 16).T for x in (cells[index], peer))
                expected += structure_relation(student, teacher, 30, 60).item() / 4
        assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_srm_loss__regions_of_half_precision_are_averaged_in_float32():
    logits = [x.half() for x in three(2, 3, 16, 16)]
    found = SRMLoss(samples='region')._samples(logits)
    expected = SRMLoss(samples='region')._samples([x.float() for x in logits])
    assert all(map(torch.equal, found, expected))


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


EVERY = [
    {},
    {'samples': 'region', 'per_tile': 9},
    {'samples': 'image'},
    {'relation': 'point'},
    {'relation': 'point', 'point_form': 'released_pixel'},
    {'relation': 'point', 'point_form': 'released_batch'},
    {'relation': 'kl'},
    {'relation': 'kl', 'axis': 'pixel', 'temperature': 1},
    {'relation': 'crl_joint'},
    {'relation': 'crl_correlation'},
]


@pytest.mark.parametrize('options', EVERY)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_srm_loss__is_full_precision_under_autocast(options, dtype):
    logits = [x.to(dtype) for x in three(4, 3, 5, 5)]
    expected = SRMLoss(**options)([x.float() for x in logits])
    inside = [x.clone().requires_grad_() for x in logits]
    with torch.autocast('cpu', dtype=dtype):
        found = SRMLoss(**options)(inside)
        sum(found).backward()
    assert all(x.dtype == torch.float32 for x in found)
    assert all(map(torch.equal, found, expected))
    assert all(x.grad.isfinite().all() for x in inside)


@pytest.mark.parametrize('options', EVERY)
def test_srm_loss__takes_a_constant_background_channel(options):
    logits = three(3, 4, 5, 5, requires_grad=True)
    mask = torch.zeros(3, 1, 5, 5, dtype=torch.float64)
    mask[0, :, :2] = 100
    losses = SRMLoss(**options)([torch.cat([x, mask], 1) for x in logits])
    sum(losses).backward()
    assert all(x.isfinite() for x in losses)
    assert all(x.grad.isfinite().all() and x.grad.abs().sum() > 0 for x in logits)


def test_srm_loss__point_forms_differ():
    logits = three(2, 3, 4, 4)
    values = {
        form: SRMLoss(relation='point', point_form=form)(logits)[0].item()
        for form in ('paper', 'released_pixel', 'released_batch')
    }
    assert values['released_pixel'] < values['released_batch'] < values['paper']


def test_srm_loss__none_is_as_switched_off():
    assert SRMLoss().active
    assert not SRMLoss(enabled=False).active
    none = SRMLoss(relation='none')
    assert not none.active
    assert none.enabled
    with pytest.raises(ValueError, match=r"srm\.relation is 'none'.*`active`"):
        none(three(2, 3, 4, 4))


def test_srm_loss__prints_every_setting():
    text = repr(SRMLoss(relation='kl', temperature=4, direction='to_peers'))
    for part in ('relation=kl', 'temperature=4.0', 'direction=to_peers', 'per_tile=64'):
        assert part in text


@pytest.mark.parametrize('options', EVERY)
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
        (
            {'relation': 'line'},
            r"srm\.relation: found 'line', expected one of none, structure, point",
        ),
        ({'samples': 'region?'}, r'srm\.samples: found'),
        ({'resolution': 'half'}, r'srm\.resolution: found'),
        ({'alpha': -1}, r'srm\.alpha: found -1, expected a finite number >= 0'),
        ({'beta': float('inf')}, r'srm\.beta: found inf'),
        ({'beta': '60'}, r"srm\.beta: found '60'"),
        ({'per_tile': 0}, r'srm\.per_tile: found 0, expected an integer from 1 to 64'),
        ({'per_tile': 65}, r'srm\.per_tile: found 65'),
        ({'per_tile': 2.5}, r'srm\.per_tile: found 2\.5'),
        ({'per_tile': True}, r'srm\.per_tile: found True'),
        ({'alpha': True}, r'srm\.alpha: found True'),
        ({'point_form': 'released'}, r"srm\.point_form: found 'released', .* released_pixel"),
        ({'axis': 'batch'}, r"srm\.axis: found 'batch', expected one of class, pixel"),
        ({'direction': 'both'}, r"srm\.direction: found 'both', .* from_peers, to_peers"),
        ({'temperature': 0}, r'srm\.temperature: found 0, expected a finite number > 0'),
        ({'temperature': float('inf')}, r'srm\.temperature: found inf'),
        ({'temperature': '30'}, r"srm\.temperature: found '30'"),
        ({'teacher_gradient': 1}, r'srm\.teacher_gradient: found 1, expected True or False'),
        ({'enabled': 'yes'}, r"srm\.enabled: found 'yes', expected True or False"),
    ],
)
def test_srm_loss__names_the_leaf_of_a_bad_value(options, message):
    with pytest.raises(ConfigError, match=message):
        SRMLoss(**options)


@pytest.mark.parametrize('options', EVERY)
def test_srm_loss__refuses_logits_of_two_shapes(options):
    logits = [draw(0, 2, 3, 4, 4), draw(0, 2, 3, 4, 4), draw(0, 2, 4, 4, 4)]
    with pytest.raises(ValueError, match=r'logits .* one shape.* and \(2, 4, 4, 4\)'):
        SRMLoss(**options)(logits)
    with pytest.raises(ValueError, match=r'\(N, K, h, w\), got \(4, 3\) and'):
        SRMLoss(**options)(three(4, 3))


@pytest.mark.parametrize('relation', ['structure', 'point', 'kl', 'crl_joint', 'crl_correlation'])
def test_srm_loss__refuses_a_single_network(relation):
    with pytest.raises(ValueError, match='at least two networks'):
        SRMLoss(relation=relation)([draw(0, 2, 3, 4, 4)])
