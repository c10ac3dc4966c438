"""EBHI: tiles with four tissue classes from the EBHI-Seg archive."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from PIL import Image

from arml.datasets.checker import ERROR, WARNING, Fault
from arml.datasets.conversion.ebhi_masks import GLAND, TILE, class_mask, window
from arml.datasets.conversion.ebhi_whole import plan_whole
from arml.datasets.conversion.output import building
from arml.datasets.conversion.progress import Progress
from arml.datasets.conversion.report import Conversion, finish
from arml.datasets.conversion.source import Source
from arml.datasets.conversion.subset import read_subset
from arml.datasets.ebhi import EBHIDataset
from arml.datasets.labels import format_label, parse_label
from arml.datasets.layout import SPLITS
from arml.datasets.transforms.loading import label_from_mask
from arml.errors import DataError

#: Columns a list of windows must have, ``file`` apart.
COLUMNS = ('split', 'folder', 'source', 'x', 'y', 'side')


@dataclass(frozen=True)
class Tile:
    """A tile to be made: where it goes and what it is cut from.

    ``label`` is None where the mask is to say it; the hashes are None where none are known.
    """

    split: str
    name: str
    folder: str
    source: str
    x: int = 0
    y: int = 0
    side: int = TILE
    label: tuple[int, ...] | None = None
    source_sha256: str | None = None
    tile_sha256: str | None = None
    mask_sha256: str | None = None


def convert_ebhi(
    sources: Sequence[str | Path],
    out: str | Path,
    subset: str | Path | None = None,
    force: bool = False,
    details: dict[str, Any] | None = None,
) -> Conversion:
    """Make an EBHI data folder from the EBHI-Seg archive.

    Args:
        sources: The archive as zip or folder: ``<class folder>/image`` and ``/label``.
        out: Data folder to make.
        subset: A list of tiles, the name of a list of the project (``ebhi_tissue``), or None for
            every whole annotated tile (:mod:`arml.datasets.conversion.ebhi_whole`).
        force: Replace ``out``.
        details: Further entries of the manifest.

    Raises:
        DataError: If a listed tile is not in the archive, a file is damaged, a tile or mask does
            not come out as the list says (all faults in one message), or ``out`` exists.
    """
    rows = None if subset is None else read_list(subset)
    with Source(sources) as source, building(out, source.paths, force) as folder:
        files = index(source.names())
        if rows is None:
            tiles = [Tile(**entry) for entry in plan_whole(files, builtin_list())]
            expected: dict[str, int] = {}
        else:
            tiles = rows
            expected = {split: sum(tile.split == split for tile in tiles) for split in SPLITS}
            _require(files, tiles, subset)
        for inner in ('train', 'train_mask', 'val/img', 'val/mask', 'test/img', 'test/mask'):
            (folder / inner).mkdir(parents=True)
        faults: list[Fault] = []
        same: Counter = Counter()
        progress = Progress('converting')
        for done, tile in enumerate(tiles, start=1):
            faults += _make(source, files, tile, folder, same)
            progress.at(done, len(tiles))
        entries = {'sources': [path.name for path in source.paths], **(details or {})}
        entries['subset'] = None if subset is None else Path(subset).name
        return finish(EBHIDataset, folder, expected, faults, _notes(tiles, same), entries)


def read_list(subset: str | Path) -> list[Tile]:
    """Read a list of tiles.

    A CSV file needs the columns ``file`` and :data:`COLUMNS`; a plain list names tiles of the
    project's own list.

    Raises:
        DataError: If the list cannot be read or a row makes no sense.
    """
    if not Path(subset).is_file() and Path(subset).stem == 'ebhi_tissue':
        rows = builtin_list()
    else:
        rows = read_subset(subset)
    if 'source' not in rows[0]:
        known = {row['file']: row for row in builtin_list()}
        unknown = [row['file'] for row in rows if row['file'] not in known]
        if unknown:
            raise DataError(
                f"{subset}: {unknown[0]} is not in the project's list of tiles; expected its "
                f'names (train/..., val/img/...) or a CSV with file, {", ".join(COLUMNS)}'
            )
        rows = [known[row['file']] for row in rows]
    return [_tile(subset, row) for row in rows]


def builtin_list() -> list[dict[str, str]]:
    """Return the rows of the project's list of 371 tiles."""
    text = resources.files('arml.datasets').joinpath('lists/ebhi_tissue.csv').read_text('utf-8')
    return list(csv.DictReader(io.StringIO(text)))


def index(names: Sequence[str]) -> dict[tuple[str, str, str], str]:
    """Find ``(folder, 'image' or 'label', file)`` of each published file.

    Raises:
        DataError: If no class folder of EBHI-Seg is there.
    """
    folders = {folder.lower(): folder for folder in GLAND}
    files = {}
    for name in names:
        parts = PurePosixPath(name).parts
        if len(parts) >= 3 and parts[-3].lower() in folders:
            files[folders[parts[-3].lower()], parts[-2].lower(), parts[-1]] = name
    if not files:
        raise DataError(
            f'no folder of EBHI-Seg in the source (expected {", ".join(GLAND)}, each with image/ '
            f'and label/); found {", ".join(names[:3]) or "no PNG file"}'
        )
    return files


