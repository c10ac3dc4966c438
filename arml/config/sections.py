"""A section of a config as the config of one Runner."""

import copy
from typing import Any

from mmengine.config import Config, ConfigDict

from arml.errors import ConfigError

#: What a section may hold for itself; the classifier's lies under ``classifier``, the segmentor's at the top.
OWN = (
    'model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg',
    'test_cfg', 'optim_wrapper', 'param_scheduler', 'val_evaluator', 'test_evaluator', 'load_from',
    'auto_scale_lr',
)  # fmt: skip
#: What all sections share; a section may add to the hooks.
SHARED = (
    'default_scope', 'custom_imports', 'env_cfg', 'randomness', 'log_level', 'log_processor',
    'visualizer', 'vis_backends', 'default_hooks', 'custom_hooks', 'model_wrapper_cfg',
)  # fmt: skip


def section_of(config: Config, section: str | None) -> ConfigDict:
    """The part of a config that one trained model is described by.

    Args:
        config: A resolved config.
        section: Name of the section, or None for the top level.

    Raises:
        ConfigError: If the config has no such section or it has no model.
    """
    if section is None:
        part = config._cfg_dict
    elif isinstance(config.get(section), dict):
        part = config._cfg_dict[section]
    else:
        raise ConfigError(f'config {config.filename}: it has no section {section!r}.')
    if not isinstance(part.get('model'), dict):
        where = 'at the top level' if section is None else f'under {section}'
        raise ConfigError(f'config {config.filename}: there is no model {where}.')
    return part


def runner_config(config: Config, section: str | None) -> dict[str, Any]:
    """The settings of one Runner: those of the section over those that all sections share."""
    part = section_of(config, section)
    settings = {key: copy.deepcopy(config[key]) for key in SHARED if key in config}
    settings.update({key: copy.deepcopy(part[key]) for key in OWN if key in part})
    if section is not None:
        hooks = settings.setdefault('default_hooks', {})
        for name, hook in (part.get('default_hooks') or {}).items():
            if isinstance(hook, dict) and isinstance(hooks.get(name), dict):
                hooks[name] = {**hooks[name], **copy.deepcopy(hook)}
            else:
                hooks[name] = copy.deepcopy(hook)
        settings['custom_hooks'] = [
            *(settings.get('custom_hooks') or []),
            *copy.deepcopy(part.get('custom_hooks') or []),
        ]
    return settings


def name_apart(settings: dict[str, Any]) -> None:
    """Give the visualizer the Runner's own name; mmengine would hand it the one of the stage before."""
    if isinstance(settings.get('visualizer'), dict):
        settings['visualizer'] = {**settings['visualizer'], 'name': settings['experiment_name']}


def get_leaf(settings: dict, path: str) -> Any:
    """The value at a dotted path."""
    node = settings
    for step in path.split('.'):
        node = node[int(step)] if isinstance(node, list | tuple) else node[step]
    return node


def set_leaf(settings: dict, path: str, value: Any) -> None:
    """Set the value at a dotted path whose parents exist.

    Raises:
        ConfigError: If a parent is missing.
    """
    *parents, last = path.split('.')
    node = settings
    try:
        for step in parents:
            node = node[int(step)] if isinstance(node, list) else node[step]
        node[last] = value
    except (KeyError, IndexError, TypeError) as error:
        raise ConfigError(f'{path}: the config has no {error} to bind an input to.') from error
