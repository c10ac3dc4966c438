"""The data sets a stage reads: built, checked and fingerprinted."""

import contextlib
import contextvars
import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from arml.config.load import datasets_in
from arml.datasets import TissueDataset
from arml.datasets.checker import ERROR, WARNING, Fault, check, format_faults, has_errors
from arml.datasets.fingerprint import fingerprint
from arml.datasets.layout import find_split
from arml.errors import ConfigError, DataError
from arml.pipeline.keys import digest
from arml.progress import Progress
from arml.registry import DATASETS

#: Files that are hashed between two lines of progress, if hashing is slow.
CHUNK = 5000
#: Fingerprints that this process has had, by what tells that no file has changed since.
_known: dict[str, str] = {}
#: What :func:`files_at_rest` has seen; None outside of it.
_seen: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar('seen', default=None)
#: Settings of a data set that have no part in which files it has.
_NOT_FILES = ('pipeline', 'augmentation', 'seed', 'indices')


@contextlib.contextmanager
def files_at_rest() -> Iterator[None]:
    """Look at the files of each data set once while this lasts, however many configs read them.

    For work that keys many configs in a row and changes no data.
    """
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def _once(what: str, settings: dict[str, Any], look: Callable[[], Any]) -> Any:
    """What ``look`` finds; within :func:`files_at_rest` what it found the first time."""
    seen = _seen.get()
    if seen is None:
        return look()
    kept = {key: value for key, value in settings.items() if key not in _NOT_FILES}
    key = f'{what} {json.dumps(kept, sort_keys=True, default=repr)}'
    if key not in seen:
        seen[key] = look()
    return seen[key]


def dataset_class(settings: dict[str, Any]) -> type[TissueDataset]:
    """The class of a data set's settings.

    Raises:
        ConfigError: If it is none of arml's.
    """
    cls = DATASETS.get(settings.get('type', ''))
    if cls is None or not issubclass(cls, TissueDataset):
        raise ConfigError(
            f'dataset type {settings.get("type")!r}: expected one of arml, for example arml.BCSSDataset.'
        )
    return cls


