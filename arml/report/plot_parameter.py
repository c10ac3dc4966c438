"""A score against one parameter: a curve where the values are numbers, a line each where they are words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from arml.report.curves import COLOURS, FAINT
from arml.report.labels import axis_title, value_title
from arml.report.plot_style import COLUMN, TEXT, limits, new_figure, save, shorten, style

#: Words that stand at the lower and at the upper end of a parameter's numbers.
LOW_WORDS, HIGH_WORDS = ('none', 'default'), ('drop',)
#: Values may lie this many smallest gaps apart before an axis of equal steps would hide them.
MOST_GAPS = 12
#: How far single seeds and the paper stand beside a mean, as a share of the axis.
BESIDE = 0.018


@dataclass(frozen=True)
class Point:
    """One value of a parameter.

    Attributes:
        value: The value.
        scores: Score by seed; none if nothing is finished.
        expected: How many there should be.
        mean: Mean of the scores, NaN without any.
        std: Spread, NaN below two.
        paper: The paper's score, where it can be compared.
    """

    value: Any
    scores: Mapping[Any, float]
    expected: int
    mean: float
    std: float
    paper: float | None = None


def as_number(value: Any) -> float | None:
    """A value as a number; None if it is a word or a switch."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def is_curve(values: Sequence[Any]) -> bool:
    """Whether values have an order: at least three numbers, and no words but those at an end of them."""
    words = [value for value in values if as_number(value) is None]
    return len(values) - len(words) > 2 and all(
        str(word) in LOW_WORDS + HIGH_WORDS for word in words
    )


def places_of(values: Sequence[Any]) -> tuple[list[float], str]:
    """Where the values of a curve stand.

    Numbers stand at their size, at its logarithm where they are too far apart, or in equal steps where that
    does not work either; words one step below or above them.

    Returns:
        One place a value, and what to say of the axis (may be empty).
    """
    numbers = sorted({as_number(v) for v in values} - {None})
    gaps = [b - a for a, b in zip(numbers, numbers[1:], strict=False)]
    if (numbers[-1] - numbers[0]) <= MOST_GAPS * min(gaps):
        places, remark = dict(zip(numbers, numbers, strict=True)), ''
    elif numbers[0] > 0:
        places, remark = {number: math.log10(number) for number in numbers}, 'logarithmic'
    else:
        places, remark = {number: float(i) for i, number in enumerate(numbers)}, 'in equal steps'
    low, high = places[numbers[0]], places[numbers[-1]]
    step = (high - low) / max(len(numbers) - 1, 1)
    lows = [v for v in values if as_number(v) is None and str(v) in LOW_WORDS]
    highs = [v for v in values if as_number(v) is None and str(v) in HIGH_WORDS]
    found = []
    for value in values:
        number = as_number(value)
        if number is not None:
            found.append(places[number])
        elif value in lows:
            found.append(low - step * (1 + lows.index(value)))
        else:
            found.append(high + step * (1 + highs.index(value)))
    return found, remark


def draw_parameter(
    path: str, points: Sequence[Point], score: str, stem: Path, comparator: int | None = None
) -> list[Path]:
    """Draw a score against a parameter: single seeds, their mean and standard deviation.

    Args:
        path: Dotted path of the parameter.
        points: Its values, at least one with a score.
        score: Name of the score with its unit.
        stem: File without its ending.
        comparator: Position of the value that the others are compared with; its mean is drawn through.

    Returns:
        The PNG, then the SVG.
    """
    if is_curve([point.value for point in points]):
        figure = new_figure(COLUMN, 2.5)
        axes = figure.subplots()
        _curve(axes, path, points, score, comparator)
    else:
        figure = new_figure(COLUMN, 0.9 + 0.2 * len(points))
        axes = figure.subplots()
        _lines(axes, path, points, score, comparator)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize=TEXT - 1.5, frameon=False, handlelength=1.6, columnspacing=1.2,
        ncols=2, loc='outside upper center',
    )  # fmt: skip
    return save(figure, stem)


