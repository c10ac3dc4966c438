"""Which lines of a table are tested against which: all against one, or the best against the best other method."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from arml.report.stats import Comparison, compare, holm
from arml.report.sweep_cells import Group

#: In the place of a line: in each column the best method is tested against the best of the others.
BEST_OTHER = 'best-other'

#: A score by name and seed of each line.
Values = Sequence[Mapping[str, Mapping[Any, float]]]


def tests_of(
    groups: Sequence[Group], values: Values, names: Sequence[str], comparator: Group | str | None, test: str
) -> list[dict[str, Comparison]]:  # fmt: skip
    """The tests of each line by score; upper bounds are tested only where one is named as the comparator.

    Args:
        groups: The lines.
        values: Their scores.
        names: The scores that are tested.
        comparator: The line that the others are compared with, :data:`BEST_OTHER`, or None: no tests.
        test: Key of :data:`arml.report.stats.TESTS`.
    """
    tests: list[dict[str, Comparison]] = [{} for _ in groups]
    if comparator is None:
        return tests
    competing = [index for index, group in enumerate(groups) if not group.upper_bound]
    if comparator == BEST_OTHER:
        pairs = {name: _pair(groups, values, name, competing) for name in names}
        found = {
            (pair[0], name): _tested(groups, values, name, *pair, test)
            for name, pair in pairs.items()
            if pair is not None
        }
        families = [list(found)]
    else:
        place = next(index for index, group in enumerate(groups) if group is comparator)
        others = [index for index in competing if index != place]
        found = {
            (index, name): _tested(groups, values, name, index, place, test)
            for name in names
            for index in others
        }
        families = [[(index, name) for index in others] for name in names]
    for family in families:
        corrected = holm([found[key].p for key in family])
        for (index, name), p in zip(family, corrected, strict=True):
            tests[index][name] = replace(found[index, name], p_holm=p)
    return tests


def _tested(
    groups: Sequence[Group], values: Values, name: str, index: int, other: int, test: str
) -> Comparison:  # fmt: skip
    made = compare(values[index][name], values[other][name], test)
    return replace(made, reference=groups[other].label)


def _pair(
    groups: Sequence[Group], values: Values, name: str, competing: Sequence[int]
) -> tuple[int, int] | None:  # fmt: skip
    """The best line of a score and the best one of another method; as for bold, of lines with all their seeds."""
    means = {
        index: statistics.fmean(values[index][name].values())
        for index in competing
        if len(values[index][name]) == len(groups[index].entries) > 0
    }
    ranked = sorted(means, key=means.__getitem__, reverse=True)
    methods = {index: _method(groups[index]) for index in ranked}
    others = [index for index in ranked if methods[index] != methods[ranked[0]]]
    return (ranked[0], others[0]) if others else None


def _method(group: Group) -> dict[str, str]:
    """What a line is of, whichever of its results and variants it shows."""
    return {name: str(value) for name, value in {**group.own, **group.variant_of}.items()}
