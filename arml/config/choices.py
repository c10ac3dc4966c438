"""Named settings: one leaf that stands for several, so that a row of a table is one value of a sweep."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from arml.errors import ConfigError

#: Ending of a top-level key that holds one name's choices.
ENDING = '_choices'


def choices_in(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The named settings of a config as read from its file: name -> value -> leaves.

    They stand in ``choices``, or, as mmengine refuses two base files that set one key, in ``<name>_choices``.

    Args:
        config: As read, unchanged.
    """
    found = {str(name): dict(known) for name, known in (config.get('choices') or {}).items()}
    for key, known in config.items():
        if key.endswith(ENDING) and isinstance(known, dict):
            found.setdefault(key.removesuffix(ENDING), {}).update(known)
    return {
        name: {str(value): settings for value, settings in known.items()}
        for name, known in found.items()
    }


def take_choices(config: Config, overrides: dict[str, Any]) -> dict[str, Any]:
    """Resolve a config's named settings into overrides of leaves; in place.

    A config with ``deviation_choices = {'none': {}, 'no_angle': {'model.srm.beta': 0}}`` and
    ``deviation = 'none'`` has a leaf ``deviation``, and ``deviation=no_angle`` is an override like any
    other. Both keys are gone from the resolved config, which spells out the leaves. Where the name of
    another choice stands among the leaves, the leaves below its chosen value follow:
    ``{'scratch': {'backbone': {'resnet38': {'model.network.backbone.frozen_stages': 0}}}}``.

    Args:
        config: As read from its file.
        overrides: Dotted paths and values, as the user gives them.

    Returns:
        The leaves of the chosen settings, groups before what lies in them, and after them the other
        overrides, which win.

    Raises:
        ConfigError: If a value is none of a name's choices, a name has no default, two choices set one
            leaf to different values or one of them a group with a leaf of the other (unless it replaces
            the group by ``_delete_``: the leaf is then set in the new one), or an override sets a leaf of
            what a choice switches off.
    """
    choices = choices_in(config)
    rest = dict(overrides)
    for key in [key for key in config if key == 'choices' or key.endswith(ENDING)]:
        config.pop(key)
    chosen = {
        name: chosen_value(config, name, list(known), rest) for name, known in choices.items()
    }
    leaves: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, value in chosen.items():
        for leaf, setting in _leaves(choices[name][value], chosen):
            for other in leaves:
                if _conflict(leaf, setting, other, leaves[other]):
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
    ordered = sorted(leaves, key=lambda leaf: leaf.count('.'))
    return {**{leaf: leaves[leaf] for leaf in ordered if leaf not in rest}, **rest}


def chosen_value(config: Config, name: str, known: list[str], rest: dict[str, Any]) -> str:
    """The value of one name; it is taken out of the config and of ``rest``.

    Args:
        config: With the default at its top level.
        name: What is chosen.
        known: What there is to choose from.
        rest: Overrides, as the user gives them.

    Raises:
        ConfigError: If there is no default, or the value is not among ``known``.
    """
    if name not in config:
        raise ConfigError(
            f'config {config.filename}: choices has {name!r}, but there is no top-level key {name} '
            f'with its default. Expected one of {", ".join(known)}.'
        )
    found = rest.pop(name, config[name])
    value = str(found)
    config.pop(name)
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        raise ConfigError(
            f'{name}: found {found!r}, expected one of {", ".join(known)}.'
            + (f' Did you mean {near[0]}?' if near else '')
            + (' YAML reads on, off, yes and no so: quote them.' if found in (True, False) else '')
        )
    return value


def _leaves(settings: Mapping[str, Any], chosen: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """The leaves that a choice sets, those included that hang on another choice."""
    for key, setting in settings.items():
        if key in chosen:
            found = {str(value): part for value, part in setting.items()}
            yield from found.get(chosen[key], {}).items()
        else:
            yield key, setting


def _conflict(leaf: str, setting: Any, other: str, others: Any) -> bool:
    """Whether two leaves cannot both be set."""
    if not _overlap(leaf, other) or (leaf, setting) == (other, others):
        return False
    group = setting if leaf.count('.') < other.count('.') else others
    return leaf == other or not (isinstance(group, dict) and group.get('_delete_'))


def _overlap(path: str, other: str) -> bool:
    """Whether two dotted paths are one, or one lies below the other."""
    return f'{path}.'.startswith(f'{other}.') or f'{other}.'.startswith(f'{path}.')
