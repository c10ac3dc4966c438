"""The released recipe: one network forwarded three times, whole images as samples.

What the authors' functions compute is written here as loops from its description (methods.md
1.10-1.12), with nothing of this package, and compared in value and gradient.
"""

import math

import pytest
import torch

from arml.models.losses import SRMLoss, SWVLoss
from arml.models.losses.functional import hard_vote

RELEASED = dict(
    relation='structure', alpha=30.0, beta=60.0, samples='image', resolution='mask',
    direction='from_peers', teacher_gradient=False,
)  # fmt: skip


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_background(logits, target):
    """A fifth logit: 100 where the mask is background (class 4), 0 elsewhere."""
    background = torch.where(target == 4, 100.0, 0.0).unsqueeze(1).to(logits.dtype)
    return torch.cat([logits, background], 1)


def passes(requires_grad=False):
    target = torch.randint(0, 5, (4, 6, 6), generator=torch.Generator().manual_seed(9))
    logits = [2 * draw(seed, 4, 4, 6, 6) for seed in range(3)]
    logits[0].requires_grad_(requires_grad)
    return logits, target


def smooth(difference):
    return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5


def loop_structure(student, teacher):
    """30 distance + 60 angle over the images of the batch, differentiable in the student."""
    images = len(student)
    student, teacher = student.reshape(images, -1), teacher.detach().reshape(images, -1)

    def distances(x):
        table = {(i, j): (x[i] - x[j]).norm() for i in range(images) for j in range(images)}
        positive = [d for d in table.values() if d > 0]
        mean = sum(positive) / len(positive)
        return {key: d / mean if d > 0 else 0.0 for key, d in table.items()}

    def cosine(x, i, j, k):
        one, other = x[i] - x[j], x[k] - x[j]
        if one.norm() == 0 or other.norm() == 0:
            return 0.0
        return (one / one.norm()) @ (other / other.norm())

    own, other = distances(student), distances(teacher)
    distance = sum(smooth(own[key] - other[key]) for key in own) / images**2
    angle = sum(
        smooth(cosine(student, i, j, k) - cosine(teacher, i, j, k))
        for i in range(images)
        for j in range(images)
        for k in range(images)
        if j not in (i, k)
    )
    return 30 * distance + 60 * angle / images**3


def loop_voting(logits, target, others):
    """Mean over batch and all pixels of twice or half the cross entropy."""
    total = 0.0
    images, _, height, width = logits.shape
    for n in range(images):
        for i in range(height):
            for j in range(width):
                scores = logits[n, :, i, j]
                entropy = torch.logsumexp(scores, 0) - scores[target[n, i, j]]
                b, c = (int(x[n, :, i, j].argmax()) for x in others)
                total = total + (2 if b == c else 0.5) * entropy
    return total / (images * height * width)


@pytest.mark.parametrize('channels', [4, 5])
def test_released_structure__value_and_gradient(channels):
    logits, target = passes(requires_grad=True)
    used = [with_background(x, target) if channels == 5 else x for x in logits]
    (found,) = SRMLoss(**RELEASED)(used, mains=[0])
    expected = 0.5 * (loop_structure(used[0], used[1]) + loop_structure(used[0], used[2]))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    moved = torch.autograd.grad(found, logits[0])[0]
    torch.testing.assert_close(moved, torch.autograd.grad(expected, logits[0])[0])


def test_released_structure__distance_only():
    logits, _ = passes()
    (both,) = SRMLoss(**RELEASED)(logits, mains=[0])
    (distance,) = SRMLoss(**{**RELEASED, 'beta': 0.0})(logits, mains=[0])
    (angle,) = SRMLoss(**{**RELEASED, 'alpha': 0.0})(logits, mains=[0])
    assert 0 < distance < both
    torch.testing.assert_close(distance + angle, both)


def test_released_structure__white_masks_outweigh_the_logits():
    # The constant channel is the same for student and teacher and far larger than the logits.
    logits, target = passes()
    (four,) = SRMLoss(**RELEASED)(logits, mains=[0])
    (five,) = SRMLoss(**RELEASED)([with_background(x, target) for x in logits], mains=[0])
    assert five < 0.01 * four


def test_released_structure__numbers():
    # Images 0, 3 apart in one pixel, 4 in the other: sides 3, 4, 5 of mean 4; peers: a triangle of
    # equal sides, and the same triangle five times as large (which says nothing new).
    def images(rows):
        return torch.tensor(rows).view(3, 1, 1, 2)

    right = images([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
    equal = images([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
    (found,) = SRMLoss(**RELEASED)([right, equal, 5 * right], mains=[0])
    # 30 * 2 * (1/16 + 1/16) / 2 / 9 + 60 * 2 * (0.25 + 0.01 + 0.09) / 2 / 27, halved.
    assert found.item() == pytest.approx(43 / 72, rel=1e-6)


def test_released_objective__is_the_loops():
    logits, target = passes(requires_grad=True)
    a, b, c = (with_background(x, target) for x in logits)
    voting = SWVLoss(omega=2)(a, target, hard_vote(b), hard_vote(c))
    (relation,) = SRMLoss(**RELEASED)([a, b, c], mains=[0])
    found = 0.8 * voting + 0.2 * relation
    expected = 0.8 * loop_voting(a, target, (b, c))
    expected = expected + 0.2 * 0.5 * (loop_structure(a, b) + loop_structure(a, c))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    moved = torch.autograd.grad(found, logits[0])[0]
    torch.testing.assert_close(moved, torch.autograd.grad(expected, logits[0])[0])


def test_released_voting__the_background_logit_silences_white_pixels():
    logits, target = passes()
    full = with_background(logits[0], target)
    entropy = torch.nn.functional.cross_entropy(full, target, reduction='none')
    assert entropy[target == 4].max() < 1e-6
    assert (target == 4).any()


def test_released_cross_entropy__is_divided_by_the_batch_twice():
    logits, target = passes()
    full = with_background(logits[0], target)
    total = 0.0
    for n in range(4):
        for i in range(6):
            for j in range(6):
                scores = full[n, :, i, j]
                total += float(torch.logsumexp(scores, 0) - scores[target[n, i, j]])
    found = SWVLoss(enabled=False, extra_batch_division=True)(full, target)
    assert found.item() == pytest.approx(total / (4 * 6 * 6) / 4, rel=1e-9)


@pytest.mark.parametrize('axis', ['class', 'pixel'])
def test_released_kl__temperature_of_thirty(axis):
    logits, _ = passes()
    (found,) = SRMLoss(relation='kl', axis=axis)(logits, mains=[0])
    rows = [x.movedim(1, -1).reshape(-1, 4).tolist() for x in logits]
    count = len(rows[0])
    lists = rows if axis == 'class' else [list(zip(*x, strict=True)) for x in rows]

    def soft(scores):
        values = [math.exp(s / 30) for s in scores]
        return [v / sum(values) for v in values]

    total = 0.0
    for peer in (1, 2):
        for own, other in zip(lists[0], lists[peer], strict=True):
            pairs = zip(soft(other), soft(own), strict=True)
            total += 0.5 * sum(p * math.log(p / q) for p, q in pairs)
    assert found.item() == pytest.approx(total / count * 900, rel=1e-9)
