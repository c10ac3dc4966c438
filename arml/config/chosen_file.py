"""A config that only names other configs: one leaf that stands for a whole file, such as a row of Table 1."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from arml.config.choices import chosen_value
from arml.errors import ConfigError

#: Ending of the one top-level key that names the files.
ENDING = '_configs'
#: Ending of the key that names those of the values that a report shows as upper bounds.
BOUNDS = '_upper_bounds'
#: Ending of the key that names those that are variants of another value, and no other method.
VARIANTS = '_variants'


def files_in(config: Mapping[str, Any]) -> tuple[str, dict[str, str]] | None:
    """The name of the choice and its files by value; None for a config of the usual kind.

    Args:
        config: As read from its file.
    """
    for key, files in config.items():
        if key.endswith(ENDING) and isinstance(files, Mapping):
            return key.removesuffix(ENDING), {str(value): str(f) for value, f in files.items()}
    return None


def upper_bounds_in(config: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The values that are upper bounds and do not compete with the others, by the name of the choice.

    Args:
        config: As read from its file.

    Raises:
        ConfigError: If one is none of the choices.
    """
    found = files_in(config)
    if found is None:
        return {}
    name, files = found
    bounds = frozenset(map(str, config.get(f'{name}{BOUNDS}') or ()))
    _known(f'{name}{BOUNDS}', bounds, files)
    return {name: bounds} if bounds else {}


def variants_in(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Of which other value some are variants, by the name of the choice.

    Args:
        config: As read from its file, with ``method_variants = dict(arml=['arml_released'])``.

    Raises:
        ConfigError: If one is none of the choices, or its variants are no list.
    """
    found = files_in(config)
    if found is None:
        return {}
    name, files = found
    given = config.get(f'{name}{VARIANTS}') or {}
    for of, several in given.items():
        if isinstance(several, str) or not isinstance(several, Collection):
            raise ConfigError(
                f'{name}{VARIANTS}.{of}: found {several!r}, expected a list of values'
            )
    variants = {str(each): str(of) for of, several in given.items() for each in several}
    _known(f'{name}{VARIANTS}', {*variants, *variants.values()}, files)
    return {name: variants} if variants else {}


def _known(key: str, found: Collection[str], files: Mapping[str, str]) -> None:
    strange = sorted(set(found) - files.keys())
    if strange:
        raise ConfigError(f'{key}: found {", ".join(strange)}, expected some of {", ".join(files)}')


def take_file(config: Config, overrides: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """The file that a config of files stands for.

    A config with ``method_configs = dict(arml='arml_tiny_ebhi.py', oeem='oeem/oeem_tiny_ebhi.py')`` and
    ``method = 'arml'`` is the first of them; with the override ``method=oeem`` it is the second. Nothing of the
    choice is left in what is resolved, so a run is the same whichever way it was asked for. Beside them may stand
    ``method_upper_bounds`` and ``method_variants``, which are for reports.

    Args:
        config: As read from its file; of one that names files the default is taken out.
        overrides: Dotted paths and values, as the user gives them.

    Returns:
        The file, from the folder of ``config``, and the other overrides; None for a config of the usual kind.

    Raises:
        ConfigError: If the value is none of the choices, there is no default, or the config holds more.
    """
    found = files_in(config)
    if found is None:
        return None
    name, files = found
    upper_bounds_in(config)
    variants_in(config)
    known = (name, *(f'{name}{ending}' for ending in (ENDING, BOUNDS, VARIANTS)))
    more = [key for key in config if key not in known]
    if more or name not in config:
        raise ConfigError(
            f'config {config.filename}: a file with {name}{ENDING} holds these, {name}, the default, and perhaps '
            f'{name}{BOUNDS} and {name}{VARIANTS}, and nothing else; found {", ".join(more) or f"no {name}"}'
        )
    rest = dict(overrides)
    return Path(config.filename).parent / files[chosen_value(config, name, list(files), rest)], rest
