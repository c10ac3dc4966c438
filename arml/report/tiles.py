"""The picture at the end of a run: tiles beside their masks, with a legend."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from scipy import ndimage

from arml.atomic import replacing

#: Colour of pixels that no score counts (label 255).
IGNORED_COLOUR = (200, 200, 200)
INK = '#222222'


@dataclass(frozen=True)
class TileRow:
    """One row of a tile sheet.

    Attributes:
        tile: The tile, uint8, RGB, (H, W, 3).
        masks: Column title -> mask, integer, (H, W): 0..K-1 tissue, K background, 255 not
            counted; ``None`` leaves the place empty. The same titles in every row.
        title: Written left of the row, for example the file name.
        notes: Column title -> a short text under the mask, for example its mIoU.
    """

    tile: np.ndarray
    masks: Mapping[str, np.ndarray | None]
    title: str = ''
    notes: Mapping[str, str] = field(default_factory=dict)


def colour_mask(
    mask: np.ndarray,
    palette: Sequence[Sequence[int]],
    background_colour: Sequence[int] = (255, 255, 255),
) -> np.ndarray:
    """Colours of a mask.

    Args:
        mask: Labels, integer, (H, W): 0..K-1 tissue, K background, 255 not counted.
        palette: K RGB colours in [0, 255].
        background_colour: RGB colour of label K.

    Returns:
        uint8, RGB, (H, W, 3).

    Raises:
        ValueError: If the mask is not (H, W) or a label has no colour.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f'a mask is (H, W), found shape {mask.shape}')
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(palette)] = palette
    table[len(palette)] = background_colour
    table[255] = IGNORED_COLOUR
    unknown = set(np.unique(mask).tolist()) - {*range(len(palette) + 1), 255}
    if unknown:
        raise ValueError(f'the mask holds {sorted(unknown)}, expected 0 to {len(palette)} or 255')
    return table[mask]


def region_labels(
    mask: np.ndarray, classes: Sequence[str], smallest_share: float = 0.025
) -> list[tuple[float, float, str]]:
    """Where to write the names of classes into a mask.

    A name is put at the innermost pixel of each 4-connected region, so that a picture can be
    read without telling the colours apart.

    Args:
        mask: Labels, integer, (H, W).
        classes: Names of labels 0..K-1; other labels get no name.
        smallest_share: Regions smaller than this share of the mask get no name.

    Returns:
        (x, y, name) per region, in pixels.
    """
    places = []
    for index, name in enumerate(classes):
        regions, count = ndimage.label(mask == index)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        for region in range(1, count + 1):
            if sizes[region] < smallest_share * mask.size:
                continue
            # padded, so that the edge of the tile counts as the end of the region
            depth = ndimage.distance_transform_edt(np.pad(regions == region, 1))[1:-1, 1:-1]
            # the widest places may be many (a whole tile): take the middle of them
            ties = np.argwhere(depth > depth.max() - 1)
            y, x = ties[((ties - ties.mean(axis=0)) ** 2).sum(axis=1).argmin()]
            places.append((float(x), float(y), name))
    return places


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color('#8A8A8A')
        spine.set_linewidth(0.6)


def _draw_mask(axes: Axes, mask: np.ndarray, classes: Sequence[str], colours: np.ndarray) -> None:
    axes.imshow(colours, interpolation='nearest')
    for label in np.unique(mask):
        if (mask == label).any() and not (mask == label).all():
            axes.contour(mask == label, levels=[0.5], colors='black', linewidths=0.5)
    height, width = mask.shape
    for x, y, name in region_labels(mask, classes):
        axes.text(
            np.clip(x, 0.08 * width, 0.92 * width),
            np.clip(y, 0.05 * height, 0.95 * height),
            name,
            ha='center',
            va='center',
            fontsize=7.5,
            fontweight='bold',
            color=INK,
            path_effects=[withStroke(linewidth=2.2, foreground='white')],
        )


def _shorten(title: str, length: int = 26) -> str:
    half = (length - 1) // 2
    return title if len(title) <= length else f'{title[:half]}…{title[-half:]}'


def _lines(figure: Figure, text: str, inches: float, look: dict) -> list[str]:
    """A title in as many lines as it needs to be no wider than so many inches."""
    shown = figure.text(0, 0, text, **look)
    width = shown.get_window_extent().width / figure.dpi
    shown.remove()
    if width <= inches:
        return [text]
    return textwrap.wrap(text, max(1, int(0.95 * len(text) * inches / width)))


