"""What is misspelt in a config file: a key that nothing reads passes in silence, or fails hours later."""

import difflib
import inspect
import math
from collections.abc import Iterable
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from arml.config.overrides import arguments_of, find_class
from arml.config.sections import OWN
from arml.config.tree import nodes
from arml.errors import ConfigError

#: What a section may hold beside the settings of its Runner.
SECTION = (*OWN, 'input_size', 'tile_size', 'default_hooks', 'custom_hooks')
#: What a section of ``arml.MaskStage`` holds.
MASKS = ('maps', 'rule', 'dataloader')
#: Stages that read nothing else of a section.
PLAIN_STAGES = ('arml.TrainStage', 'arml.TestStage', 'arml.MaskStage')
#: What mmengine reads of ``env_cfg``; ``dist_cfg`` goes to torch as it is.
ENVIRONMENT = ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit')
PROCESSES = ('mp_start_method', 'opencv_num_threads')


def unknown_key(place: str, key: str, known: Iterable[str]) -> str:
    """The sentence about a key that nothing reads, with the nearest that is read."""
    near = difflib.get_close_matches(str(key), sorted(known), n=1)
    path = f'{place}.{key}' if place else f'the top-level key {key!r}'
    hint = f' Did you mean {place + "." if place else ""}{near[0]}?' if near else ''
    listed = f' {place} may hold {", ".join(sorted(known))}.' if place and not near else ''
    return f'nothing reads {path}.{hint}{listed}'


def check_keys(config: Config) -> None:
    """Refuse a key that nothing reads in a section, ``pseudo_masks``, ``randomness`` or ``env_cfg``.

    A section that a stage of another kind reads may hold more, and is its to check.

    Raises:
        ConfigError: Names the key and the nearest one that is read.
    """
    pipeline = config.get('pipeline') or []
    masks = {
        entry.get('masks_section', 'pseudo_masks')
        for entry in pipeline
        if entry.get('type') == 'arml.MaskStage'
    }
    plain = [entry.get('type') in PLAIN_STAGES for entry in pipeline]
    others = {
        entry.get('section') for entry, known in zip(pipeline, plain, strict=True) if not known
    }
    sections = {'classifier', *(entry.get('section') for entry in pipeline)} - others
    randomness = set(inspect.signature(Runner.set_randomness).parameters) - {'self'}
    places = {
        **{name: SECTION for name in sections if name},
        **{name: MASKS for name in masks or {'pseudo_masks'}},
        'randomness': randomness,
        'env_cfg': ENVIRONMENT,
        'env_cfg.mp_cfg': PROCESSES,
    }
    for place, known in places.items():
        node: Any = config._cfg_dict
        for step in place.split('.'):
            node = node.get(step) if isinstance(node, dict) else None
        for key in node if isinstance(node, dict) else ():
            if key not in known:
                raise ConfigError(f'config {config.filename}: {unknown_key(place, key, known)}')


def check_finite(config: Any) -> None:
    """Refuse infinity and NaN: the config that a run leaves behind could not be read again.

    Raises:
        ConfigError: Names the leaf.
    """
    for path, value in nodes(config):
        if isinstance(value, float) and not math.isfinite(value):
            word = " The word 'drop' stands for infinity here." if path.endswith('omega') else ''
            raise ConfigError(f'{path}: found {value}, expected a finite number.{word}')


def check_arguments(
    settings: Any, path: str, beside: Iterable[str] = (), default: str | None = None
) -> None:
    """Refuse settings that are no argument of the class that their ``type`` names.

    Args:
        settings: A dictionary with a ``type``.
        path: Where it stands in the config.
        beside: Keys that something else than the class reads.
        default: The type where it names none.

    Raises:
        ConfigError: Names the leaf and the nearest argument.
    """
    kind = settings.get('type', default) if isinstance(settings, dict) else None
    if kind is None:
        raise ConfigError(f'{path}: found {settings!r}, expected dict(type=..., ...).')
    cls = find_class(kind) if isinstance(kind, str) else kind
    if cls is None:
        raise ConfigError(f'{path}.type: found {kind!r}, which is registered nowhere.')
    arguments, others = arguments_of(cls)
    arguments |= set(beside)
    for key in settings:
        if not others and key != 'type' and key not in arguments:
            raise ConfigError(f'{unknown_key(path, key, arguments)} It is {kind}.')
