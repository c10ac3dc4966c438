"""All faults of a data folder at once."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from arml.datasets.labels import parse_label
from arml.datasets.layout import SPLITS, SUFFIX, find_split, list_tiles
from arml.datasets.tissue import TissueDataset
from arml.datasets.transforms.loading import (
    check_mask_values,
    decode_tile,
    label_from_mask,
    read_raw_mask,
)
from arml.errors import DataError

ERROR, WARNING = 'error', 'warning'
_IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp')


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be.

    Attributes:
        severity: ``'error'`` (training refuses to start) or ``'warning'``.
        file: File or folder, relative to the data folder.
        field: What is wrong: ``'split'``, ``'count'``, ``'label'``, ``'image'``, ``'mask'``,
            ``'size'``, ``'value'``, ``'case'`` or ``'file'``.
        found: What was found.
        expected: What was expected.
    """

    severity: str
    file: str
    field: str
    found: str
    expected: str


def check(
    dataset_class: type[TissueDataset],
    data_root: str | Path,
    splits: Sequence[str] = SPLITS,
    deep: bool = True,
    counts: Mapping[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Fault]:
    """Look at a whole data folder and report every fault.

    Args:
        dataset_class: States classes, published counts and how a name tells the case.
        data_root: Data folder.
        splits: Splits that must be there.
        deep: Also decode every image and mask. Without it only names are read: labels, counts,
            missing and surplus masks, empty splits, cases in two splits.
        counts: Tiles expected of each split; None takes the published ones.
        progress: Called with (done, total) while images are decoded.

    Returns:
        Faults, errors first, then in the order of splits and names.
    """
    root = Path(data_root)
    expected = dataset_class.PUBLISHED_COUNTS if counts is None else counts
    faults: list[Fault] = []
    tiles: dict[str, list[Path]] = {}
    pairs: list[tuple[Path, Path | None]] = []
    for split in splits:
        try:
            paths = find_split(root, split)
        except DataError as error:
            message = str(error).split('; expected this layout')[0]
            faults.append(Fault(ERROR, split, 'split', message, f'the folder of the {split} split'))
            if not root.is_dir():
                break
            continue
        images = tiles[split] = list_tiles(paths.images)
        faults += _check_count(root, paths.images, split, len(images), expected.get(split))
        faults += _check_foreign(root, paths.images)
        if split == 'train':
            faults += chain.from_iterable(_check_label(root, dataset_class, i) for i in images)
        elif paths.masks is None:
            faults.append(
                Fault(ERROR, _name(root, paths.images.parent), 'mask', 'no mask/ folder', 'mask/')
            )
        if paths.masks is not None:
            masks = {path.name: path for path in list_tiles(paths.masks)}
            faults += _check_pairs(root, paths.masks, images, masks)
            pairs += [(image, masks.get(image.name)) for image in images]
        else:
            pairs += [(image, None) for image in images]
    faults += _check_cases(dataset_class, tiles)
    if deep:
        faults += _check_content(root, dataset_class, pairs, progress)
    return sorted(faults, key=lambda fault: fault.severity != ERROR)


def has_errors(faults: Iterable[Fault]) -> bool:
    """Tell whether any fault is an error."""
    return any(fault.severity == ERROR for fault in faults)


def format_faults(faults: Sequence[Fault], limit: int | None = None) -> str:
    """Write faults as a table, one line each, and a last line that counts them.

    Args:
        faults: As :func:`check` returns them.
        limit: Print at most so many lines and say how many were left out; None prints all.
    """
    errors = sum(fault.severity == ERROR for fault in faults)
    summary = f'{errors} error(s), {len(faults) - errors} warning(s)'
    if not faults:
        return summary
    shown = faults if limit is None else faults[:limit]
    rows = [(fault.severity, fault.file, fault.field) for fault in shown]
    severity, file, field = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        f'{f.severity:{severity}}  {f.file:{file}}  {f.field:{field}}  '
        f'{f.found}; expected {f.expected}'
        for f in shown
    ]
    if len(shown) < len(faults):
        lines.append(f'... and {len(faults) - len(shown)} more')
    return '\n'.join([*lines, summary])


def _check_count(
    root: Path, folder: Path, split: str, found: int, expected: int | None
) -> list[Fault]:
    if found == 0:
        return [Fault(ERROR, _name(root, folder), 'split', f'{split} is empty', f'{SUFFIX} tiles')]
    if expected is not None and found != expected:
        return [
            Fault(
                WARNING, _name(root, folder), 'count', f'{found} tiles', f'{expected} (published)'
            )
        ]
    return []


def _check_foreign(root: Path, folder: Path) -> list[Fault]:
    return [
        Fault(WARNING, _name(root, path), 'file', f'a {path.suffix} file, not read', 'PNG tiles')
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _IMAGE_SUFFIXES
    ]


