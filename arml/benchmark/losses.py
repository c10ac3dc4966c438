"""The structure relation L_st against its explicit difference-tensor form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from arml.benchmark.harness import Bound, Harness, Report, Row, alternate, at_least, reporting
from arml.benchmark.memory import extra_memory
from arml.benchmark.reference import explicit_mutual_relation, explicit_structure_relation
from arml.models.losses.functional import mutual_structure_relation, structure_relation

#: Weights of distances and angles, as published.
ALPHA, BETA = 30.0, 60.0

Relation = Callable[[Tensor, Tensor, float, float], Tensor]


def run(
    harness: Harness,
    batch: int = 20,
    channels: int = 4,
    size: int = 224,
    per_tile: int = 64,
    noise: float = 1e-3,
) -> Report:
    """Measure time, memory and errors of L_st.

    Args:
        harness: Rounds, device, threads, seed.
        batch: Tiles, B, >= 2.
        channels: Channels of the logits, K, >= 1.
        size: Side of the logits in pixels.
        per_tile: Pixels of a tile that are samples in the second form, >= 2.
        noise: Standard deviation of what near-equal peers differ by, > 0; logits have 1.

    Raises:
        ConfigError: If a number is too small.
    """
    at_least(2, batch=batch, per_tile=per_tile)
    at_least(1, channels=channels, size=size)
    at_least(1e-12, noise=noise)
    sizes = {'batch': batch, 'channels': channels, 'size': size}
    shape = (batch, channels * size * size)
    with reporting('losses', harness, **sizes, per_tile=per_tile, noise=noise) as report:
        student, teacher, third = (torch.randn(shape, device=harness.device) for _ in range(3))
        images = f'L_st, {batch} image samples of {channels}x{size}x{size}'
        report.rows += [
            *_time(images, harness, student, teacher),
            _memory(images, harness, shape),
            *_errors('independent peers', student, teacher, bounded=True),
            *_errors(
                f'peers {noise:g} apart', student, student + noise * torch.randn_like(student)
            ),
            _mutual_time(
                'L_st of three networks, image samples', harness, [student, teacher, third]
            ),
        ]
        pixels = [torch.randn(batch, per_tile, channels, device=harness.device) for _ in range(3)]
        name = f'L_st of three networks, {per_tile} pixels of each of {batch} tiles'
        report.rows += [_mutual_time(name, harness, pixels), _mutual_error(name, pixels)]
    return report


def forward_backward(relation: Relation, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Value of a relation and its gradient for the student's samples."""
    student = student.detach().requires_grad_()
    value = relation(student, teacher, ALPHA, BETA)
    return value.detach(), torch.autograd.grad(value, student)[0]


def mutual_forward_backward(samples: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Values and gradients of three networks that learn from each other, in one backward pass."""
    students = [x.detach().requires_grad_() for x in samples]
    values = mutual_structure_relation(students, ALPHA, BETA)
    gradients = torch.autograd.grad(torch.stack(list(values)).sum(), students)
    return [value.detach() for value in values], list(gradients)


def _time(name: str, harness: Harness, student: Tensor, teacher: Tensor) -> list[Row]:
    works = {
        'ours': partial(forward_backward, structure_relation, student, teacher),
        'reference': partial(forward_backward, explicit_structure_relation, student, teacher),
        'limit': partial(torch.mm, student, student.T),
    }
    seconds = alternate(works, harness, 'losses, image samples')
    return [
        Row(
            f'{name}, forward and backward', 's', seconds['ours'], seconds['reference'],
            'reference / ours', Bound('>=', 40),
        ),
        Row(
            'the same; reference: its limit, one Gram product of the samples', 's',
            seconds['ours'], seconds['limit'], 'ours / reference',
        ),
    ]  # fmt: skip


def _memory(name: str, harness: Harness, shape: tuple[int, int]) -> Row:
    ours, reference = (
        extra_memory(prepare_memory, harness, which, shape) for which in ('ours', 'explicit')
    )
    return Row(
        f'{name}, peak memory over the samples', 'MB', ours, reference, 'ours / reference',
        Bound('<=', 0.2),
    )  # fmt: skip


def prepare_memory(
    which: str, shape: tuple[int, int], device: torch.device
) -> Callable[[], object]:
    """Make the samples, and a first small call; return the call that is measured.

    Args:
        which: ``'ours'`` or ``'explicit'``.
        shape: (B, D).
        device: Where.
    """
    relation = structure_relation if which == 'ours' else explicit_structure_relation
    student, teacher = (torch.randn(shape, device=device) for _ in range(2))
    # Libraries take memory once, in their first call.
    few = slice(0, min(shape[1], 4096))
    forward_backward(relation, student[:, few].contiguous(), teacher[:, few].contiguous())
    return partial(forward_backward, relation, student, teacher)


def _errors(peers: str, student: Tensor, teacher: Tensor, bounded: bool = False) -> list[Row]:
    """Errors of value and gradient, of ours and of the explicit form as released (float32)."""
    exact = forward_backward(explicit_structure_relation, student.double(), teacher.double())
    ours = forward_backward(structure_relation, student, teacher)
    reference = forward_backward(explicit_structure_relation, student, teacher)
    rows = []
    for index, part in enumerate(('value', 'gradient')):
        bound = Bound('<=', 1e-5, of='ours') if bounded and part == 'value' else None
        errors = [[relative_error(found[index], exact[index])] for found in (ours, reference)]
        name = f'L_st, {part} against float64, {peers}'
        rows.append(Row(name, 'relative error', *errors, bound=bound))
    return rows


def _mutual_time(name: str, harness: Harness, samples: list[Tensor]) -> Row:
    works = {
        'ours': partial(mutual_forward_backward, samples),
        'reference': partial(explicit_mutual_relation, samples, ALPHA, BETA),
    }
    seconds = alternate(
        works, harness, f'losses, {"pixels" if samples[0].dim() == 3 else "images"}'
    )
    return Row(
        f'{name}, forward and backward', 's', seconds['ours'], seconds['reference'],
        'reference / ours',
    )  # fmt: skip


def _mutual_error(name: str, samples: list[Tensor]) -> Row:
    exact, _ = explicit_mutual_relation([x.double() for x in samples], ALPHA, BETA)
    reference, _ = explicit_mutual_relation(samples, ALPHA, BETA)
    ours, _ = mutual_forward_backward(samples)
    errors = [
        [max(relative_error(a, b) for a, b in zip(found, exact, strict=True))]
        for found in (ours, reference)
    ]
    return Row(f'{name}, largest error of a value', 'relative error', *errors)


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Length of the difference over that of the exact tensor."""
    difference = torch.linalg.vector_norm(found.double() - exact)
    return float(difference / torch.linalg.vector_norm(exact))
