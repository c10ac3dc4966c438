"""The data sets a stage reads: built, checked and fingerprinted."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from arml.config.load import datasets_in
from arml.datasets import TissueDataset
from arml.datasets.checker import check, format_faults
from arml.datasets.fingerprint import fingerprint
from arml.errors import ConfigError, DataError
from arml.pipeline.keys import digest
from arml.registry import DATASETS


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
    settings = copy.deepcopy(settings)
    # Only its list of files is wanted, of the whole split; ``indices`` are a setting.
    settings.update(pipeline=[], serialize_data=False, indices=None)
    dataset = DATASETS.build(settings)
    tiles = _fingerprint(dataset.files(), Path(dataset.data_root), cache)
    if settings.get('masks') in (None, 'dense'):
        return tiles
    masks = [Path(dataset.get_data_info(i)['seg_map_path']) for i in range(len(dataset))]
    return f'{tiles}+{_fingerprint(masks, Path(settings["masks"]), cache)}'


def _fingerprint(files: list[Path], root: Path, cache: Path | None) -> str:
    root = root.absolute()
    return fingerprint(files, root, cache and cache / f'{digest(str(root))}.json')


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
    for (cls, root), names in splits.items():
        faults = check(cls, root, splits=tuple(names), deep=False)
        errors = [fault for fault in faults if fault.severity == 'error']
        if errors:
            raise DataError(
                f'data folder {root}: not fit for training.\n{format_faults(faults)}\n{cls.hint()}'
            )
        if faults:
            say(f'data folder {root}: warnings\n{format_faults(faults)}')
