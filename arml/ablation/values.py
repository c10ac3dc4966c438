"""Values as a training reads them behind ``--cfg-options``."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import DictAction

from arml.errors import ConfigError


def as_read(value: Any) -> Any:
    """A value of a sweep file as it arrives in a training: YAML reads ``1e-3`` as a text, it is a number.

    Raises:
        ConfigError: If another value would arrive; without the place, which the caller knows.
    """
    try:
        read = DictAction._parse_iterable(str(value))
    except AssertionError as error:
        raise ConfigError(str(error)) from error
    if read != value and not (isinstance(value, str) and not isinstance(read, str)):
        raise ConfigError(
            f'found {value!r}, but a training would read {read!r}: the command line takes out '
            'spaces and quotes, and knows numbers, words, true, false, null and lists. For several '
            'settings at once give a config choices (configs/_base_/choices).'
        )
    return read


def as_options(values: Mapping[str, Any]) -> list[str]:
    """Values by dotted path as ``KEY=VALUE``, as they stand behind ``--cfg-options`` and in titles."""
    return [f'{name}={value}' for name, value in values.items()]


def read_options(options: Sequence[str], where: str = '--cfg-options') -> dict[str, Any]:
    """``KEY=VALUE`` as ``tools/train.py`` reads them.

    Args:
        options: The words behind ``--cfg-options``.
        where: What they stand in, for the message.

    Raises:
        ConfigError: If a word is no ``KEY=VALUE``, has unbalanced brackets, or has spaces or quotes, which
            the command line would take out.
    """
    found: dict[str, Any] = {}
    for option in options:
        key, sign, text = option.partition('=')
        if not sign or not key:
            raise ConfigError(f'{where}: found {option!r}, expected KEY=VALUE')
        try:
            found[key] = as_read(text)
        except ConfigError as error:
            raise ConfigError(f'{where}: {key}: {error}') from error
    return found
