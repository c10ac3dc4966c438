"""The look of all plots of a report: readable in one column of a paper, told apart without colour."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from arml.atomic import replacing
from arml.report.curves import COLOURS, DASHES, FAINT, INK

#: Width of a column and of a page of a paper, inches.
COLUMN, PAGE = 3.5, 7.2
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X', '<')
GRID = '#E6E6E6'
TEXT = 8
#: How many series differ in colour, marker and dash and can still be told apart.
MOST_SERIES = len(MARKERS)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=200, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def style(axes: Axes, xlabel: str = '', ylabel: str = '', title: str = '', grid: str = 'y') -> None:
    """Give axes the common look.

    Args:
        axes: The axes.
        xlabel: Text below, with the unit.
        ylabel: Text left, with the unit.
        title: Text above.
        grid: ``'x'``, ``'y'`` or ``'both'``.
    """
    axes.set_xlabel(xlabel, fontsize=TEXT, color=INK)
    axes.set_ylabel(ylabel, fontsize=TEXT, color=INK)
    axes.set_title(title, loc='left', fontsize=TEXT, fontweight='bold', color=INK)
    axes.grid(axis=grid, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT - 1, colors=INK, length=2.5)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axes.spines[side].set_color(FAINT)


def look(index: int) -> dict:
    """Colour, marker and dash of a series; those of the first eight differ in the marker alone already."""
    return {
        'color': COLOURS[index % len(COLOURS)],
        'marker': MARKERS[index % len(MARKERS)],
        'linestyle': DASHES[(index // len(COLOURS)) % len(DASHES)],
    }


def shorten(text: str, length: int = 34) -> str:
    """A text with its middle left out where it is too long for a tick or a legend."""
    half = (length - 1) // 2
    return text if len(text) <= length else f'{text[:half]}…{text[-half:]}'


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG, atomically; the same figure gives the same files.

    Args:
        figure: The figure.
        stem: Path without the ending.

    Returns:
        The PNG, then the SVG.

    Raises:
        ArmlError: If they cannot be written.
    """
    # laid out once for both
    figure.draw_without_rendering()
    figure.set_layout_engine('none')
    files = [stem.with_name(f'{stem.name}.{ending}') for ending in ('png', 'svg')]
    with mpl.rc_context({'svg.hashsalt': 'arml', 'svg.fonttype': 'none'}):
        for file in files:
            metadata = {'Date': None} if file.suffix == '.svg' else {'Software': None}
            with replacing(file) as temporary:
                figure.savefig(temporary, facecolor='white', metadata=metadata)
    return files


def limits(values: Sequence[float], margin: float = 0.12) -> tuple[float, float]:
    """Ends of an axis that shows all values with room around them."""
    low, high = min(values), max(values)
    room = (high - low) * margin or max(abs(high) * 0.05, 0.5)
    return low - room, high + room
