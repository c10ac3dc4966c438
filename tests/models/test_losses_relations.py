"""ARML eqs. 5-8 against loops, their invariances, precision and errors."""

import math

import pytest
import torch
from autocast import assert_same_under_autocast

from arml.models.losses import geometry
from arml.models.losses.functional import (
    angle_relation,
    distance_relation,
    mutual_structure_relation,
    structure_relation,
)
from arml.models.losses.geometry import BLOCK, FEW_DIMENSIONS, gram

FEW, MANY = 4, FEW_DIMENSIONS + 7
RELATIONS = [distance_relation, angle_relation]


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def smooth_l1(difference):
    return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5


def length(vector):
    return math.sqrt(sum(x * x for x in vector))


def minus(one, other):
    return [a - b for a, b in zip(one, other, strict=True)]


def naive_distances(samples):
    size = len(samples)
    table = [[length(minus(samples[i], samples[j])) for j in range(size)] for i in range(size)]
    positive = [d for row in table for d in row if d > 0]
    mean = sum(positive) / len(positive) if positive else 1
    return [[d / mean for d in row] for row in table]


def naive_distance_relation(student, teacher):
    one, other = naive_distances(student.tolist()), naive_distances(teacher.tolist())
    size = len(one)
    terms = [smooth_l1(one[i][j] - other[i][j]) for i in range(size) for j in range(size)]
    return sum(terms) / size**2


def naive_cosine(samples, i, j, k):
    one, other = minus(samples[i], samples[j]), minus(samples[k], samples[j])
    if length(one) == 0 or length(other) == 0:
        return None
    inner = sum(a * b for a, b in zip(one, other, strict=True))
    return inner / (length(one) * length(other))


def naive_angle_relation(student, teacher):
    student, teacher = student.tolist(), teacher.tolist()
    size, total = len(student), 0.0
    for i in range(size):
        for j in range(size):
            for k in range(size):
                one = naive_cosine(student, i, j, k)
                other = naive_cosine(teacher, i, j, k)
                if one is not None and other is not None:
                    total += smooth_l1(one - other)
    return total / size**3


NAIVE = {distance_relation: naive_distance_relation, angle_relation: naive_angle_relation}


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [1, FEW, FEW_DIMENSIONS, MANY])
@pytest.mark.parametrize('batch', [2, 3, 7])
def test_relation__equals_the_loops(relation, dimensions, batch):
    student, teacher = draw(batch, dimensions), draw(batch, dimensions, seed=1)
    expected = NAIVE[relation](student, teacher)
    assert expected > 0 or batch < 7
    assert relation(student, teacher).item() == pytest.approx(expected, rel=1e-10, abs=1e-20)


@pytest.mark.parametrize('relation', RELATIONS)
def test_relation__equals_the_loops_on_flattened_images(relation):
    student, teacher = draw(2, 3, 4, 4).flatten(1), draw(2, 3, 4, 4, seed=1).flatten(1)
    student[0] *= 3
    expected = NAIVE[relation](student, teacher)
    assert relation(student, teacher).item() == pytest.approx(expected, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__reaches_the_linear_part_of_smooth_l1(relation, dimensions):
    student, teacher = draw(6, dimensions), draw(6, dimensions, seed=1)
    # Two far clusters on one side: normalised distances and cosines differ by more than 1.
    student[0] += 100
    teacher[:, 0] = torch.tensor([0.0, -50, 30, 31, 90, -7])
    expected = NAIVE[relation](student, teacher)
    assert relation(student, teacher).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__coinciding_samples_equal_the_loops(relation, dimensions):
    student, teacher = draw(6, dimensions), draw(6, dimensions, seed=1)
    student[1] = student[4]
    teacher[2] = teacher[5]
    expected = NAIVE[relation](student, teacher)
    assert relation(student, teacher).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__groups_are_averaged(relation, dimensions):
    student, teacher = draw(3, 5, dimensions), draw(3, 5, dimensions, seed=1)
    expected = sum(relation(student[t], teacher[t]) for t in range(3)) / 3
    torch.testing.assert_close(relation(student, teacher), expected)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__gradcheck(relation, dimensions):
    student = draw(4, dimensions).requires_grad_()
    teacher = draw(4, dimensions, seed=1)
    assert torch.autograd.gradcheck(lambda x: relation(x, teacher), (student,))
    teacher.requires_grad_()
    both = (student, teacher)
    assert torch.autograd.gradcheck(lambda x, y: relation(x, y, teacher_gradient=True), both)


@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_structure_relation__gradcheck_in_groups(dimensions):
    student = draw(2, 4, dimensions).requires_grad_()
    teacher = draw(2, 4, dimensions, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: structure_relation(x, teacher.detach(), 30, 60), (student,)
    )
    assert torch.autograd.gradcheck(
        lambda x, y: structure_relation(x, y, 30, 60, teacher_gradient=True), (student, teacher)
    )


@pytest.mark.parametrize('centred', [True, False])
def test_gram__gradcheck(centred):
    samples = draw(2, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gram(x, centred), (samples,))


@pytest.mark.parametrize('centred', [True, False])
@pytest.mark.parametrize('precision', ['highest', 'medium'])
@pytest.mark.parametrize('dimensions', [BLOCK - 1, 3 * BLOCK, 7 * BLOCK + 5])
def test_gram__blocks_are_the_product(centred, precision, dimensions):
    samples = draw(2, 3, dimensions, dtype=torch.float32) + 2
    weight = draw(2, 3, 3, seed=1)
    wide = samples.double().requires_grad_()
    whole = wide - wide.mean(-2, keepdim=True) if centred else wide
    expected = whole @ whole.mT
    (weight * expected).sum().backward()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        own = samples.clone().requires_grad_()
        found = gram(own, centred)
        (weight * found).sum().backward()
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * dimensions)
    torch.testing.assert_close(own.grad.double(), wide.grad, rtol=1e-5, atol=1e-4)


