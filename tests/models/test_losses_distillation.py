"""KL, both readings of CRL and both forms of L_pt against loops, their properties and errors."""

import math

import pytest
import torch
from autocast import assert_same_under_autocast

from arml.models.losses import functional
from arml.models.losses.distillation import (
    correlation_relation,
    joint_relation,
    kl_relation,
    mean_logits,
    point_relation,
    released_point_relation,
)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def kl_class(student, teacher, **options):
    return kl_relation(student, teacher, 30, **options)


def kl_pixel(student, teacher, **options):
    return kl_relation(student, teacher, 2, axis='pixel', **options)


def joint(student, teacher, **options):
    return joint_relation(student, [1.5 * teacher, 0.25 * teacher], **options)


def batch_point(student, teacher, **options):
    return released_point_relation(student, teacher, axis='batch', **options)


PAIRWISE = [
    kl_class,
    kl_pixel,
    correlation_relation,
    point_relation,
    released_point_relation,
    batch_point,
]
ALL = [*PAIRWISE, joint]


def softmax(scores):
    total = sum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]


def pixels(logits):
    """Logits (N, K, H, W) as a list of lists of K scores, one a pixel."""
    number, classes, height, width = logits.shape
    return [
        [float(logits[n, k, i, j]) for k in range(classes)]
        for n in range(number)
        for i in range(height)
        for j in range(width)
    ]


def columns(rows):
    return [list(column) for column in zip(*rows, strict=True)]


def naive_kl(student, teacher, temperature, axis):
    own, other = pixels(student), pixels(teacher)
    count = len(own)
    if axis == 'pixel':
        own, other = columns(own), columns(other)
    total = 0.0
    for s, t in zip(own, other, strict=True):
        q = softmax([x / temperature for x in s])
        p = softmax([x / temperature for x in t])
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / count * temperature**2


def naive_correlation(student, teacher):
    grams = []
    for logits in (student, teacher):
        rows = [image.flatten().tolist() for image in logits]
        gram = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
        norm = math.sqrt(sum(g * g for row in gram for g in row))
        grams.append([g / norm for row in gram for g in row])
    return sum((a - b) ** 2 for a, b in zip(*grams, strict=True)) / len(student) ** 2


def naive_point(student, teacher):
    total = 0.0
    for s, t in zip(pixels(student), pixels(teacher), strict=True):
        total += math.sqrt(sum((a - b) ** 2 for a, b in zip(softmax(s), softmax(t), strict=True)))
    return total / len(pixels(student))


def naive_released_point(student, teacher, axis):
    if axis == 'pixel':
        own, other = columns(pixels(student)), columns(pixels(teacher))
    else:
        own, other = (
            columns([image.flatten().tolist() for image in x]) for x in (student, teacher)
        )
    terms = []
    for s, t in zip(own, other, strict=True):
        terms += [(a - b) ** 2 for a, b in zip(softmax(s), softmax(t), strict=True)]
    return sum(terms) / len(terms)


@pytest.fixture
def pair():
    return 3 * draw(2, 3, 4, 4), 3 * draw(2, 3, 4, 4, seed=1)


@pytest.mark.parametrize('axis', ['class', 'pixel'])
@pytest.mark.parametrize('temperature', [1, 4.0, 30])
def test_kl_relation__equals_the_loops(pair, axis, temperature):
    expected = naive_kl(*pair, temperature, axis)
    assert expected > 1e-3
    assert kl_relation(*pair, temperature, axis).item() == pytest.approx(expected, rel=1e-10)


def test_kl_relation__of_two_classes_by_hand():
    # Teacher 3/4, 1/4; student 1/2, 1/2 at T = 2: the logits are twice the log odds.
    teacher = torch.tensor([[2 * math.log(3), 0.0]])
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert kl_relation(torch.zeros(1, 2), teacher, 2).item() == pytest.approx(expected, rel=1e-6)


def test_kl_relation__axes_differ_and_the_class_axis_is_hintons(pair):
    student, teacher = pair
    hinton = torch.nn.functional.kl_div(
        (student / 30).log_softmax(1), (teacher / 30).softmax(1), reduction='sum'
    )
    torch.testing.assert_close(kl_relation(student, teacher, 30), hinton * 900 / 32)
    assert kl_relation(student, teacher, 30, 'pixel') < 0.5 * kl_relation(student, teacher, 30)


@pytest.mark.parametrize('axis', ['class', 'pixel'])
def test_joint_relation__equals_the_loops(pair, axis):
    student, b = pair
    c = 3 * draw(2, 3, 4, 4, seed=2)
    expected = naive_kl(student, (b + c) / 2, 30, axis)
    assert joint_relation(student, [b, c], axis=axis).item() == pytest.approx(expected, rel=1e-9)
    of_probabilities = (b / 30).softmax(1) + (c / 30).softmax(1)
    other = naive_kl(student, 30 * of_probabilities.log(), 30, axis)
    assert other != pytest.approx(expected, rel=1e-4)
    assert joint_relation(student, [b], 30.0, axis) == kl_relation(student, b, 30.0, axis)


