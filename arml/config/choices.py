"""Named settings: one leaf that stands for several, so that a row of a table is one value of a sweep."""

import difflib
from typing import Any

from mmengine.config import Config

from arml.errors import ConfigError


def take_choices(config: Config, overrides: dict[str, Any]) -> dict[str, Any]:
    """Resolve a config's named settings into overrides of leaves; in place.

    A config with ``choices = {'deviation': {'none': {}, 'no_angle': {'model.srm.beta': 0}}}`` and
    ``deviation = 'none'`` has a leaf ``deviation``, and ``deviation=no_angle`` is an override like any
    other. Both keys are gone from the resolved config, which spells out the leaves.

    Args:
        config: As read from its file.
        overrides: Dotted paths and values, as the user gives them.

    Returns:
        The leaves of the chosen settings, and after them the other overrides, which win.

    Raises:
        ConfigError: If a value is none of a name's choices, a name has no default, two choices set one
            leaf to different values or one of them a group with a leaf of the other, or an override
            sets a leaf of what a choice switches off.
    """
    choices = config.pop('choices', None) or {}
    rest = dict(overrides)
    leaves: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, known in choices.items():
        known = {str(key): settings for key, settings in known.items()}
        if name not in config:
            raise ConfigError(
                f'config {config.filename}: choices has {name!r}, but there is no top-level key {name} '
                f'with its default. Expected one of {", ".join(known)}.'
            )
        found = rest.pop(name, config[name])
        value = str(found)
        config.pop(name)
        if value not in known:
            near = difflib.get_close_matches(value, list(known), n=1)
            raise ConfigError(
                f'{name}: found {found!r}, expected one of {", ".join(known)}.'
                + (f' Did you mean {near[0]}?' if near else '')
                + (
                    ' YAML reads on, off, yes and no so: quote them.'
                    if found in (True, False)
                    else ''
                )
            )
        for leaf, setting in known[value].items():
            for other in leaves:
                if _overlap(leaf, other) and (leaf, setting) != (other, leaves[other]):
                    raise ConfigError(
                        f'{leaf}: {origin[other]} sets {other} to {leaves[other]!r}, {name}={value} sets '
                        f'{leaf} to {setting!r}. Choose one of them.'
                    )
            leaves[leaf], origin[leaf] = setting, f'{name}={value}'
    for path in rest:
        for leaf, setting in leaves.items():
            if path.startswith(f'{leaf}.') and not isinstance(setting, dict | list | tuple):
                raise ConfigError(
                    f'{path}: {origin[leaf]} sets {leaf} to {setting!r}, which has no such leaf. '
                    'Choose one of them.'
                )
    return {**{leaf: v for leaf, v in leaves.items() if leaf not in rest}, **rest}


def _overlap(path: str, other: str) -> bool:
    """Whether two dotted paths are one, or one lies below the other."""
    return f'{path}.'.startswith(f'{other}.') or f'{other}.'.startswith(f'{path}.')