def test_structure_relation__is_the_weighted_sum():
    student, teacher = draw(5, FEW), draw(5, FEW, seed=1)
    expected = 30 * distance_relation(student, teacher) + 60 * angle_relation(student, teacher)
    torch.testing.assert_close(structure_relation(student, teacher, 30, 60), expected)


def test_structure_relation__without_weights_is_zero_with_zero_gradient():
    student = draw(5, FEW).requires_grad_()
    loss = structure_relation(student, draw(5, FEW, seed=1), 0, 0)
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().sum() == 0


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_relation__identical_networks_give_zero(relation, dimensions, dtype):
    samples = draw(6, dimensions, dtype=dtype)
    assert relation(samples, samples.clone()).item() == 0


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__invariant_to_translation_rotation_and_scale(relation, dimensions):
    student, teacher = draw(6, dimensions), draw(6, dimensions, seed=1)
    rotation = torch.linalg.qr(draw(dimensions, dimensions, seed=2)).Q
    moved = 7.5 * (student @ rotation) + draw(dimensions, seed=3)
    torch.testing.assert_close(relation(moved, teacher), relation(student, teacher))
    assert relation(moved, student).item() < 1e-20
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    torch.testing.assert_close(relation(student[order], teacher[order]), relation(student, teacher))


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__teacher_has_no_gradient(relation, dimensions):
    student = draw(5, dimensions).requires_grad_()
    teacher = draw(5, dimensions, seed=1).requires_grad_()
    relation(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    alone = student.grad.clone()
    student.grad = None
    relation(student, teacher, teacher_gradient=True).backward()
    torch.testing.assert_close(student.grad, alone)
    assert teacher.grad.abs().sum() > 0


def test_angle_relation__in_pieces_is_the_whole(monkeypatch):
    values = []
    for piece in (geometry.PIECE, 3 * 7**2, 1):  # all matrices at once, three, one at a time
        monkeypatch.setattr(geometry, 'PIECE', piece)
        samples = [draw(2, 7, FEW, seed=s).requires_grad_() for s in range(2)]
        loss = angle_relation(*samples, teacher_gradient=True)
        values.append([loss.detach(), *torch.autograd.grad(loss, samples)])
    for found in values[1:]:
        torch.testing.assert_close(found, values[0])


def test_relation__value_is_symmetric():
    student, teacher = draw(5, FEW), draw(5, FEW, seed=1)
    for relation in RELATIONS:
        torch.testing.assert_close(relation(student, teacher), relation(teacher, student))


def test_relation__of_triangles_is_the_sum_by_hand():
    # Sides 3, 4, 5 of mean 4 and cosines 0, 3/5, 4/5; an equilateral one: all 1 and 1/2.
    right = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
    equal = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
    distance = 2 * (0.25**2 + 0.25**2) / 2 / 9
    angle = 2 * (0.5**2 + 0.1**2 + 0.3**2) / 2 / 27
    assert distance_relation(right, equal).item() == pytest.approx(distance, rel=1e-6)
    assert angle_relation(right, equal).item() == pytest.approx(angle, rel=1e-6)
    assert structure_relation(right, equal, 30, 60).item() == pytest.approx(43 / 36, rel=1e-6)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_relation__batch_of_one_is_zero(relation, dimensions):
    student = draw(1, dimensions).requires_grad_()
    loss = relation(student, draw(1, dimensions, seed=1))
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().sum() == 0


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY, 5000])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_relation__equal_samples_have_finite_gradients(relation, dimensions, dtype):
    teacher = draw(5, dimensions, seed=1, dtype=dtype)
    some = draw(5, dimensions, dtype=dtype)
    some[3] = some[1]
    for student in (some, some[:1].repeat(5, 1)):
        student = student.clone().requires_grad_()
        loss = relation(student, teacher)
        loss.backward()
        assert loss.isfinite()
        assert student.grad.isfinite().all()
    assert relation(teacher, some[:1].repeat(5, 1)).isfinite()


