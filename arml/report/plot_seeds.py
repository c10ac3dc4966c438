"""Training curves of a sweep: for each stage, the mean over seeds of a line of the table, with its spread."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from arml.errors import DataError
from arml.report.curves import curves_of
from arml.report.labels import label_of
from arml.report.plot_style import (
    MOST_SERIES,
    PAGE,
    TEXT,
    look,
    new_figure,
    save,
    shorten,
    style,
)
from arml.report.result import load_history
from arml.report.sweep_cells import Group

#: What is drawn of each stage: kind, name of the scalar, axis.
DRAWN = (
    ('train', 'loss', 'training loss'),
    ('val', 'mIoU', 'validation mIoU (%)'),
)
SHARED = 'all lines: the same runs'
#: Letters that the legend has room for, and that a line's sign takes.
LEGEND, HANDLE = 120, 8

Curve = tuple[list[int], list[float], list[float]]
#: stage -> kind -> label -> (epochs, mean, std); labels with the number of seeds.
Stages = dict[str, dict[str, dict[str, Curve]]]


def mean_curve(curves: Sequence[tuple[list, list]]) -> Curve:
    """Mean and standard deviation over seeds at the epochs that all seeds have.

    Args:
        curves: Epochs and values of each seed.

    Returns:
        Epochs, means and standard deviations (n - 1 in the denominator; 0 for one seed).
    """
    by_seed = [dict(zip(epochs, values, strict=True)) for epochs, values in curves]
    epochs = sorted(set.intersection(*(set(curve) for curve in by_seed)))
    found = [[curve[epoch] for curve in by_seed] for epoch in epochs]
    spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in found]
    return epochs, [statistics.fmean(values) for values in found], spread


def read_curves(groups: Sequence[Group]) -> tuple[Stages, list[str]]:
    """Read the histories of the finished cells of some groups.

    Runs of a stage that all groups share (one classifier a seed) are drawn once.

    Args:
        groups: Lines of the table.

    Returns:
        The curves, and what could not be read, a line each.
    """
    found: Stages = {}
    faults: dict[str, None] = {}
    for stage in _stages(groups):
        keys = [{_key(entry.row, stage) for entry in _finished(group)} for group in groups]
        union = set().union(*keys)
        # a group that lacks seeds shares those that it has
        largest = max(range(len(groups)), key=lambda index: len(keys[index]))
        shared = len(groups) > 1 and None not in union and keys[largest] == union
        for group in [groups[largest]] if shared else groups:
            histories = []
            for entry in _finished(group):
                try:
                    histories.append(_history(entry.row, stage))
                except DataError as error:
                    faults[str(error)] = None
            label = SHARED if shared else label_of(group.own)
            _add(found, stage, label, histories)
    return found, list(faults)


def draw_seeds(stages: Stages, stem: Path) -> list[Path]:
    """Draw mean curves with a band of one standard deviation, a row of two pictures a stage.

    Args:
        stages: From :func:`read_curves`, at least one stage.
        stem: File without its ending.

    Returns:
        The PNG, then the SVG.
    """
    figure = new_figure(PAGE, 0.5 + 2.0 * len(stages))
    figure.get_layout_engine().set(hspace=0.06, wspace=0.04)
    grid = figure.subplots(len(stages), len(DRAWN), squeeze=False)
    labels = list(dict.fromkeys(n for kinds in stages.values() for k in kinds.values() for n in k))
    labels.sort(key=lambda label: label.startswith(SHARED))
    looks = {label: look(index) for index, label in enumerate(labels)}
    for label in labels:
        if label.startswith(SHARED):
            looks[label] = {'color': '#555555', 'marker': '.', 'linestyle': '-'}
    handles: dict[str, Any] = {}
    for row, (stage, kinds) in zip(grid, stages.items(), strict=True):
        for axes, (kind, _, title) in zip(row, DRAWN, strict=True):
            for label, (epochs, means, spread) in kinds.get(kind, {}).items():
                (handles[label],) = axes.plot(
                    epochs, means, linewidth=1.1, markersize=2.8,
                    markevery=max(len(epochs) // 8, 1), **looks[label],
                )  # fmt: skip
                axes.fill_between(
                    epochs,
                    [m - s for m, s in zip(means, spread, strict=True)],
                    [m + s for m, s in zip(means, spread, strict=True)],
                    color=looks[label]['color'], alpha=0.13, linewidth=0,
                )  # fmt: skip
            style(axes, 'epoch', title, stage if kind == 'train' else '')
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
            if kind == 'train':
                axes.set_ylim(bottom=0)
    shown = [label for label in labels if label in handles]
    names = [shorten(label) for label in shown]
    longest = max(map(len, names), default=0)
    figure.legend(
        [handles[label] for label in shown], names,
        loc='outside lower center', ncols=max(1, min(4, LEGEND // (longest + HANDLE))),
        fontsize=TEXT - 1, frameon=False, handlelength=2.4,
    )  # fmt: skip
    return save(figure, stem)


def one_a_run(
    groups: Sequence[Group], means: Sequence[float], comparator: Group | None
) -> tuple[list[Group], list[float]]:
    """The groups without those that show another result of the same runs, and their means.

    Of several results the comparator is kept, or else the first.
    """
    kept: dict[str, int] = {}
    for index, group in enumerate(groups):
        runs = repr(group.own)
        if runs not in kept or group is comparator:
            kept[runs] = index
    order = sorted(kept.values())
    return [groups[index] for index in order], [means[index] for index in order]


def chosen(
    groups: Sequence[Group], means: Sequence[float], comparator: Group | None
) -> list[Group]:
    """The groups that a picture can hold: all, or the comparator, the best ones and the worst.

    Args:
        groups: Lines of the table.
        means: Their mean scores, NaN without any.
        comparator: What the others are compared with.

    Returns:
        At most :data:`arml.report.plot_style.MOST_SERIES`, with a result each, in the order of the table.
    """
    known = [index for index, mean in enumerate(means) if mean == mean]
    if len(known) > MOST_SERIES:
        ranked = sorted(known, key=lambda index: -means[index])
        first = [index for index in known if groups[index] is comparator]
        ranked = [*first, *(index for index in ranked if index not in first)]
        known = sorted([*ranked[: MOST_SERIES - 1], ranked[-1]])
    return [groups[index] for index in known]


def _finished(group: Group) -> list:
    return [entry for entry in group.entries if entry.status == 'finished']


def _stages(groups: Sequence[Group]) -> list[str]:
    names = (name for g in groups for e in _finished(g) for name in e.row.get('histories') or {})
    return list(dict.fromkeys(names))


def _key(row: Mapping[str, Any], stage: str) -> str | None:
    return (row.get('stages') or {}).get(stage, {}).get('key')


def _history(row: Mapping[str, Any], stage: str) -> list[dict[str, Any]]:
    if not row.get('work_dir') or stage not in (row.get('histories') or {}):
        raise DataError(f'run {row["run"]}: its line names no history of {stage}')
    return load_history(Path(row['work_dir']) / row['histories'][stage])


def _add(found: Stages, stage: str, label: str, histories: Sequence[list]) -> None:
    for kind, scalar, _ in DRAWN:
        curves = [curves_of(rows, kind, scalar).get(scalar) for rows in histories]
        curves = [curve for curve in curves if curve]
        if curves:
            by_label = found.setdefault(stage, {}).setdefault(kind, {})
            by_label[f'{label} (n = {len(curves)})'] = mean_curve(curves)
