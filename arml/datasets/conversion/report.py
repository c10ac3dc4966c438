"""What a conversion leaves: a manifest and a table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from arml.atomic import write_json
from arml.datasets.checker import Fault, check, format_faults, has_errors
from arml.datasets.fingerprint import fingerprint
from arml.datasets.labels import parse_label
from arml.datasets.layout import SPLITS, find_split, list_tiles
from arml.datasets.tissue import TissueDataset
from arml.errors import DataError
from arml.version import __version__

FORMAT = 1


@dataclass
class Conversion:
    """What was made.

    Attributes:
        dataset: Published name.
        counts: Tiles of each split.
        expected: Tiles expected of each split; empty where any number is right.
        labels: Number of training tiles with each label.
        fingerprint: Of all tiles and masks.
        warnings: Faults that are no errors.
        notes: Sentences on what was left out or checked besides.
    """

    dataset: str
    counts: dict[str, int]
    expected: dict[str, int]
    labels: dict[str, int]
    fingerprint: str
    warnings: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def finish(
    dataset_class: type[TissueDataset],
    folder: Path,
    expected: Mapping[str, int],
    faults: Sequence[Fault],
    notes: Sequence[str],
    details: Mapping[str, Any],
    progress: Any = None,
) -> Conversion:
    """Check a freshly written folder and put ``manifest.json`` into it.

    Args:
        dataset_class: What the folder is.
        folder: The folder, not yet under its final name.
        expected: Tiles expected of each split.
        faults: Found while reading the source.
        notes: For the table.
        details: Further entries of the manifest (source, list, licence).
        progress: Called with (done, total) while images are decoded.

    Raises:
        DataError: If there is any error; the message is the table of all faults.
    """
    faults = [*faults, *check(dataset_class, folder, counts=expected, progress=progress)]
    if has_errors(faults):
        raise DataError(f'nothing was written, the source has faults:\n{format_faults(faults)}')
    splits = {split: find_split(folder, split) for split in SPLITS}
    tiles = {split: list_tiles(paths.images) for split, paths in splits.items()}
    masks = {split: paths.masks for split, paths in splits.items() if paths.masks}
    num_classes = len(dataset_class.METAINFO['classes'])
    labels = Counter(''.join(map(str, parse_label(tile, num_classes))) for tile in tiles['train'])
    files = [path for paths in tiles.values() for path in paths]
    files += [path for mask in masks.values() for path in list_tiles(mask)]
    result = Conversion(
        dataset=dataset_class.METAINFO['dataset_name'],
        counts={split: len(paths) for split, paths in tiles.items()},
        expected=dict(expected),
        labels=dict(sorted(labels.items(), reverse=True)),
        fingerprint=fingerprint(files, folder),
        warnings=list(faults),
        notes=list(notes),
    )
    manifest = {
        'format': FORMAT,
        'dataset': result.dataset,
        'classes': dataset_class.METAINFO['classes'],
        'counts': result.counts,
        'masks': {split: path.relative_to(folder).as_posix() for split, path in masks.items()},
        'labels': result.labels,
        'fingerprint': result.fingerprint,
        'warnings': [asdict(fault) for fault in result.warnings],
        'notes': result.notes,
        'arml': __version__,
        **details,
    }
    write_json(folder / 'manifest.json', manifest)
    return result


def format_conversion(result: Conversion, out: str | Path) -> str:
    """Write the table that a converter prints."""
    rows = [('split', 'tiles', 'expected')]
    for split, count in result.counts.items():
        expected = result.expected.get(split)
        rows.append((split, f'{count:,}', 'any' if expected is None else f'{expected:,}'))
    lines = [f'{result.dataset} in {out}', *_columns(rows), '']
    lines += [*_columns([('label', 'train tiles'), *_texts(result.labels.items())]), '']
    lines += result.notes
    if result.warnings:
        lines.append(format_faults(result.warnings, limit=20))
    lines.append(f'every label and mask checked; fingerprint {result.fingerprint}')
    return '\n'.join(lines)


def _texts(items: Iterable[tuple]) -> list[tuple[str, ...]]:
    return [(f'[{label}]', f'{count:,}') for label, count in items]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '
        + row[0].ljust(widths[0])
        + ''.join('  ' + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
