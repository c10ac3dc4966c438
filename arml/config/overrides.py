"""Overrides of config leaves; a path that names nothing is an error, not a new key."""

import difflib
import functools
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from arml import registry as registries
from arml.config.sections import OWN
from arml.config.tree import nodes
from arml.errors import ConfigError

#: Top-level keys that are read and that a config need not spell out.
OPTIONAL = {
    'load_from', 'work_dir', 'store', 'auto_scale_lr', 'log_level', 'model_wrapper_cfg',
    'custom_hooks',
}  # fmt: skip


def apply_overrides(config: Config, overrides: dict[str, Any]) -> None:
    """Merge dotted overrides into ``config`` in place.

    A path is accepted if it exists in the config, or if it is an argument of the class whose
    ``type`` the config names at that place (so that ``model.network.decode_head.dropout_ratio``
    can be set where the config leaves the class's default). A dict is checked in the same way, unless
    it names another ``type`` or replaces what is there (``_delete_``).

    Raises:
        ConfigError: For a path that is neither; names it and the nearest existing ones.
    """
    before = config._cfg_dict
    try:
        for path, value in overrides.items():  # in turn: a leaf may lie in what another one brings
            check_path(config._cfg_dict, path, value)
            config.merge_from_dict({path: value}, allow_list_keys=True)
    except ConfigError:
        object.__setattr__(config, '_cfg_dict', before)  # merging makes a new one
        raise


def leaves(node: Any, prefix: str = '') -> Iterator[str]:
    """The dotted paths of all nodes below ``node``, inner ones included."""
    return (path for path, _ in itertools.islice(nodes(node, prefix), 1, None))


def check_path(config: dict, path: str, value: Any, word: str = 'override') -> None:
    """Refuse a path that names no leaf and no argument, or a value that would replace a group.

    Args:
        config: A config or a section.
        path: Dotted path.
        value: What it will be set to.
        word: What asks for it, for the message.

    Raises:
        ConfigError: Names the path and the nearest existing ones.
    """
    node, steps = config, path.split('.')
    for depth, step in enumerate(steps):
        here = '.'.join(steps[:depth])
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list | tuple) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        elif (
            depth == len(steps) - 1
            and isinstance(node, dict)
            and _accepts(node, step, steps[:depth])
        ):
            return
        else:
            raise ConfigError(f'{word} ' + _unknown(config, path, here, step, node))
    if isinstance(node, dict) and value is not None and not isinstance(value, dict):
        raise ConfigError(
            f'{word} {path}={value!r}: {path} is a group of settings '
            f'({", ".join(map(str, node))}), not a single one. Override one of them, or give None '
            'or a dict.'
        )
    if (
        isinstance(node, dict)
        and isinstance(value, dict)
        and not value.keys() & {'type', '_delete_'}
    ):
        for key, part in value.items():
            check_path(config, f'{path}.{key}', part, word)


def _accepts(node: dict, argument: str, parents: list[str]) -> bool:
    if not parents:
        return argument in OPTIONAL
    if parents[-1].endswith('dataloader'):
        return argument in inspect.signature(DataLoader).parameters
    if len(parents) == 1 and 'model' in node and argument in OWN:
        return True
    kind = node.get('type')
    if not isinstance(kind, str):
        return False
    cls = find_class(kind)
    return cls is not None and argument in arguments_of(cls)[0]


def arguments_of(cls: Any) -> tuple[set[str], bool]:
    """The names of a constructor's arguments, and whether it takes others too.

    Those of a parent's constructor count where it is reached through ``**kwargs``.
    """
    inits = [cls]
    if inspect.isclass(cls):
        bases = [base for base in inspect.getmro(cls) if base is not object]
        inits = [vars(base)['__init__'] for base in bases if '__init__' in vars(base)]
    names: set[str] = set()
    for init in inits:
        parameters = inspect.signature(init).parameters.values()
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        names |= {p.name for p in parameters if p.kind not in variable and p.name != 'self'}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names, False
    return names, bool(inits)


def find_class(kind: str) -> type | None:
    """The class or function that a config's ``type`` names, in any registry of arml or mmseg."""
    try:
        return _registered(kind)
    except LookupError:
        return None


@functools.cache  # that it is not there yet is not kept
def _registered(kind: str) -> type:
    import mmseg.registry

    for module in (registries, mmseg.registry):
        for registry in vars(module).values():
            if isinstance(registry, Registry):
                try:
                    found = registry.get(kind if '.' in kind else f'mmseg.{kind}') or registry.get(
                        kind
                    )
                except Exception:  # a scope that this registry's family does not know
                    found = None
                if found is not None:
                    return found
    raise LookupError(kind)


def _unknown(config: dict, path: str, here: str, step: str, node: Any) -> str:
    near = difflib.get_close_matches(path, list(leaves(config)), n=3, cutoff=0.6)
    keys = ', '.join(map(str, node)) if isinstance(node, dict) else None
    place = f'under {here}' if here else 'at the top level'
    found = f'there is no {step!r} {place}'
    if keys is None:
        found = f'{here} is {node!r}, which has no {step!r}'
    parts = [f'{path}: {found}.']
    if near:
        parts.append(f'Did you mean {" or ".join(near)}?')
    if keys:
        parts.append(f'Keys {place}: {keys}.')
    return ' '.join(parts)
