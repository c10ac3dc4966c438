"""A score over two parameters, as a heat map with its numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Rectangle

from arml.report.curves import INK
from arml.report.labels import axis_title, value_title
from arml.report.plot_style import COLUMN, PAGE, TEXT, new_figure, save, style
from arml.report.stats import Summary

#: Even in brightness for all common forms of colour vision.
COLOUR_MAP = 'cividis'


def draw_heat_map(
    names: Sequence[str], scores: Mapping[tuple[Any, Any], Summary], score: str, stem: Path
) -> list[Path]:
    """Draw means over two parameters; places without a result are hatched and say so.

    Args:
        names: Dotted paths of the two parameters, the second goes along.
        scores: Values of both -> score over seeds. Values stand in the order of their size, words last.
        score: Name of the score with its unit.
        stem: File without its ending.

    Returns:
        The PNG, then the SVG.
    """
    down, along = (_ordered(values) for values in zip(*scores, strict=True))
    means = np.full((len(down), len(along)), np.nan)
    for (y, x), found in scores.items():
        means[down.index(y), along.index(x)] = found.mean
    width = min(PAGE, max(COLUMN, 1.3 + 0.62 * len(along)))
    figure = new_figure(width, 1.0 + 0.46 * len(down))
    axes = figure.subplots()
    image = axes.imshow(means, cmap=COLOUR_MAP, aspect='auto', origin='lower')
    for (y, x), found in scores.items():
        row, column = down.index(y), along.index(x)
        if np.isnan(means[row, column]):
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor='#F2F2F2', edgecolor='#BBBBBB',
                    hatch='////', linewidth=0,
                )
            )  # fmt: skip
        _write(axes, row, column, found, image)
    axes.set_xticks(range(len(along)), [value_title(names[1], value) for value in along])
    axes.set_yticks(range(len(down)), [value_title(names[0], value) for value in down])
    style(axes, axis_title(names[1]), axis_title(names[0]))
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.06)
    bar.set_label(f'{score}, mean over seeds', fontsize=TEXT - 1, color=INK)
    bar.ax.tick_params(labelsize=TEXT - 1.5, colors=INK, length=2)
    bar.outline.set_visible(False)
    return save(figure, stem)


def _write(axes, row: int, column: int, found: Summary, image) -> None:
    """Mean, spread and, where seeds are missing, n; dark on bright and bright on dark."""
    if not found.n:
        text, ink = 'no\nresult', '#555555'
    else:
        text = f'{found.mean:.2f}' + (f'\n±{found.std:.2f}' if found.n > 1 else '')
        text += f'\n{found.n} of {found.expected}' if found.n < found.expected else ''
        red, green, blue, _ = mpl.colormaps[COLOUR_MAP](image.norm(found.mean))
        ink = 'white' if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else 'black'
    axes.text(column, row, text, ha='center', va='center', fontsize=TEXT - 2, color=ink)


def _ordered(values: Sequence[Any]) -> list[Any]:
    def size(value: Any) -> tuple[bool, float]:
        is_word = isinstance(value, str | bool)
        return is_word, 0.0 if is_word else float(value)

    return sorted(dict.fromkeys(values), key=size)
