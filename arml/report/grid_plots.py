"""The plots of a grid: which ones fit its parameters, and what stands below them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arml.report.labels import assignment, parameter_title
from arml.report.paper_comparison import score_title
from arml.report.plot_cells import MOST_CELLS, cells_of_one_seed, draw_cells
from arml.report.plot_heat_map import draw_heat_map
from arml.report.plot_parameter import Point, as_number, draw_parameter, is_curve
from arml.report.plot_seeds import chosen, draw_seeds, one_a_run, read_curves
from arml.report.scores_table import Line, ScoresTable
from arml.report.sweep_cells import Group, SweepRuns

#: Lines that a plot with a line each can hold.
MOST_LINES = 60


@dataclass(frozen=True)
class Plot:
    """A plot of a report.

    Attributes:
        file: Its PNG.
        title: Its heading.
        caption: What to read in it, a sentence or two of Markdown.
    """

    file: Path
    title: str
    caption: str


@dataclass
class Plots:
    """All plots of a sweep, all their files, and what could not be read."""

    plots: list[Plot] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, files: Sequence[Path], title: str, caption: str) -> None:
        """Take up a plot that was drawn."""
        self.plots.append(Plot(files[0], title, caption))
        self.files += files


def grid_plots(
    runs: SweepRuns, table: ScoresTable, comparator: Group | None, out: Path, tiles: bool = True
) -> Plots:
    """Draw what fits a grid: curve or lines, heat map, training curves, tiles.

    Args:
        runs: The sweep.
        table: Its lines.
        comparator: The line that the others are compared with.
        out: Folder of the files, which are named after the sweep.
        tiles: Whether a picture may show tiles of the data.

    Raises:
        ArmlError: If a file cannot be written.
    """
    plots = Plots()
    score = f'{score_title(table.metric)} (%)'
    if len(table.names) == 2 and _is_plane(table):
        scores = {
            tuple(line.group.values[name] for name in table.names): line.scores[table.metric]
            for line in table.lines
        }
        files = draw_heat_map(table.names, scores, score, out / f'{runs.name}.heat_map')
        both = ' and '.join(map(parameter_title, table.names))
        plots.add(files, f'{score_title(table.metric)} over {both}', 'Mean ± standard deviation.')
    elif len(table.names) and len(table.lines) <= MOST_LINES:
        _against_parameter(runs, table, comparator, score, out, plots)
    elif table.names:
        plots.remarks.append(
            f'{runs.name}: {len(table.lines)} lines are too many for a plot (at most {MOST_LINES})'
        )
    lines, means = one_a_run(
        [line.group for line in table.lines],
        [line.scores[table.metric].mean for line in table.lines],
        comparator,
    )
    groups = chosen(lines, means, comparator)
    left_out = len([mean for mean in means if mean == mean]) - len(groups)
    stages, faults = read_curves(groups)
    if stages:
        files = draw_seeds(stages, out / f'{runs.name}.curves')
        caption = (
            'Mean over seeds; the band is one standard deviation. A stage whose runs all lines share '
            'is drawn once. Losses of different objectives have different scales.'
            + _best_of(left_out)
        )
        plots.add(files, 'Training curves', caption)
    if tiles:
        faults += _tiles(runs, groups, left_out, comparator, out, plots)
    plots.remarks += [f'{runs.name}: {fault}' for fault in dict.fromkeys(faults)]
    return plots


def _tiles(
    runs: SweepRuns, groups: Sequence[Group], left_out: int, comparator: Group | None, out: Path, plots: Plots
) -> list[str]:  # fmt: skip
    """Draw the sheet of tiles; what could not be read."""
    fewer = _fewer(groups, comparator)
    title = f'{runs.name}: test tiles'
    file, faults = draw_cells(cells_of_one_seed(fewer), out / f'{runs.name}.tiles.png', title)
    if file is not None:
        caption = (
            'The tiles that every run keeps for its own picture, chosen before any training.'
            + _best_of(left_out + len(groups) - len(fewer))
        )
        plots.add([file], 'Test tiles', caption)
    return faults


def _against_parameter(
    runs: SweepRuns, table: ScoresTable, comparator: Group | None, score: str, out: Path, plots: Plots
) -> None:  # fmt: skip
    only = table.names[0] if len(table.names) == 1 else ''
    points = [_point(line, table, only) for line in table.lines]
    place = next((i for i, line in enumerate(table.lines) if line.group is comparator), None)
    name = only.rsplit('.', 1)[-1] if only else 'lines'
    files = draw_parameter(only, points, score, out / f'{runs.name}.{name}', place)
    caption = (
        'Dots: single seeds, each joined to itself; with error bar: mean ± standard deviation.'
    )
    if comparator is not None:
        caption += f' Dotted line: the mean of {assignment(comparator.values)}.'
    if only and is_curve([point.value for point in points]):
        caption += ' The thick line joins means of numbers and is no model.'
    what = parameter_title(only) if only else 'every line'
    plots.add(files, f'{score_title(table.metric)} of {what}' if not only else
              f'{score_title(table.metric)} against {what}', caption)  # fmt: skip


def _point(line: Line, table: ScoresTable, only: str) -> Point:
    summary, seeds = line.scores[table.metric], line.seeds[table.metric]
    paper = line.paper.scores.get(table.metric) if line.paper else None
    value = line.group.values[only] if only else line.group.label
    return Point(value, seeds, summary.expected, summary.mean, summary.std, paper)


def _is_plane(table: ScoresTable) -> bool:
    """Whether both parameters have numbers only."""
    for name in table.names:
        if any(as_number(line.group.values[name]) is None for line in table.lines):
            return False
    return True


def _best_of(left_out: int) -> str:
    return f' {left_out} lines between the best and the worst are left out.' if left_out else ''


def _fewer(groups: Sequence[Group], comparator: Group | None) -> list[Group]:
    """At most as many groups as a sheet of tiles holds; the comparator is among them."""
    if len(groups) <= MOST_CELLS:
        return list(groups)
    others = [group for group in groups if group is not comparator]
    room = MOST_CELLS - (len(others) < len(groups))
    kept = {round(i * (len(others) - 1) / (room - 1)) for i in range(room)}
    picked = [id(others[index]) for index in kept]
    return [group for group in groups if group is comparator or id(group) in picked]
