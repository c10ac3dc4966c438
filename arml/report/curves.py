"""Training curves of every stage of a run, from its metrics histories."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from arml.atomic import replacing
from arml.errors import DataError
from arml.report.result import load_history

#: Colours that stay apart in the common forms of colour blindness (Okabe and Ito 2008).
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
DASHES = ('-', '--', '-.', ':')
INK, FAINT = '#222222', '#9A9A9A'

Row = Mapping[str, Any]


def curves_of(rows: Sequence[Row], kind: str, pattern: str) -> dict[str, tuple[list, list]]:
    """Pick scalars out of a history.

    Args:
        rows: The history.
        kind: ``'train'`` or ``'val'``.
        pattern: Regular expression that the whole name of a scalar matches.

    Returns:
        Name -> (epochs, values), in the order of first occurrence, without values that are
        not finite.
    """
    picked: dict[str, tuple[list, list]] = {}
    for row in rows:
        if row.get('kind') != kind or 'epoch' not in row:
            continue
        for name, value in row.items():
            usable = isinstance(value, int | float) and math.isfinite(value)
            if usable and re.fullmatch(pattern, name):
                epochs, values = picked.setdefault(name, ([], []))
                epochs.append(row['epoch'])
                values.append(value)
    return picked


def mean_over_networks(curves: Mapping[str, tuple[list, list]]) -> dict[str, tuple[list, list]]:
    """Join ``loss_x_a, loss_x_b, ...`` of several networks to their mean ``loss_x``."""
    groups: dict[str, list[tuple[list, list]]] = {}
    for name, curve in curves.items():
        groups.setdefault(re.sub(r'(?<=loss_)(.+)_[a-z]$', r'\1', name), []).append(curve)
    return {
        name: (parts[0][0], [sum(at) / len(at) for at in zip(*(v for _, v in parts), strict=False)])
        for name, parts in groups.items()
    }


def kept_epoch(rows: Sequence[Row], metric: str | None, rule: str = 'greater') -> int | None:
    """The epoch whose parameters a training keeps, as ``arml.StageCheckpointHook`` chooses it.

    Args:
        rows: The history.
        metric: Name of the validation metric that chooses; None: the last epoch is kept.
        rule: ``'greater'`` or ``'less'``: which value is better. Of equal ones the first is kept.

    Returns:
        None if the history is empty.
    """
    epochs, values = curves_of(rows, 'val', re.escape(metric or '')).get(metric, ([], []))
    if epochs:
        best = max(values) if rule == 'greater' else min(values)
        return epochs[values.index(best)]
    return max((row['epoch'] for row in rows if 'epoch' in row), default=None)


def _style(axes: Axes, title: str, ylabel: str) -> None:
    axes.set_title(title, loc='left', fontsize=11, fontweight='bold', color=INK)
    axes.set_xlabel('epoch', fontsize=9, color=INK)
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.grid(axis='y', color='#E6E6E6', linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK, length=3)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axes.spines[side].set_color(FAINT)


def _plot(axes: Axes, curves: Mapping[str, tuple[list, list]]) -> None:
    for index, (name, (epochs, values)) in enumerate(curves.items()):
        total = name == 'loss'
        axes.plot(
            epochs,
            values,
            label=_label(name),
            color=INK if total else COLOURS[index % len(COLOURS)],
            linestyle=DASHES[0 if total else (index // len(COLOURS)) % len(DASHES)],
            linewidth=2.2 if total else 1.6,
            marker='o' if len(epochs) < 30 else None,
            markersize=3,
            zorder=3 if total else 2,
        )


def _label(name: str) -> str:
    if name == 'loss':
        return 'total'
    if name.endswith('B.mIoU'):
        return 'mIoU, protocol B'
    return name.rsplit('/', 1)[-1].removeprefix('loss_')


def _from_zero(axes: Axes, curves: Mapping[str, tuple[list, list]]) -> None:
    """Start the axis at 0 unless a value lies below, and leave room above the highest."""
    values = [value for _, line in curves.values() for value in line]
    if min(values) >= 0:
        axes.set_ylim(0, 1.1 * max(values) or 1)


def _losses(axes: Axes, rows: Sequence[Row], stage: str) -> None:
    curves = mean_over_networks(curves_of(rows, 'train', r'loss(_.+)?'))
    parts = {name: curve for name, curve in curves.items() if name != 'loss'}
    if len(parts) > 1 and 'loss' in curves:  # one part is the total itself
        parts['loss'] = curves['loss']
    _plot(axes, parts or curves)
    _style(axes, f'{stage}: training loss', 'mean over the epoch')
    if curves:
        _from_zero(axes, curves)
        axes.legend(fontsize=8, loc='best', framealpha=0.85, edgecolor='none')


def _validation(
    axes: Axes, rows: Sequence[Row], stage: str, choice: tuple[str | None, str] | None
) -> None:
    curves = curves_of(rows, 'val', r'(.*/)?(B\.)?mIoU|(.*/)?mAP')
    _plot(axes, curves)
    _style(axes, f'{stage}: validation', 'percent')
    if not curves:
        axes.text(0.5, 0.5, 'no validation', transform=axes.transAxes, ha='center', color=FAINT)
        return
    if choice is not None:
        _mark_kept(axes, rows, curves, *choice)
    _from_zero(axes, curves)
    axes.legend(fontsize=8, loc='best', framealpha=0.85, edgecolor='none')


def _mark_kept(
    axes: Axes, rows: Sequence[Row], curves: Mapping[str, tuple[list, list]], metric, rule: str
) -> None:
    """Mark the epoch whose parameters were kept, and what chose it; said in the legend."""
    epoch = kept_epoch(rows, metric, rule)
    why = f'{"highest" if rule == "greater" else "lowest"} {metric}' if metric else 'the last'
    axes.axvline(epoch, color=FAINT, linewidth=1, zorder=1, label=f'kept: epoch {epoch}, {why}')
    for epochs, values in curves.values():
        if epoch in epochs:
            place = [epoch], [values[epochs.index(epoch)]]
            axes.plot(
                *place, 'o', markersize=9, fillstyle='none', color=INK, zorder=4, clip_on=False
            )


def draw_curves(
    histories: Mapping[str, str | os.PathLike],
    path: str | os.PathLike,
    root: str | os.PathLike = '.',
    choices: Mapping[str, tuple[str | None, str]] | None = None,
) -> Path:
    """Draw training losses and validation scores against the epoch, one row per stage.

    Losses of several networks (``loss_swv_a, loss_swv_b, ...``) are drawn as their mean.

    Args:
        histories: Stage name -> history file (``"histories"`` of ``result.json``).
        path: PNG to write, atomically.
        root: Folder that relative history files are looked up in (the work dir).
        choices: Stage name -> metric and rule by which its epoch was chosen, as of
            :func:`kept_epoch`; that epoch is marked. Nothing is marked in other stages.

    Returns:
        ``path``.

    Raises:
        DataError: If there is no history, or one is missing or broken.
        ArmlError: If the picture cannot be written.
    """
    if not histories:
        raise DataError('no history to draw: "histories" of the result is empty')
    stages = {name: load_history(Path(root) / file) for name, file in histories.items()}
    figure = Figure(figsize=(9.6, 3.3 * len(stages)), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(hspace=0.06, wspace=0.04)
    grid = figure.subplots(len(stages), 2, squeeze=False)
    for (left, right), (stage, rows) in zip(grid, stages.items(), strict=True):
        _losses(left, rows, stage)
        _validation(right, rows, stage, (choices or {}).get(stage))
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor='white')
    return Path(path)
