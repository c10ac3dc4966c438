"""The same test tiles as several cells of a sweep segment them, side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from arml.errors import DataError
from arml.report.labels import label_of
from arml.report.plot_style import shorten
from arml.report.result import load_result
from arml.report.sweep_cells import Entry, Group
from arml.report.tiles import TileRow, tile_sheet

#: Stage whose examples are shown, as the pipelines of the configs call it.
STAGE = 'test'
#: Tiles and cells that a sheet can hold.
MOST_TILES, MOST_CELLS = 4, 6


def cells_of_one_seed(groups: Sequence[Group]) -> list[tuple[str, Entry]]:
    """One finished cell of each group, all of the same seed where there is one that all have.

    Args:
        groups: Lines of the table.

    Returns:
        Label and cell of each group with a finished one.
    """
    finished = [[e for e in group.entries if e.status == 'finished'] for group in groups]
    seeds = [{str(entry.seed): entry for entry in entries} for entries in finished]
    seeds = [each for each in seeds if each]
    shared = [seed for seed in (seeds[0] if seeds else {}) if all(seed in each for each in seeds)]
    picked = []
    for group, entries in zip(groups, finished, strict=True):
        if entries:
            same = [entry for entry in entries if str(entry.seed) in shared[:1]]
            entry = (same or entries)[0]
            picked.append((f'{label_of(group.own)}, seed {entry.seed}', entry))
    return picked


def draw_cells(
    cells: Sequence[tuple[str, Entry]], path: Path, title: str
) -> tuple[Path | None, list[str]]:
    """Draw test tiles, their truth and what each cell predicts.

    Args:
        cells: Label and finished cell; those whose work dir has no examples are left out and named.
        path: PNG to write, atomically.
        title: Written above.

    Returns:
        ``path``, or None if there is nothing to draw, and what could not be read, a line each.

    Raises:
        ArmlError: If the picture cannot be written.
    """
    shown, faults = [], []
    for label, entry in cells:
        try:
            shown.append((label, entry, *_examples(entry)))
        except DataError as error:
            faults.append(str(error))
    if not shown:
        return None, faults
    _, first, folder, stems, result = shown[0]
    shared = [stem for stem in stems if all(stem in others for *_, others, _ in shown)]
    rows = [_row(stem, folder, shown, _has_background(first)) for stem in shared[:MOST_TILES]]
    if not rows:
        return None, [*faults, 'the cells have no example tile in common']
    tile_sheet(rows, result['classes'], result['palette'], path, title=title)
    return path, faults


def _examples(entry: Entry) -> tuple[Path, list[str], dict[str, Any]]:
    """Folder and stems of a cell's examples, and its result.

    Raises:
        DataError: If the work dir has none.
    """
    if not entry.row.get('work_dir'):
        raise DataError(f'run {entry.run}: its line names no work dir')
    work = Path(entry.row['work_dir'])
    folder = work / STAGE / 'examples'
    index = folder / 'examples.json'
    if not index.is_file():
        raise DataError(f'run {entry.run}: no example tiles in {folder}')
    result = load_result(work)
    if 'palette' not in result:
        raise DataError(f'{work / "result.json"}: has no palette')
    return folder, json.loads(index.read_text(encoding='utf-8')), result


def _has_background(entry: Entry) -> bool:
    """Whether the data set has pixels of background; protocol B is scored exactly there."""
    return any('B.mIoU' in line['metrics'] for line in entry.row['rows'])


def _row(stem: str, folder: Path, shown: Sequence[tuple], has_background: bool) -> TileRow:
    masks: dict[str, np.ndarray | None] = {}
    classes = len(shown[0][-1]['classes'])
    truth = _mask(folder / f'{stem}.truth.png')
    if truth is not None:
        masks['truth'] = truth if has_background else np.where(truth >= classes, 255, truth)
    for label, _, place, _, _ in shown:
        masks[shorten(label)] = _mask(place / f'{stem}.prediction.png')
    with Image.open(folder / f'{stem}.tile.png') as image:
        return TileRow(np.asarray(image.convert('RGB')), masks, stem)


def _mask(file: Path) -> np.ndarray | None:
    """Labels of a palette PNG; None if there is no such file."""
    if not file.is_file():
        return None
    with Image.open(file) as image:
        return np.asarray(image)