def metainfo_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Classes, palette, background and microns per pixel of a data set, without its files."""
    settings = copy.deepcopy(settings)
    settings.update(pipeline=[], lazy_init=True, masks=None)
    return dict(DATASETS.build(settings).metainfo)


def without_places(settings: Any) -> Any:
    """``settings`` whose data sets do not say in which folder their masks lie; in place.

    The content of a folder of masks is in the fingerprint, its place is nobody's concern.
    """
    for dataset in datasets_in(settings):
        if dataset.get('masks') not in (None, 'dense'):
            dataset['masks'] = 'folder'
    return settings


def data_fingerprint(settings: dict[str, Any], cache: Path | None) -> str:
    """Fingerprint of the files of a data set: tiles, and the masks that it names.

    Args:
        settings: Settings of the data set. Masks that a stage before makes are to be left out
            (None): their key counts.
        cache: Folder that remembers hashes of unchanged files, or None.
    """
    return _once('all', settings, lambda: _data_fingerprint(settings, cache))


def _data_fingerprint(settings: dict[str, Any], cache: Path | None) -> str:
    settings = copy.deepcopy(settings)
    # Only its list of files is wanted, of the whole split; ``indices`` are a setting.
    settings.update(pipeline=[], serialize_data=False, indices=None)
    settings['lazy_init'] = settings.get('masks') is None  # a list of a folder is enough then
    dataset = DATASETS.build(settings)
    tiles = _fingerprint(dataset.files(), Path(dataset.data_root), cache)
    if settings.get('masks') in (None, 'dense'):
        return tiles
    masks = [Path(dataset.get_data_info(i)['seg_map_path']) for i in range(len(dataset))]
    return f'{tiles}+{_fingerprint(masks, Path(settings["masks"]), cache)}'


def dense_fingerprint(settings: dict[str, Any], cache: Path | None) -> str | None:
    """Fingerprint of the dense masks that a split has, whether or not a data set reads them.

    Args:
        settings: Settings of the data set.
        cache: As of :func:`data_fingerprint`.

    Returns:
        The fingerprint of those of its tiles' masks that are there; None if it has no folder of them.
    """
    return _once('dense', settings, lambda: _dense_fingerprint(settings, cache))


def _dense_fingerprint(settings: dict[str, Any], cache: Path | None) -> str | None:
    settings = {**settings, 'pipeline': [], 'masks': None, 'lazy_init': True}
    dataset = DATASETS.build(copy.deepcopy(settings))
    folder = dataset.paths().masks
    if folder is None:
        return None
    masks = [folder / f'{image.stem}.png' for image in dataset.files()]
    there = {path.name for path in folder.iterdir()}
    return _fingerprint([m for m in masks if m.name in there], Path(dataset.data_root), cache)


def _fingerprint(files: list[Path], root: Path, cache: Path | None) -> str:
    """Fingerprint of files, read at most once a process; it says how far it is if that takes long."""
    root = root.absolute()
    state = _state(files, root)
    if state is None or state not in _known:
        file = cache and cache / f'{digest(str(root))}.json'
        if file:  # what was hashed is remembered in between, so that an end loses little
            progress = Progress(f'reading {root}', len(files))
            for start in range(0, len(files) - CHUNK, CHUNK):
                fingerprint(files[start : start + CHUNK], root, file)
                progress.add(CHUNK)
        found = fingerprint(files, root, file)
        if state is None:
            return found
        _known[state] = found
    return _known[state]


def _state(files: list[Path], root: Path) -> str | None:
    """A hash that changes if a file does, without its content; None if there is a file missing."""
    state = hashlib.sha256(str(root).encode())
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            return None
        parts = (path.absolute(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        state.update(repr(parts).encode())
    return state.hexdigest()


def loader_fingerprints(settings: dict[str, Any], names: Iterable[str], cache: Path | None) -> dict:
    """Fingerprints of the data sets of some data loaders of a section."""
    return {
        name: data_fingerprint(settings[name]['dataset'], cache)
        for name in names
        if settings.get(name)
    }


def check_before_training(datasets: list[dict[str, Any]], say) -> None:
    """The cheap part of the check of every data folder that the config names.

    Args:
        datasets: Settings of all data sets of the run.
        say: Called with the warnings, if there are any.

    Raises:
        DataError: If there are errors; lists all of them.
    """
    splits: dict[tuple[type, str], list[str]] = {}
    supervised = set()  # data folders whose dense training masks are read
    for settings in datasets:
        root = settings.get('data_root')
        if not isinstance(root, str):
            raise ConfigError(
                f'data_root: found {root!r}, expected a folder. Set it at the top level of the config '
                'or by --cfg-options data_root=...'
            )
        found = splits.setdefault((dataset_class(settings), root), [])
        if settings['split'] not in found:
            found.append(settings['split'])
        if settings['split'] == 'train' and settings.get('masks') == 'dense':
            supervised.add(root)
    for (cls, root), names in splits.items():
        faults = check(cls, root, splits=tuple(names), deep=False)
        if root not in supervised:
            faults = _without_dense_errors(faults, root)
        if has_errors(faults):
            raise DataError(
                f'data folder {root}: not fit for training.\n{format_faults(faults)}\n{cls.hint()}'
            )
        if faults:
            say(f'data folder {root}: warnings\n{format_faults(faults)}')


def _without_dense_errors(faults: list[Fault], root: str) -> list[Fault]:
    """The faults; those of dense training masks, which no training reads here, as warnings."""
    try:
        folder = find_split(root, 'train').masks
    except DataError:  # among the faults
        folder = None
    if folder is None:
        return faults
    start = f'{folder.name}/'
    faults = [
        replace(fault, severity=WARNING)
        if fault.file.startswith(start)
        or (fault.field == 'mask' and fault.expected.startswith(start))
        else fault
        for fault in faults
    ]
    return sorted(faults, key=lambda fault: fault.severity != ERROR)
