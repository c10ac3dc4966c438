"""What loaders and hooks are refused for before any stage runs: names, and the size of a tile."""

import copy
import inspect
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

from arml.config.overrides import find_class
from arml.config.spelling import check_arguments, unknown_key
from arml.errors import ConfigError, DataError
from arml.pipeline.checks import explained
from arml.pseudo.io import write_mask
from arml.registry import DATASETS, HOOKS

#: Hooks that every Runner has, and that a config switches off by None.
USUAL = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
#: What a loader may hold beside the arguments of torch's.
OF_RUNNER = ('num_batch_per_epoch',)


def check_loader(loader: Any, path: str) -> None:
    """Refuse a loader with a key that nothing reads, or whose sampler or data set cannot be built.

    Raises:
        ConfigError: Names the leaf.
    """
    known = {*inspect.signature(DataLoader).parameters, *OF_RUNNER}
    for key in loader:
        if key not in known:
            raise ConfigError(unknown_key(path, key, known))
    for key in ('dataset', 'sampler'):
        if not isinstance(loader.get(key), dict):
            raise ConfigError(
                f'{path}.{key}: found {loader.get(key)!r}, expected dict(type=..., ...).'
            )
    check_arguments(loader['sampler'], f'{path}.sampler')
    if loader.get('batch_sampler') is not None:
        check_arguments(loader['batch_sampler'], f'{path}.batch_sampler')
    dataset = loader['dataset']
    check_arguments(dataset, f'{path}.dataset')
    for index, step in enumerate(dataset.get('pipeline') or []):
        kind = step.get('type') if isinstance(step, dict) else None
        if isinstance(kind, str) and find_class(kind):  # else building it says what is wrong
            check_arguments(step, f'{path}.dataset.pipeline.{index}')
    with explained(f'{path}.dataset'):
        DATASETS.build({**copy.deepcopy(dataset), 'lazy_init': True, 'masks': None})


def check_hooks(settings: dict[str, Any], own: dict[str, Any], prefix: str) -> None:
    """Refuse a hook that is none, or that has a key that nothing reads.

    Args:
        settings: Those of a Runner.
        own: Hooks that the section itself sets, by name.
        prefix: Of the section's leaves.

    Raises:
        ConfigError: Names the leaf.
    """
    hooks = settings.get('default_hooks') or {}
    for name, hook in hooks.items():
        mine = own.get(name) if isinstance(own.get(name), dict) else {}
        path = f'{prefix if name in own else ""}default_hooks.{name}'
        if hook is None and name in USUAL:
            continue
        if not isinstance(hook, dict) or 'type' not in hook:
            near = unknown_key(path.rpartition('.')[0], name, {*USUAL, *hooks} - {name})
            raise ConfigError(f'{path}: found {hook!r}, expected dict(type=..., ...); {near}')
        shared = {key: value for key, value in hook.items() if key == 'type' or key not in mine}
        check_arguments(shared, f'default_hooks.{name}', beside=('priority',))
        _check_hook(hook, path)
    for index, hook in enumerate(settings.get('custom_hooks') or []):
        _check_hook(hook, f'custom_hooks.{index}')


def _check_hook(hook: Any, path: str) -> None:
    check_arguments(hook, path, beside=('priority',))
    kind = hook['type']
    cls = find_class(kind) if isinstance(kind, str) else kind
    if cls.__module__.startswith('arml.'):  # others may ask for a Runner that is there
        with explained(path):
            HOOKS.build({key: v for key, v in copy.deepcopy(hook).items() if key != 'priority'})


def check_sizes(
    loader: dict[str, Any], bound: list[str], section: dict[str, Any], prefix: str
) -> None:
    """Refuse an ``input_size`` or a ``tile_size`` that one tile, as it is trained on, does not have.

    The checkpoint keeps both, and prediction resizes by them. A blank mask stands for those that a
    stage before will make; where it makes anything else that the loader reads, nothing is compared.

    Args:
        loader: Of the training data.
        bound: Leaves that are set to products.
        section: Of the config, with the two sizes, (height, width).
        prefix: Of the section's leaves.

    Raises:
        ConfigError: Names both sizes and the leaf.
        DataError: If the tile cannot be read.
    """
    masks = 'train_dataloader.dataset.masks'
    if any(leaf.startswith('train_dataloader.') and leaf != masks for leaf in bound):
        return
    path = f'{prefix}train_dataloader.dataset'
    dataset = copy.deepcopy(loader['dataset'])
    with tempfile.TemporaryDirectory() as folder, explained(f'{path}.pipeline'):
        built = DATASETS.build({**dataset, 'masks': None} if masks in bound else dataset)
        info = built.get_data_info(0)
        try:
            with Image.open(info['img_path']) as tile:
                width, height = tile.size
        except OSError as error:
            raise DataError(f'{info["img_path"]}: cannot be read as an image ({error}).') from error
        if masks in bound:
            info['seg_map_path'] = str(Path(folder) / f'{Path(info["img_path"]).stem}.png')
            info['pseudo'] = True
            blank = np.zeros((height, width), dtype=np.uint8)
            write_mask(Path(info['seg_map_path']), blank, built.metainfo['palette'])
        inputs = built.pipeline(info)['inputs']
    found = {
        'input_size': (
            tuple(inputs.shape[-2:]),
            f'what {path}.pipeline makes of {info["img_path"]}',
        ),
        'tile_size': ((height, width), info['img_path']),
    }
    for key, (size, what) in found.items():
        said = section.get(key)
        if said is not None and tuple(said) != size:
            raise ConfigError(
                f'{prefix}{key}: found {tuple(said)}, but {what} is {size} (height, width). The '
                f'checkpoint would keep the wrong one. Set {prefix}{key}={size}, or change the data.'
            )