def _check_label(root: Path, dataset_class: type[TissueDataset], image: Path) -> list[Fault]:
    name, classes = _name(root, image), dataset_class.METAINFO['classes']
    try:
        label = parse_label(image, len(classes))
    except DataError as error:
        found, _, expected = str(error).removeprefix(f'{image}: ').partition('; expected ')
        return [Fault(ERROR, name, 'label', found, expected)]
    if not any(label):
        return [Fault(WARNING, name, 'label', 'all zeros: no class present', 'at least one class')]
    return []


def _check_pairs(
    root: Path, folder: Path, images: list[Path], masks: dict[str, Path]
) -> list[Fault]:
    names = {image.name for image in images}
    faults = [
        Fault(ERROR, _name(root, image), 'mask', 'no mask', _name(root, folder / image.name))
        for image in images
        if image.name not in masks
    ]
    return faults + [
        Fault(ERROR, _name(root, masks[name]), 'mask', 'a mask without tile', 'a tile of that name')
        for name in sorted(set(masks) - names)
    ]


def _check_cases(
    dataset_class: type[TissueDataset], tiles: Mapping[str, list[Path]]
) -> list[Fault]:
    if dataset_class.CASE_PATTERN is None:
        return []
    pattern = re.compile(dataset_class.CASE_PATTERN)
    cases: dict[str, Counter] = defaultdict(Counter)
    for split, images in tiles.items():
        for image in images:
            if match := pattern.match(image.name):
                cases[match.group(1)][split] += 1
    return [
        Fault(
            WARNING,
            f'case {case}',
            'case',
            'tiles in ' + ', '.join(f'{split} ({n})' for split, n in splits.items()),
            'one split a case',
        )
        for case, splits in sorted(cases.items())
        if len(splits) > 1
    ]


def _check_content(
    root: Path,
    dataset_class: type[TissueDataset],
    pairs: list[tuple[Path, Path | None]],
    progress: Callable[[int, int], None] | None,
) -> list[Fault]:
    faults: list[Fault] = []
    sizes: dict[Path, str] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = pool.map(lambda pair: _check_pair(root, dataset_class, *pair), pairs)
        for done, (found, size) in enumerate(results, start=1):
            faults += found
            if size is not None:
                sizes[pairs[done - 1][0]] = size
            if progress is not None:
                progress(done, len(pairs))
    return faults + _check_sizes(root, sizes)


def _check_sizes(root: Path, sizes: Mapping[Path, str]) -> list[Fault]:
    """Tiles of another size than most of their split; only a pipeline that resizes makes a batch of them."""
    counts: dict[Path, Counter] = defaultdict(Counter)
    for image, size in sizes.items():
        counts[image.parent][size] += 1
    usual = {folder: of_folder.most_common(1)[0][0] for folder, of_folder in counts.items()}
    return [
        Fault(
            WARNING,
            _name(root, image),
            'size',
            size,
            f'{usual[image.parent]}, as most tiles of the split (or a Resize in the pipeline)',
        )
        for image, size in sizes.items()
        if size != usual[image.parent]
    ]


def _check_pair(
    root: Path, dataset_class: type[TissueDataset], image: Path, mask: Path | None
) -> tuple[list[Fault], str | None]:
    """Decode one tile and its mask; return the tile's size too, if it is known."""
    faults: list[Fault] = []
    num_classes = len(dataset_class.METAINFO['classes'])
    pixels = values = None
    try:
        pixels = decode_tile(image)
    except DataError as error:
        faults.append(_from_error(root, image, 'image', error, 'a readable RGB PNG'))
    tile_size = None if pixels is None else _size(pixels)
    if mask is None:
        return faults, tile_size
    try:
        values = read_raw_mask(mask)
        check_mask_values(values, num_classes, False, mask)
    except DataError as error:
        field = 'mask' if values is None else 'value'
        faults.append(_from_error(root, mask, field, error, 'a palette PNG'))
    if values is None:
        return faults, tile_size
    if tile_size not in (None, _size(values)):
        faults.append(
            Fault(ERROR, _name(root, mask), 'size', _size(values), f'{tile_size}, as the tile')
        )
    faults += _check_agreement(root, dataset_class, image, values)
    return faults, tile_size


def _size(pixels: np.ndarray) -> str:
    return f'{pixels.shape[1]}x{pixels.shape[0]}'


def _check_agreement(
    root: Path, dataset_class: type[TissueDataset], image: Path, values: np.ndarray
) -> list[Fault]:
    """Compare the label in a training tile's name with its dense mask, where there is one."""
    num_classes = len(dataset_class.METAINFO['classes'])
    try:
        label = parse_label(image, num_classes)
    except DataError:
        return []  # no label (val, test), or reported already
    dense = label_from_mask(values, num_classes, dataset_class.METAINFO['presence_share'])
    if label == dense:
        return []
    return [
        Fault(WARNING, _name(root, image), 'label', f'{label} in the name', f'{dense} by the mask')
    ]


def _from_error(root: Path, path: Path, field: str, error: DataError, expected: str) -> Fault:
    found, _, wanted = str(error).removeprefix(f'{path}: ').partition('; expected ')
    return Fault(ERROR, _name(root, path), field, found, wanted or expected)


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