def _curve(
    axes: Axes, path: str, points: Sequence[Point], score: str, comparator: int | None
) -> None:
    places, remark = places_of([point.value for point in points])
    order = sorted(range(len(points)), key=places.__getitem__)
    with_mean = [i for i in order if points[i].scores]
    numbers = [i for i in with_mean if as_number(points[i].value) is not None]
    if comparator is not None and points[comparator].scores:
        axes.axhline(points[comparator].mean, color=FAINT, linewidth=0.9, linestyle=':', zorder=1)
    axes.plot(
        [places[i] for i in numbers], [points[i].mean for i in numbers],
        color=COLOURS[0], linewidth=1.3, zorder=2,
    )  # fmt: skip
    beside = BESIDE * (max(places) - min(places))
    _means(axes, [(places[i], points[i]) for i in with_mean], -beside, upright=True)
    _papers(axes, [(places[i] + beside, points[i]) for i in order], upright=True)
    for i in order:
        if not points[i].scores:
            axes.annotate(
                'no result', (places[i], 0.02), xycoords=('data', 'axes fraction'), rotation=90,
                ha='center', va='bottom', fontsize=TEXT - 2, color='#777777',
            )  # fmt: skip
    axes.set_xticks([places[i] for i in order], [value_title(path, points[i].value) for i in order])
    axes.set_xlim(*limits(places, 0.06))
    axes.set_ylim(*_span(points))
    title = axis_title(path) + (f' ({remark})' if remark else '')
    style(axes, title, score, grid='y')


def _lines(
    axes: Axes, path: str, points: Sequence[Point], score: str, comparator: int | None
) -> None:
    """One line a value, from the top, in the order of the sweep."""
    heights = [len(points) - 1 - index for index in range(len(points))]
    if comparator is not None and points[comparator].scores:
        axes.axvline(points[comparator].mean, color=FAINT, linewidth=0.9, linestyle=':', zorder=1)
    pairs = [(h, p) for h, p in zip(heights, points, strict=True) if p.scores]
    _means(axes, pairs, 0.22, upright=False)
    below = [height - 0.22 for height in heights]
    _papers(axes, list(zip(below, points, strict=True)), upright=False)
    for height, point in zip(heights, points, strict=True):
        if not point.scores:
            axes.annotate(
                'no result', (0.02, height), xycoords=('axes fraction', 'data'), va='center',
                fontsize=TEXT - 2, color='#777777',
            )  # fmt: skip
    axes.set_yticks(heights, [shorten(value_title(path, point.value)) for point in points])
    axes.set_ylim(-0.6, len(points) - 0.4)
    axes.set_xlim(*_span(points))
    style(axes, score, '', grid='both')
    axes.tick_params(axis='y', length=0)


def _means(
    axes: Axes, pairs: Sequence[tuple[float, Point]], beside: float, upright: bool
) -> None:  # fmt: skip
    """Means with their spread; the single seeds a little beside them, those of one seed joined."""
    draw = _turn(axes.plot, upright)
    if any(len(point.scores) > 1 for _, point in pairs):
        for index, seed in enumerate(dict.fromkeys(s for _, point in pairs for s in point.scores)):
            own = [(at + beside, point.scores[seed]) for at, point in pairs if seed in point.scores]
            draw(
                *zip(*own, strict=True), linestyle='-', linewidth=0.6, marker='o', markersize=2.6,
                color=FAINT, zorder=3, label='single seeds' if not index else None,
            )  # fmt: skip
    places, means = [place for place, _ in pairs], [point.mean for _, point in pairs]
    spreads = [point.std for _, point in pairs]  # NaN, so no bar, of a single seed
    along = {'yerr' if upright else 'xerr': spreads}
    several = max(len(point.scores) for _, point in pairs) > 1
    axes.errorbar(
        *((places, means) if upright else (means, places)), **along, linestyle='none', marker='o',
        markersize=4.2, color=COLOURS[0], capsize=2.4, elinewidth=1.1, zorder=4,
        label=f'ours: mean ± std ({_counts(pairs)})' if several else 'ours (n = 1)',
    )  # fmt: skip


def _counts(pairs: Sequence[tuple[float, Point]]) -> str:
    counts = sorted({len(point.scores) for _, point in pairs})
    return f'n = {counts[0]}' if len(counts) == 1 else f'n = {counts[0]} to {counts[-1]}'


def _papers(axes: Axes, pairs: Sequence[tuple[float, Point]], upright: bool) -> None:
    known = [(place, point.paper) for place, point in pairs if point.paper is not None]
    if known:
        _turn(axes.plot, upright)(
            *zip(*known, strict=True), linestyle='none', marker='D', markersize=4.4,
            markerfacecolor='white', markeredgecolor=COLOURS[1], zorder=5, label='the paper',
        )  # fmt: skip


def _turn(plot, upright: bool):
    """A plotting function that takes (place, score), drawn upright or lying."""
    return lambda x, y, **options: plot(*((x, y) if upright else (y, x)), **options)


def _span(points: Sequence[Point]) -> tuple[float, float]:
    values = [score for point in points for score in point.scores.values()]
    values += [p.mean + sign * p.std for p in points if p.std == p.std for sign in (-1, 1)]
    values += [point.paper for point in points if point.paper is not None]
    return limits(values)