def explicit(student, teacher, alpha, beta):
    """The relation with every difference vector written out, as published code does."""

    def distances(x):
        squared = (x.unsqueeze(1) - x.unsqueeze(0)).square().sum(-1)
        length = torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)
        return length / length[length > 0].mean()

    def cosines(x):
        difference = x.unsqueeze(0) - x.unsqueeze(1)
        unit = torch.nn.functional.normalize(difference, dim=-1)
        return torch.bmm(unit, unit.mT)

    smooth = torch.nn.functional.smooth_l1_loss
    return alpha * smooth(distances(student), distances(teacher)) + beta * smooth(
        cosines(student), cosines(teacher)
    )


@pytest.mark.parametrize('precision', ['highest', 'high', 'medium'])
@pytest.mark.parametrize('shape', [(12, 9000), (48, 4)])
def test_structure_relation__float32_is_exact_to_1e_5(shape, precision):
    student = draw(*shape, dtype=torch.float32) + 3
    teacher = draw(*shape, seed=1, dtype=torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        own = student.clone().requires_grad_()
        found = structure_relation(own, teacher, 30, 60)
        found.backward()
    finally:
        torch.set_float32_matmul_precision(before)
    wide = student.double().requires_grad_()
    expected = explicit(wide, teacher.double(), 30, 60)
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    error = (own.grad - wide.grad).norm() / wide.grad.norm()
    assert error < (1e-5 if shape[1] > FEW_DIMENSIONS else 1e-4)


@pytest.mark.parametrize('shape', [(12, 9000), (48, 4)])
def test_structure_relation__near_equal_networks(shape):
    student = draw(*shape, dtype=torch.float32)
    teacher = student + 1e-3 * draw(*shape, seed=1, dtype=torch.float32)
    expected = explicit(student.double(), teacher.double(), 30, 60).item()
    assert structure_relation(student, teacher, 30, 60).item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize('relation', RELATIONS)
@pytest.mark.parametrize('dimensions', [FEW, MANY])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('cast', [torch.float16, torch.bfloat16])
def test_relation__computes_in_float32_under_autocast(relation, dimensions, dtype, cast):
    student = draw(6, dimensions).to(dtype)
    teacher = draw(6, dimensions, seed=1).to(dtype)
    assert_same_under_autocast(relation, student, teacher, cast)


@pytest.mark.parametrize('dimensions', [FEW, MANY])
def test_mutual_structure_relation__is_the_mean_over_both_teachers(dimensions):
    samples = [draw(2, 5, dimensions, seed=s).requires_grad_() for s in range(3)]
    losses = mutual_structure_relation(samples, 30, 60)
    for index, loss in enumerate(losses):
        student = samples[index].detach().clone().requires_grad_()
        peers = [samples[(index + 1) % 3], samples[(index + 2) % 3]]
        expected = sum(structure_relation(student, peer, 30, 60) for peer in peers) / 2
        torch.testing.assert_close(loss, expected)
        expected.backward()
        found = torch.autograd.grad(loss, samples, retain_graph=True, allow_unused=True)
        torch.testing.assert_close(found[index], student.grad)
        for other in {0, 1, 2} - {index}:
            assert found[other] is None or found[other].abs().sum() == 0


@pytest.mark.parametrize('relation', RELATIONS)
def test_relation__refuses_other_shapes(relation):
    with pytest.raises(ValueError, match=r'one shape.* got \(3, 4\) and \(3, 5\)'):
        relation(draw(3, 4), draw(3, 5))
    with pytest.raises(ValueError, match='at least one sample'):
        relation(draw(0, 4), draw(0, 4))
    with pytest.raises(ValueError, match=r'\(B, D\) or \(T, B, D\)'):
        relation(draw(2, 3, 4, 4), draw(2, 3, 4, 4))


@pytest.mark.parametrize(('alpha', 'beta'), [(-1, 60), (30, -0.5)])
def test_structure_relation__refuses_negative_weights(alpha, beta):
    with pytest.raises(ValueError, match='must not be negative'):
        structure_relation(draw(3, 4), draw(3, 4), alpha, beta)


def test_mutual_structure_relation__refuses_a_single_network():
    with pytest.raises(ValueError, match='at least two networks, got 1'):
        mutual_structure_relation([draw(3, 4)], 30, 60)