def test_correlation_relation__equals_the_loops(pair):
    expected = naive_correlation(*pair)
    assert expected > 1e-3
    assert correlation_relation(*pair).item() == pytest.approx(expected, rel=1e-10)
    flat = correlation_relation(*(x.flatten(1) for x in pair))
    torch.testing.assert_close(flat, correlation_relation(*pair))


def test_point_relation__equals_the_loops(pair):
    assert point_relation(*pair).item() == pytest.approx(naive_point(*pair), rel=1e-12)


@pytest.mark.parametrize('axis', ['pixel', 'batch'])
def test_released_point_relation__equals_the_loops(pair, axis):
    expected = naive_released_point(*pair, axis)
    assert expected > 1e-4
    assert released_point_relation(*pair, axis).item() == pytest.approx(expected, rel=1e-10)


def test_released_point_relation__axes_differ_and_none_is_the_class_axis(pair):
    classes = torch.nn.functional.mse_loss(*(x.softmax(1) for x in pair))
    pixel, batch = (released_point_relation(*pair, axis) for axis in ('pixel', 'batch'))
    assert len({round(x.item(), 6) for x in (classes, pixel, batch)}) == 3


@pytest.mark.parametrize(
    'relation', [kl_class, kl_pixel, point_relation, released_point_relation, joint]
)
def test_relation__rows_of_pixels_are_the_map(pair, relation):
    rows = [x.movedim(1, -1).reshape(-1, 3) for x in pair]
    torch.testing.assert_close(relation(*rows), relation(*pair))


@pytest.mark.parametrize('relation', ALL)
def test_relation__gradcheck(relation):
    student = draw(2, 3, 2, 2).requires_grad_()
    teacher = draw(2, 3, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: relation(x, teacher.detach()), (student,))
    assert torch.autograd.gradcheck(
        lambda x, y: relation(x, y, teacher_gradient=True), (student, teacher)
    )


def test_kl_relation__gradcheck_far_apart():
    student, teacher = 9 * draw(2, 3, 2, 2), 9 * draw(2, 3, 2, 2, seed=1)
    both = (student.requires_grad_(), teacher.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, y: kl_relation(x, y, 1, 'class', True), both)


@pytest.mark.parametrize('relation', ALL)
def test_relation__teacher_has_a_gradient_only_if_asked(relation):
    student = draw(3, 4, 2, 2).requires_grad_()
    teacher = draw(3, 4, 2, 2, seed=1).requires_grad_()
    relation(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    alone, student.grad = student.grad, None
    relation(student, teacher, teacher_gradient=True).backward()
    torch.testing.assert_close(student.grad, alone)
    assert teacher.grad.abs().sum() > 0


@pytest.mark.parametrize('relation', PAIRWISE)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_relation__identical_networks_give_zero_and_zero_gradient(relation, dtype):
    student = draw(3, 4, 5, 5, dtype=dtype).requires_grad_()
    loss = relation(student, student.detach().clone())
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().max() < (1e-7 if dtype == torch.float32 else 1e-15)


@pytest.mark.parametrize('relation', ALL)
def test_relation__is_positive_between_different_networks(relation):
    assert relation(draw(3, 4, 2, 2), draw(3, 4, 2, 2, seed=1)) > 0


@pytest.mark.parametrize('relation', [kl_class, point_relation])
def test_relation__of_classes_ignores_a_shift_of_a_pixels_logits(relation, pair):
    student, teacher = pair
    shift = draw(2, 1, 4, 4, seed=7)
    torch.testing.assert_close(relation(student + shift, teacher), relation(student, teacher))


@pytest.mark.parametrize(
    ('relation', 'shape'),
    [(kl_pixel, (3, 1, 1)), (released_point_relation, (3, 1, 1)), (batch_point, (3, 4, 4))],
)
def test_relation__of_pixels_ignores_a_shift_along_the_axis(relation, shape, pair):
    student, teacher = pair
    shift = draw(*shape, seed=7)
    torch.testing.assert_close(relation(student + shift, teacher), relation(student, teacher))


def test_correlation_relation__invariant_to_scale_and_rotation_but_not_translation(pair):
    student, teacher = (x.flatten(1) for x in pair)
    rotation = torch.linalg.qr(draw(48, 48, seed=2)).Q
    expected = correlation_relation(student, teacher)
    torch.testing.assert_close(correlation_relation(7.5 * student @ rotation, teacher), expected)
    assert not torch.isclose(correlation_relation(student + 1, teacher), expected)


@pytest.mark.parametrize('relation', [correlation_relation, batch_point])
def test_relation__of_images_is_zero_for_a_batch_of_one(relation):
    student = draw(1, 3, 4, 4).requires_grad_()
    loss = relation(student, draw(1, 3, 4, 4, seed=1))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-30)
    assert student.grad.abs().max() < 1e-15


