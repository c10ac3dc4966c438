"""BCSS-WSSS and LUAD-HistoSeg: published in the layout we use, give or take a folder name."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from PIL import Image

from arml.datasets.checker import ERROR, WARNING, Fault
from arml.datasets.conversion.output import building
from arml.datasets.conversion.progress import Progress
from arml.datasets.conversion.report import Conversion, finish
from arml.datasets.conversion.source import Source
from arml.datasets.conversion.subset import read_subset
from arml.datasets.labels import label_text
from arml.datasets.layout import IMAGE_FOLDERS, MASK_FOLDERS, SPLIT_FOLDERS, SPLITS, list_tiles
from arml.datasets.tissue import TissueDataset
from arml.errors import DataError


class Member(NamedTuple):
    """A published file and its place in the data folder."""

    source: str
    target: str


def convert_weak(
    dataset_class: type[TissueDataset],
    sources: Sequence[str | Path],
    out: str | Path,
    subset: str | Path | None = None,
    force: bool = False,
    details: dict[str, Any] | None = None,
    separator: str | None = None,
) -> Conversion:
    """Copy a published set byte for byte into ``out`` and check all of it.

    Accepted: ``train/`` or ``training/``, flat or in ``img/``; ``val/``, ``valid/`` and
    ``test/`` with ``img/`` and ``mask/``; any number of folders above them.

    Args:
        dataset_class: BCSS-WSSS or LUAD-HistoSeg.
        sources: Zip archives or folders.
        out: Data folder to make.
        subset: A list of tiles to take (``train/NAME.png``, ``val/NAME.png`` or ``NAME.png``).
        force: Replace ``out``.
        details: Further entries of the manifest.
        separator: What stands between the digits of a published label; others are warned about, as
            are masks in other colours than the data set's. None: any is right.

    Raises:
        DataError: If a source, a tile, a label or a mask is missing or wrong (all faults in one
            message), or ``out`` exists.
    """
    with Source(sources) as source, building(out, source.paths, force) as folder:
        members, ignored = plan(source.names())
        expected: dict[str, int] = dict(dataset_class.PUBLISHED_COUNTS)
        notes = []
        if ignored:
            notes.append(
                f'{len(ignored)} PNG files outside the splits left out ({ignored[0]}, ...)'
            )
        if subset is not None:
            members, expected = _take(members, subset)
            notes.append(f'only the tiles of {Path(subset).name}')
        faults = _copy(source, members, folder)
        faults += _check_kind(dataset_class, folder, separator)
        entries = {'sources': [path.name for path in source.paths], **(details or {})}
        if subset is not None:
            entries['subset'] = Path(subset).name
        check = Progress('checking').at
        return finish(dataset_class, folder, expected, faults, notes, entries, check)


def plan(names: Sequence[str]) -> tuple[list[Member], list[str]]:
    """Find each published file's place; return also the names that have none.

    Raises:
        DataError: If a split is not there, or two files would go to one place.
    """
    folders = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
    members: dict[str, Member] = {}
    ignored = []
    for name in names:
        target = _target(PurePosixPath(name).parts, folders)
        if target is None:
            ignored.append(name)
        elif target in members:
            raise DataError(f'{name} and {members[target].source}: both would become {target}')
        else:
            members[target] = Member(name, target)
    for split in SPLITS:
        if not any(target.startswith(f'{split}/') for target in members):
            shown = ', '.join(names[:3]) or 'no PNG file at all'
            raise DataError(
                f'the source has no tile of the {split} split (a folder '
                f'{" or ".join(SPLIT_FOLDERS[split])}); found {shown}'
            )
    return list(members.values()), ignored


def _target(parts: Sequence[str], folders: dict[str, str]) -> str | None:
    for depth, part in enumerate(parts[:-1]):
        split = folders.get(part.lower())
        if split is None:
            continue
        inner = [folder.lower() for folder in parts[depth + 1 : -1]]
        flat = not inner or (len(inner) == 1 and inner[0] in IMAGE_FOLDERS)
        if split == 'train':
            return f'train/{parts[-1]}' if flat else None
        if flat:
            return f'{split}/img/{parts[-1]}'
        if len(inner) == 1 and inner[0] in MASK_FOLDERS:
            return f'{split}/mask/{parts[-1]}'
        return None
    return None


def _take(members: list[Member], subset: str | Path) -> tuple[list[Member], dict[str, int]]:
    """Keep the listed tiles and their masks; count the listed tiles of each split."""
    chosen: set[tuple[str, str]] = set()
    tiles = {(m.target.split('/')[0], Path(m.target).name) for m in members}
    unknown = []
    for row in read_subset(subset):
        name = PurePosixPath(row['file']).name
        head = row['file'].split('/')[0]
        found = {key for key in tiles if key[1] == name and (head not in SPLITS or head == key[0])}
        chosen |= found
        if not found:
            unknown.append(row['file'])
    if unknown:
        raise DataError(
            f'{subset}: {len(unknown)} listed tiles are not in the source: '
            + ', '.join(unknown[:5])
        )
    kept = [m for m in members if (m.target.split('/')[0], Path(m.target).name) in chosen]
    return kept, {split: sum(key[0] == split for key in chosen) for split in SPLITS}


def _check_kind(
    dataset_class: type[TissueDataset], folder: Path, separator: str | None
) -> list[Fault]:
    """Warn, once each, of labels and colours that are not the published ones.

    Another set in the same layout would convert without a word, its classes under wrong names.
    """
    palette = [tuple(colour) for colour in dataset_class.METAINFO['palette']]
    seen = []
    if separator is not None:
        for tile in list_tiles(folder / 'train'):
            text = label_text(tile.name) or ''
            wanted = separator.join(text.replace(' ', ''))
            seen.append((tile, 'label', f'[{text}]', f'[{wanted}]'))
    for split in ('val', 'test'):
        for mask in list_tiles(folder / split / 'mask'):
            found = _palette(mask, len(palette)) or palette
            seen.append((mask, 'value', f'colours {found}', f'colours {palette}'))
    name = dataset_class.METAINFO['dataset_name']
    faults = []
    for field in ('label', 'value'):
        other = [item for item in seen if item[1] == field and item[2] != item[3]]
        if other:
            file, _, found, wanted = other[0]
            faults.append(
                Fault(
                    WARNING,
                    file.relative_to(folder).as_posix(),
                    field,
                    f'{found}, so in {len(other)} files',
                    f'{wanted}, as {name} is published; is this {name}?',
                )
            )
    return faults


def _palette(mask: Path, count: int) -> list[tuple[int, ...]] | None:
    """The first colours of a palette PNG; None of another file, which the checker looks at."""
    try:
        with Image.open(mask) as image:
            palette = image.getpalette()
    except (OSError, SyntaxError, ValueError):
        return None
    if palette is None:
        return None
    return [tuple(palette[3 * i : 3 * i + 3]) for i in range(count)]


def _copy(source: Source, members: list[Member], folder: Path) -> list[Fault]:
    for split in SPLITS:
        for inner in ('',) if split == 'train' else ('img', 'mask'):
            (folder / split / inner).mkdir(parents=True, exist_ok=True)
    faults = []
    progress = Progress('copying')
    for done, member in enumerate(members, start=1):
        try:
            content = source.read(member.source)
        except DataError as error:
            faults.append(Fault(ERROR, member.source, 'file', str(error), 'a whole file'))
        else:
            (folder / member.target).write_bytes(content)
        progress.at(done, len(members))
    return faults