def _tile(subset: str | Path, row: Mapping[str, str]) -> Tile:
    try:
        x, y, side = (int(row[key]) for key in ('x', 'y', 'side'))
        split, folder, source = row['split'], row['folder'], row['source']
    except (KeyError, ValueError) as error:
        raise DataError(
            f'{subset}: the row of {row["file"]} is not usable ({error}); expected the columns '
            f'{", ".join(COLUMNS)}'
        ) from error
    inside = min(x, y) >= 0 and side > 0 and max(x, y) + side <= TILE
    if split not in SPLITS or folder not in GLAND or not inside:
        raise DataError(
            f'{subset}: the row of {row["file"]} has split {split!r}, folder {folder!r}, window '
            f'{x},{y},{side}; expected {"/".join(SPLITS)}, one of {", ".join(GLAND)}, and a '
            f'window within {TILE}x{TILE}'
        )
    name = PurePosixPath(row['file']).name
    label = parse_label(name, len(EBHIDataset.METAINFO['classes'])) if split == 'train' else None
    hashes = {key: row.get(key) or None for key in ('source_sha256', 'tile_sha256', 'mask_sha256')}
    return Tile(split, name, folder, source, x, y, side, label, **hashes)


def _require(
    files: Mapping[tuple[str, str, str], str], tiles: Sequence[Tile], subset: str | Path
) -> None:
    missing = [
        f'{tile.folder}/{kind}/{tile.source}'
        for tile in tiles
        for kind in ('image', 'label')
        if (tile.folder, kind, tile.source) not in files
    ]
    if missing:
        raise DataError(
            f'{subset}: {len(missing)} files of the list are not in the source: '
            + ', '.join(missing[:5])
        )


def _make(
    source: Source,
    files: Mapping[tuple[str, str, str], str],
    tile: Tile,
    folder: Path,
    same: Counter,
) -> list[Fault]:
    """Write one tile and its mask; return what is wrong with them."""
    name = files[tile.folder, 'image', tile.source]
    faults = []
    try:
        content = source.read(name)
        image = _decode(content, name, 3)
        label_name = files[tile.folder, 'label', tile.source]
        annotation = _decode(source.read(label_name), label_name, 1)
    except DataError as error:
        return [Fault(ERROR, name, 'image', str(error), f'{TILE}x{TILE} PNG of EBHI-Seg')]
    if tile.source_sha256 and hashlib.sha256(content).hexdigest() != tile.source_sha256:
        same['other file'] += 1
    mask = class_mask(image, annotation, tile.folder)
    image, mask = window(image, mask, tile.x, tile.y, tile.side)
    classes = EBHIDataset.METAINFO['classes']
    dense = label_from_mask(mask, len(classes), EBHIDataset.METAINFO['presence_share'])
    file = tile.name
    if tile.split == 'train' and tile.label is None:
        file = f'{PurePosixPath(tile.name).stem}{format_label(dense)}.png'
    if tile.label is not None and tile.label != dense:
        faults.append(Fault(WARNING, file, 'label', f'{tile.label} listed', f'{dense} by mask'))
    for array, wanted, kind in (
        (image, tile.tile_sha256, 'tile'),
        (mask, tile.mask_sha256, 'mask'),
    ):
        if wanted:
            equal = pixel_sha256(array) == wanted
            same[kind] += equal
            if not equal:
                faults.append(Fault(ERROR, file, kind, 'other pixels', 'those of the list'))
    inner = ('', '_mask') if tile.split == 'train' else ('/img', '/mask')
    Image.fromarray(image).save(folder / (tile.split + inner[0]) / file, optimize=True)
    picture = Image.fromarray(mask)
    palette = [*EBHIDataset.METAINFO['palette'], EBHIDataset.METAINFO['background_color']]
    picture.putpalette(np.array(palette, dtype=np.uint8).ravel().tolist() + [0] * (768 - 15))
    picture.save(folder / (tile.split + inner[1]) / file, optimize=True)
    return faults


def pixel_sha256(array: np.ndarray) -> str:
    """SHA-256 of the pixels, whatever the file's compression."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _decode(content: bytes, name: str, channels: int) -> np.ndarray:
    flag = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
    array = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
    if array is None or array.shape[:2] != (TILE, TILE):
        found = 'not a readable image' if array is None else f'{array.shape[1]}x{array.shape[0]}'
        raise DataError(f'{name}: {found}; expected a {TILE}x{TILE} PNG')
    return array


def _notes(tiles: Sequence[Tile], same: Counter) -> list[str]:
    notes = []
    hashed = sum(tile.tile_sha256 is not None for tile in tiles)
    if hashed:
        notes.append(
            f'{same["tile"]} of {hashed} tiles and {same["mask"]} of {hashed} masks are the listed '
            'ones, pixel by pixel'
        )
    if same['other file']:
        notes.append(f'{same["other file"]} source files are other files than the listed ones')
    return notes
