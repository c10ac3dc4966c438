"""From a config file and command line overrides to one resolved config."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from arml.config.choices import take_choices
from arml.config.chosen_file import take_file
from arml.config.lending import lend_models, take_back
from arml.config.overrides import OPTIONAL, apply_overrides
from arml.config.parts import loaders_in, refuse_unread, schedulers_of, unread_parts
from arml.config.sections import OWN, SHARED
from arml.config.spelling import check_finite, check_keys, unknown_key
from arml.config.tree import nodes
from arml.errors import ConfigError

#: Top-level keys of a run beside those of its Runners.
KNOWN = (
    'pipeline', 'title', 'classifier', 'pseudo_masks', 'data_root', 'input_size', 'tile_size', 'store',
    'sweep',
)  # fmt: skip
#: Stands for ``title`` in the rows of stages, and for the config's own in a title that a choice sets.
TITLE = '{title}'


def load_config(
    path: str | os.PathLike, overrides: dict[str, Any] | None = None, for_run: bool = False
) -> Config:
    """Read a config file, apply overrides that must name existing leaves, and resolve it.

    Resolving names the rows of stages by ``title``; it hands ``data_root`` to every data set that has none
    of its own and ``randomness.seed`` to all, after the overrides, so that one override reaches
    all of them; it ends each learning rate schedule by epochs without an ``end`` at the last epoch of its
    section; and it turns off what loaders cannot do here (persistent workers where there are none, pinned
    memory without a GPU).

    Args:
        path: A Python or JSON/YAML config file.
        overrides: Dotted paths and values, as ``--cfg-options`` gives them.
        for_run: Whether the pipeline will be run. Then parts that no stage of it reads are left
            out, and an override of one is refused. Tools that take a part by themselves leave it.

    Raises:
        ConfigError: If the file is missing or broken, it has a key that nothing reads, an override
            names no leaf or one that no stage reads, a number is not finite, a data set has a seed
            of its own, or a schedule by iterations has no end.
    """
    return resolve_config(read_config(path), overrides, for_run)


def read_config(path: str | os.PathLike) -> Config:
    """Read a config file as it stands, its bases joined.

    Raises:
        ConfigError: If the file is missing or broken.
    """
    path = Path(path)
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob('*.py'))[:20] if path.parent.is_dir() else []
        raise ConfigError(
            f'config {path}: no such file.'
            + (f' In {path.parent}: {", ".join(near)}.' if near else '')
        )
    try:
        config = Config.fromfile(path)
    except Exception as error:
        raise ConfigError(
            f'config {path}: cannot be read: {type(error).__name__}: {error}'
        ) from error
    join_data(config)
    join_network(config)
    return config


def resolve_config(
    config: Config, overrides: dict[str, Any] | None = None, for_run: bool = False
) -> Config:
    """Apply overrides to a config and resolve it; in place, but for a config that names another file.

    Args:
        config: Of :func:`read_config`; a copy, if it is to be used again.
        overrides: Dotted paths and values.
        for_run: Whether the pipeline will be run.

    Returns:
        The config, or that of the file which it names.

    Raises:
        ConfigError: As of :func:`load_config`.
    """
    chosen = take_file(config, overrides or {})
    if chosen is not None:
        path, rest = chosen
        return resolve_config(read_config(path), rest, for_run)
    overrides = take_choices(config, overrides or {})
    if TITLE in str(overrides.get('title')):
        overrides['title'] = overrides['title'].replace(TITLE, _title_of(config))
    check_top_level(config)
    if overrides:
        forget(config)
        apply_overrides(config, overrides)
    check_keys(config)
    check_finite(config._cfg_dict)
    lend_models(config)
    if for_run:
        refuse_unread(config, overrides)
        for key in unread_parts(config):
            config.pop(key)
    resolve(config)
    return config


def join_data(config: Config) -> None:
    """Move ``<section>_data`` into ``<section>``, whose own leaves win; in place.

    mmengine refuses two base files that both set ``classifier``. So a classifier's base file sets
    ``classifier`` and a data set's base file sets ``classifier_data``: its loaders and metrics.
    """
    for name in [key for key in config if key.endswith('_data') and key != 'data']:
        section = name.removesuffix('_data')
        if isinstance(config[name], dict):
            data = Config(config.pop(name))
            data.merge_from_dict(config.get(section) or {})
            config[section] = data._cfg_dict


def join_network(config: Config) -> None:
    """Move ``network`` into ``model.network``, whose own leaves win; in place.

    So that a file that says how networks are trained (``model``) and one that says which network it is
    (``network``) can both be bases of a config, in any combination.
    """
    if isinstance(config.get('network'), dict) and isinstance(config.get('model'), dict):
        network = Config(config.pop('network'))
        network.merge_from_dict(config.model.get('network') or {})
        config.model['network'] = network._cfg_dict


def check_top_level(config: Config) -> None:
    """Refuse a top-level key that nothing reads: a typing error, or a left-over variable.

    Raises:
        ConfigError: Names the key and the nearest one that is read.
    """
    sections = {
        value
        for stage in config.get('pipeline') or []
        for key, value in stage.items()
        if key == 'section' or key.endswith('_section')
    }
    known = {*KNOWN, *OWN, *SHARED, *OPTIONAL, *sections}
    for key in config:
        if key not in known:
            raise ConfigError(
                f'config {config.filename}: {unknown_key("", key, known)} If it is a variable of the '
                f'file, remove it at its end: del {key}'
            )


def forget(config: Config) -> None:
    """Undo :func:`resolve` where a leaf says the same; in place.

    So that an override of ``data_root``, ``randomness.seed`` or ``max_epochs`` reaches everything
    in a resolved config too, such as the one that a run left behind.
    """
    take_back(config)
    root, seed = config.get('data_root'), (config.get('randomness') or {}).get('seed')
    for dataset in datasets_in(config._cfg_dict):
        if root is not None and dataset.get('data_root') == root:
            del dataset['data_root']
        if dataset.get('seed') is not None and dataset['seed'] == seed:
            del dataset['seed']
    for section in (config._cfg_dict, *_sections(config._cfg_dict)):
        epochs = (section.get('train_cfg') or {}).get('max_epochs')
        for scheduler in schedulers_of(section):
            by_epoch = scheduler.get('by_epoch', True)
            if by_epoch and epochs is not None and scheduler.get('end') == epochs:
                del scheduler['end']


def resolve(config: Config) -> None:
    """Fill in what follows from other leaves; in place. Resolving twice changes nothing."""
    seed = (config.get('randomness') or {}).get('seed')
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ConfigError(
            f'randomness.seed: found {seed!r}, expected a whole number from 0 to 2**31 - 1. '
            'One seed drives all stages.'
        )
    for stage in config.get('pipeline') or []:
        if TITLE in (stage.get('row') or ''):
            stage['row'] = stage['row'].replace(TITLE, _title_of(config))
    for path, dataset in _placed_datasets(config._cfg_dict):
        if dataset.get('data_root') is None and config.get('data_root') is not None:
            dataset['data_root'] = config.data_root
        if dataset.get('seed') not in (None, seed):
            raise ConfigError(
                f'{path}.seed: found {dataset["seed"]!r}, but randomness.seed is {seed}, and one seed '
                'drives all stages. Leave it out, and set randomness.seed.'
            )
        dataset['seed'] = seed
    for section in (config._cfg_dict, *_sections(config._cfg_dict)):
        epochs = (section.get('train_cfg') or {}).get('max_epochs')
        for scheduler in schedulers_of(section):
            if 'end' in scheduler:
                continue
            if not scheduler.get('by_epoch', True):
                raise ConfigError(
                    f'param_scheduler {scheduler.get("type")}: counts iterations (by_epoch=False) and '
                    'has no end. Give end in iterations.'
                )
            if epochs is not None:
                scheduler['end'] = epochs
    for loader in loaders_in(config._cfg_dict):
        if not loader.get('num_workers'):
            for key, off in (('persistent_workers', False), ('prefetch_factor', None)):
                if loader.get(key):
                    loader[key] = off
        if loader.get('pin_memory') and not torch.cuda.is_available():
            loader['pin_memory'] = False


def _title_of(config: Config) -> str:
    title = config.get('title')
    if not isinstance(title, str) or not title.strip():
        raise ConfigError(
            f"title: found {title!r}, expected the method's name: a row of the table is called so"
        )
    return title


def datasets_in(node: Any) -> list[dict]:
    """Every data set of arml in a config tree, in order."""
    return [dataset for _, dataset in _placed_datasets(node)]


def _placed_datasets(root: Any) -> Iterator[tuple[str, dict]]:
    """Every data set of arml with its dotted path."""
    for path, node in nodes(root):
        kind = node.get('type') if isinstance(node, dict) else None
        if isinstance(kind, str) and kind.startswith('arml.') and kind.endswith('Dataset'):
            yield path, node


def _sections(config: dict) -> list[dict]:
    return [value for value in config.values() if isinstance(value, dict) and 'train_cfg' in value]