def _legend(
    figure: Figure,
    rows: Sequence[TileRow],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    background_colour: Sequence[int],
) -> None:
    shown = {
        int(label)
        for row in rows
        for mask in row.masks.values()
        if mask is not None
        for label in np.unique(mask)
    }
    entries = [(name, colour) for name, colour in zip(classes, palette, strict=True)]
    if len(classes) in shown:
        entries.append(('background', background_colour))
    if 255 in shown:
        entries.append(('not counted', IGNORED_COLOUR))
    figure.legend(
        handles=_swatches(entries),
        loc='outside lower center',
        ncols=len(entries),
        frameon=False,
        fontsize=9,
        handlelength=1.4,
        handleheight=1.1,
        columnspacing=1.6,
    )


def _swatches(entries: Sequence[tuple[str, Sequence[int]]]) -> list[Patch]:
    return [
        Patch(facecolor=np.array(colour) / 255, edgecolor='#555555', linewidth=0.6, label=name)
        for name, colour in entries
    ]


def draw_legend(
    classes: Sequence[str], palette: Sequence[Sequence[int]], path: str | os.PathLike
) -> Path:
    """Draw the colours of the classes with their names, for masks that have no legend.

    Args:
        classes: Names of the K classes.
        palette: Their RGB colours in [0, 255].
        path: PNG to write, atomically.

    Returns:
        ``path``.

    Raises:
        ArmlError: If the picture cannot be written.
    """
    figure = Figure(figsize=(2.2, 0.3 + 0.28 * len(classes)), dpi=150)
    FigureCanvasAgg(figure)
    entries = list(zip(classes, palette, strict=True))
    figure.legend(handles=_swatches(entries), loc='center', frameon=False, fontsize=10)
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor='white')
    return Path(path)


def tile_sheet(
    rows: Sequence[TileRow],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    path: str | os.PathLike,
    background_colour: Sequence[int] = (255, 255, 255),
    title: str = '',
) -> Path:
    """Draw tiles beside their masks: truth, pseudo mask, prediction, whatever the caller picks.

    Masks are drawn in the published colours. Outlines and class names inside the regions carry
    the same information for readers who cannot tell these colours apart.

    Args:
        rows: What to show, at least one row; the titles of the masks are the column titles.
        classes: Names of the K tissue classes.
        palette: Their RGB colours in [0, 255].
        path: PNG to write, atomically.
        background_colour: RGB colour of label K.
        title: Written above the sheet.

    Returns:
        ``path``.

    Raises:
        ValueError: If there are no rows, rows differ in their columns, a mask has another size
            than its tile, or a label has no colour.
        ArmlError: If the picture cannot be written.
    """
    if not rows:
        raise ValueError('a tile sheet needs at least one row')
    names = list(rows[0].masks)
    for row in rows:
        if list(row.masks) != names:
            raise ValueError(f'rows differ in their columns: {names} and {list(row.masks)}')
    columns = ['tile', *names]
    side = 2.05
    figure = Figure(
        figsize=(side * len(columns) + 0.35, side * len(rows) + 0.75),
        dpi=150,
        layout='constrained',
    )
    FigureCanvasAgg(figure)
    if title:
        look = dict(fontsize=11, fontweight='bold', color=INK)
        lines = _lines(figure, title, figure.get_figwidth() - 0.2, look)
        figure.set_figheight(figure.get_figheight() + 0.1 + 0.2 * len(lines))
        figure.suptitle('\n'.join(lines), **look)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for row, line in zip(rows, grid, strict=True):
        line[0].imshow(row.tile)
        line[0].set_ylabel(_shorten(row.title), fontsize=7, color=INK)
        for axes, name in zip(line[1:], names, strict=True):
            mask = row.masks[name]
            if mask is None:
                axes.set_facecolor('#F5F5F5')
                axes.set_box_aspect(row.tile.shape[0] / row.tile.shape[1])
            elif mask.shape != row.tile.shape[:2]:
                raise ValueError(
                    f'{row.title} {name}: the mask is {mask.shape}, its tile {row.tile.shape[:2]}'
                )
            else:
                colours = colour_mask(mask, palette, background_colour)
                _draw_mask(axes, mask, classes, colours)
            if name in row.notes:
                axes.set_xlabel(row.notes[name], fontsize=7.5, color=INK, labelpad=2)
        for axes in line:
            _bare(axes)
    look = dict(fontsize=9.5, fontweight='bold', color=INK)
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title('\n'.join(_lines(figure, name, side - 0.1, look)), pad=4, **look)
    _legend(figure, rows, classes, palette, background_colour)
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor='white')
    return Path(path)