@pytest.mark.parametrize('relation', ALL)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_relation__equal_samples_and_zeros_have_finite_gradients(relation, dtype):
    some = draw(1, 3, 2, 2, dtype=dtype).repeat(4, 1, 1, 1)
    zeros = torch.zeros(4, 3, 2, 2, dtype=dtype)
    for start, teacher in ((some, zeros), (zeros, some), (zeros, zeros), (some, some)):
        student = start.clone().requires_grad_()
        loss = relation(student, teacher, teacher_gradient=True)
        loss.backward()
        assert loss.isfinite()
        assert student.grad.isfinite().all()


def test_kl_relation__is_finite_for_certain_networks():
    student = torch.tensor([[2000.0, 0.0], [0.0, 2000.0], [50.0, -60.0]]).requires_grad_()
    loss = kl_relation(student, student.detach().flip(1), 1)
    loss.backward()
    assert loss.item() == pytest.approx((2000 + 2000 + 110) / 3)
    assert student.grad.isfinite().all()
    torch.testing.assert_close(student.grad[:2], torch.tensor([[1.0, -1], [-1, 1]]) / 3)


@pytest.mark.parametrize('axis', ['class', 'pixel'])
@pytest.mark.parametrize(('distance', 'tolerance'), [(1.0, 1e-5), (1e-2, 1e-4), (1e-3, 1e-2)])
def test_kl_relation__keeps_its_digits_between_near_equal_networks(axis, distance, tolerance):
    student = 3 * draw(4, 4, 16, 16, dtype=torch.float32)
    teacher = student + distance * draw(4, 4, 16, 16, seed=1, dtype=torch.float32)
    expected = kl_relation(student.double(), teacher.double(), 30, axis).item()
    found = kl_relation(student, teacher, 30, axis).item()
    assert found == pytest.approx(expected, rel=tolerance)


def test_correlation_relation__float32_is_exact_between_near_equal_networks():
    student = draw(12, 9000, dtype=torch.float32)
    teacher = student + 1e-2 * draw(12, 9000, seed=1, dtype=torch.float32)
    expected = correlation_relation(student.double(), teacher.double()).item()
    assert correlation_relation(student, teacher).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('relation', ALL)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('cast', [torch.float16, torch.bfloat16])
def test_relation__computes_in_float32_under_autocast(relation, dtype, cast):
    student = draw(6, 3, 4, 4).to(dtype)
    teacher = draw(6, 3, 4, 4, seed=1).to(dtype)
    if relation is joint:  # its peers are made of the teacher
        teacher = teacher.float()
    assert_same_under_autocast(relation, student, teacher, cast)


def test_mean_logits__of_half_precision_is_float32():
    peers = [draw(2, 3).half(), draw(2, 3, seed=1).half()]
    assert torch.equal(mean_logits(peers), (peers[0].float() + peers[1].float()) / 2)


def test_functional__gives_every_relation():
    for relation in (
        kl_relation, joint_relation, correlation_relation, point_relation, released_point_relation,
    ):  # fmt: skip
        assert getattr(functional, relation.__name__) is relation
    assert all(hasattr(functional, name) for name in functional.__all__)


@pytest.mark.parametrize('relation', ALL)
def test_relation__refuses_other_shapes(relation):
    with pytest.raises(ValueError, match=r'one shape, got \(2, 3\) and \(2, 4\)'):
        relation(draw(2, 3), draw(2, 4))
    with pytest.raises(ValueError, match=r'must be .* with at least one \w+, got \(3,\)'):
        relation(draw(3), draw(3))
    with pytest.raises(ValueError, match=r'at least one \w+, got \(0, 3\)'):
        relation(draw(0, 3), draw(0, 3))


@pytest.mark.parametrize('temperature', [0, -1, math.inf, math.nan])
def test_kl_relation__refuses_a_temperature_that_is_none(temperature):
    with pytest.raises(ValueError, match='temperature must be a positive number, got'):
        kl_relation(draw(2, 3), draw(2, 3), temperature)
    with pytest.raises(ValueError, match='temperature must be a positive number, got'):
        joint_relation(draw(2, 3), [draw(2, 3)], temperature)


def test_relation__refuses_an_unknown_axis():
    with pytest.raises(ValueError, match="axis must be one of class, pixel, got 'batch'"):
        kl_relation(draw(2, 3), draw(2, 3), 30, 'batch')
    with pytest.raises(ValueError, match='axis must be one of class, pixel, got 1'):
        joint_relation(draw(2, 3), [draw(2, 3)], axis=1)
    with pytest.raises(ValueError, match="axis must be one of pixel, batch, got 'class'"):
        released_point_relation(draw(2, 3), draw(2, 3), 'class')


def test_joint_relation__refuses_no_peers_and_peers_of_two_shapes():
    with pytest.raises(ValueError, match='peers of one shape, got none'):
        joint_relation(draw(2, 3), [])
    with pytest.raises(ValueError, match=r'peers of one shape, got \(2, 3\) and \(3, 3\)'):
        joint_relation(draw(2, 3), [draw(2, 3), draw(3, 3)])
