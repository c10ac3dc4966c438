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
        ConfigError: If a value is none of a name's choices, a name has no default, or two choices
            set one leaf to different values.
    """
    choices = config.pop('choices', None) or {}
    rest = dict(overrides)
    leaves: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, known in choices.items():
        if name not in config:
            raise ConfigError(
                f'config {config.filename}: choices has {name!r}, but there is no top-level key {name} '
                f'with its default. Expected one of {", ".join(known)}.'
            )
        value = str(rest.pop(name, config[name]))
        config.pop(name)
        if value not in known:
            near = difflib.get_close_matches(value, list(known), n=1)
            raise ConfigError(
                f'{name}: found {value!r}, expected one of {", ".join(known)}.'
                + (f' Did you mean {near[0]}?' if near else '')
            )
        for leaf, setting in known[value].items():
            if leaf in leaves and leaves[leaf] != setting:
                raise ConfigError(
                    f'{leaf}: {origin[leaf]} sets it to {leaves[leaf]!r}, {name}={value} to {setting!r}. '
                    'Choose one of them.'
                )
            leaves[leaf], origin[leaf] = setting, f'{name}={value}'
    return {**{leaf: v for leaf, v in leaves.items() if leaf not in rest}, **rest}
