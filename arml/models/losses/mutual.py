r"""Who teaches whom among networks that learn from each other, and where gradients go.

A relation compares a student with a teacher. With several networks every *main* network has a loss,
the mean of that relation over its peers; nothing that no main network needs is computed, and what
belongs to one network (its class probabilities, its geometry) is computed once for all its peers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from arml.models.losses.precision import full_precision, result_dtype

DIRECTIONS = ('from_peers', 'to_peers')


class Roles:
    r"""Roles of n networks.

    .. math:: L_a = \frac{1}{n-1} \sum_{p \neq a} L(\text{student}=a, \text{teacher}=p)

    for every main network a with ``'from_peers'``; student and teacher swapped with ``'to_peers'``.

    Attributes:
        networks: Number of networks, at least 2.
        mains: The networks that have a loss, in the order of the losses.
        direction: ``'from_peers'`` or ``'to_peers'``.
        teacher_gradient: Whether a relation also moves its teacher.
        students: The networks that some loss moves; all others carry no gradient.
        pairs: The pairs (i, j), i < j, that some loss compares.
    """

    def __init__(
        self,
        networks: int,
        mains: Sequence[int] | None = None,
        direction: str = 'from_peers',
        teacher_gradient: bool = False,
    ) -> None:
        """Check the roles.

        Args:
            networks: Number of networks.
            mains: Distinct indices of networks; all networks in order if None.
            direction: ``'from_peers'`` or ``'to_peers'``.
            teacher_gradient: Whether a relation also moves its teacher.

        Raises:
            ValueError: If there are fewer than two networks, ``mains`` is empty or not distinct
                indices of them, or the direction is unknown.
        """
        if networks < 2:
            raise ValueError(f'a relation needs at least two networks, got {networks}')
        mains = tuple(range(networks) if mains is None else mains)
        if not mains or len(set(mains)) < len(mains) or not set(mains) <= set(range(networks)):
            raise ValueError(
                f'mains must be one or more distinct indices of {networks} networks, got '
                f'{list(mains)}'
            )
        if direction not in DIRECTIONS:
            raise ValueError(f'direction must be one of {", ".join(DIRECTIONS)}, got {direction!r}')
        self.networks = networks
        self.mains = mains
        self.direction = direction
        self.teacher_gradient = teacher_gradient
        compared = [(main, peer) for main in mains for peer in self.peers(main)]
        self.pairs = sorted({(min(pair), max(pair)) for pair in compared})
        moved = {self._student_teacher(*pair)[0] for pair in compared}
        self.students = set(range(networks)) if teacher_gradient else moved

    def peers(self, main: int) -> list[int]:
        """All networks but ``main``, in order."""
        return [index for index in range(self.networks) if index != main]

    def detach(self, values: Sequence[Tensor]) -> list[Tensor]:
        """One value per network, without gradient where no loss moves the network."""
        return [
            value if index in self.students else value.detach()
            for index, value in enumerate(values)
        ]

    def mean(self, relation: Callable[[int, int], Tensor]) -> list[Tensor]:
        """Loss of every main network from ``relation(student, teacher)`` of two indices."""
        losses = []
        for main in self.mains:
            pairs = [self._student_teacher(main, peer) for peer in self.peers(main)]
            losses.append(sum(relation(*pair) for pair in pairs) / len(pairs))
        return losses

    def _student_teacher(self, main: int, peer: int) -> tuple[int, int]:
        return (main, peer) if self.direction == 'from_peers' else (peer, main)


class Relation(NamedTuple):
    """A relation in two steps, so that the first is done once per network.

    Attributes:
        embed: What is compared, from the logits of a network; differentiable.
        difference: The scalar of a student's and a teacher's embedding; differentiable in both.
    """

    embed: Callable[[Tensor], Tensor]
    difference: Callable[[Tensor, Tensor], Tensor]


def relate(
    relation: Relation, student: Tensor, teacher: Tensor, teacher_gradient: bool = False
) -> Tensor:
    """The relation of one student to one teacher.

    Args:
        relation: What is compared, and how.
        student: Logits of the trained network, float, a shape the relation takes.
        teacher: Logits of its peer, same shape.
        teacher_gradient: Whether gradient flows into the teacher too.

    Returns:
        Scalar, float32, or float64 for a float64 student.
    """
    roles = Roles(2, mains=(0,), teacher_gradient=teacher_gradient)
    return mutual_relation(relation, [student, teacher], roles)[0]


def mutual_relation(relation: Relation, logits: Sequence[Tensor], roles: Roles) -> list[Tensor]:
    """The relation of every main network to its peers.

    Args:
        relation: What is compared, and how.
        logits: Logits of each network, float, all of one shape that the relation takes.
        roles: Who teaches whom; of as many networks as there are logits.

    Returns:
        One scalar per main network, float32, or float64 for float64 logits.

    Raises:
        ValueError: If the shapes differ.
    """
    shapes = [tuple(x.shape) for x in logits]
    if len(set(shapes)) > 1:
        raise ValueError(
            'student and teacher must have one shape, got ' + ' and '.join(map(str, shapes))
        )
    with full_precision(logits[0]):
        parts = [relation.embed(x) for x in roles.detach(logits)]

        def between(student: int, teacher: int) -> Tensor:
            other = parts[teacher]
            other = other if roles.teacher_gradient else other.detach()
            return relation.difference(parts[student], other)

        return [loss.to(result_dtype(logits[0])) for loss in roles.mean(between)]
