"""What a search says of its parameters: how much each matters, and where good values lie."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.report.curves import COLOURS, FAINT, INK
from arml.report.labels import axis_title, value_title
from arml.report.plot_parameter import as_number
from arml.report.plot_style import COLUMN, PAGE, TEXT, limits, new_figure, save, style


def draw_importance(importance: Mapping[str, float], method: str, stem: Path) -> list[Path]:
    """Draw the share of each parameter, the largest on top.

    Args:
        importance: Share by dotted path; the shares add up to one.
        method: What they were computed by, for the axis.
        stem: File without its ending.

    Returns:
        The PNG, then the SVG.
    """
    ordered = sorted(importance.items(), key=lambda item: item[1])
    figure = new_figure(COLUMN, 0.75 + 0.24 * len(ordered))
    axes = figure.subplots()
    shares = [share for _, share in ordered]
    axes.barh(range(len(ordered)), shares, color=COLOURS[0], height=0.6)
    for place, share in enumerate(shares):
        axes.text(
            share + 0.015 * max(shares), place, f'{share:.2f}', va='center', fontsize=TEXT - 1,
            color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(ordered)), [axis_title(path) for path, _ in ordered])
    axes.set_xlim(0, 1.15 * max(shares))
    style(axes, f'importance ({method}), sum 1', '', grid='x')
    axes.tick_params(axis='y', length=0)
    return save(figure, stem)


def draw_slices(
    trials: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    best: int,
    score: str,
    stem: Path,
    logarithmic: Collection[str] = (),
) -> list[Path]:
    """Draw the score of every trial against each parameter by itself, the best one marked.

    Args:
        trials: Values by dotted path, the same parameters in each.
        values: The score of each.
        best: Position of the best one.
        score: Name of the score with its unit.
        stem: File without its ending.
        logarithmic: Parameters whose axis is logarithmic.

    Returns:
        The PNG, then the SVG.
    """
    names = list(trials[0])
    across = min(len(names), 4)
    down = -(-len(names) // across)
    figure = new_figure(min(PAGE, 0.5 + 1.75 * across), 1.9 * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    for index, axes in enumerate(grid.flat):
        if index >= len(names):
            axes.set_visible(False)
            continue
        _slice(axes, names[index], [trial[names[index]] for trial in trials], values, best)
        if names[index] in logarithmic:
            axes.set_xscale('log')
        style(axes, axis_title(names[index]), score if index % across == 0 else '')
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc='outside upper center', ncols=2, fontsize=TEXT - 1, frameon=False
    )
    return save(figure, stem)


def _slice(axes, name: str, found: Sequence[Any], values: Sequence[float], best: int) -> None:
    numbers = [as_number(value) for value in found]
    if None in numbers:
        words = list(dict.fromkeys(map(str, found)))
        numbers = [words.index(str(value)) for value in found]
        axes.set_xticks(range(len(words)), [value_title(name, word) for word in words])
        axes.set_xlim(-0.5, len(words) - 0.5)
    axes.plot(
        numbers, values, linestyle='none', marker='o', markersize=3, color=COLOURS[0], alpha=0.6,
        markeredgecolor=FAINT, markeredgewidth=0.3, label='trial',
    )  # fmt: skip
    axes.plot(
        [numbers[best]], [values[best]], linestyle='none', marker='*', markersize=9,
        color=COLOURS[1], label='best',
    )  # fmt: skip
    axes.set_ylim(*limits(values))
