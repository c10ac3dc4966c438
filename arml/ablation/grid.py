"""Sweep files in W&B's schema, read as grids."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from arml.errors import ConfigError

SEED = 'randomness.seed'
#: Keys of W&B's schema that a grid has; others would be read by nobody here.
KEYS = {'name', 'description', 'program', 'method', 'metric', 'parameters', 'command', 'project'}


@dataclass(frozen=True)
class Sweep:
    """A grid over leaves of one config.

    Attributes:
        name: Its name; that of the file where it has none.
        config: The config that it varies.
        parameters: Values by dotted path, in the order of the file.
    """

    name: str
    config: Path
    parameters: dict[str, list[Any]]

    def cells(self) -> list[dict[str, Any]]:
        """The full product. The seed varies fastest, so that neighbours share no classifier."""
        names = sorted(self.parameters, key=lambda name: name == SEED)
        values = (self.parameters[name] for name in names)
        return [dict(zip(names, row, strict=True)) for row in itertools.product(*values)]


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file.

    Args:
        path: YAML in W&B's schema with ``method: grid``, ``parameters`` (``values`` or ``value``
            each) and a ``command`` in which the config follows ``${program}``.

    Raises:
        ConfigError: If it is no such file; names the key.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'sweep {path}: cannot be read ({error.strerror})') from error
    except yaml.YAMLError as error:
        raise ConfigError(f'sweep {path}: is no YAML: {error}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'sweep {path}: found {type(content).__name__}, expected keys and values')
    unknown = sorted(content.keys() - KEYS)
    if unknown:
        raise ConfigError(
            f'sweep {path}: found the key {unknown[0]!r}, expected some of {", ".join(sorted(KEYS))}'
        )
    if content.get('method') != 'grid':
        raise ConfigError(f'sweep {path}: method: found {content.get("method")!r}, expected grid')
    parameters = content.get('parameters')
    if not isinstance(parameters, dict) or not parameters:
        raise ConfigError(f'sweep {path}: parameters: found none, expected dotted paths of leaves')
    return Sweep(
        name=str(content.get('name') or path.stem),
        config=_config_of(content.get('command'), path),
        parameters={
            str(k): _values(v, f'sweep {path}: parameters.{k}') for k, v in parameters.items()
        },
    )


def _config_of(command: Any, path: Path) -> Path:
    words = [str(word) for word in command or []]
    place = words.index('${program}') + 1 if '${program}' in words else len(words)
    if place >= len(words) or not words[place].endswith('.py'):
        raise ConfigError(
            f'sweep {path}: command: found {words}, expected ... ${{program}}, the config, '
            '--cfg-options, ${args_no_hyphens}'
        )
    return Path(words[place])


def _values(entry: Any, where: str) -> list[Any]:
    if isinstance(entry, dict) and set(entry) == {'value'}:
        values = [entry['value']]
    elif isinstance(entry, dict) and set(entry) == {'values'} and isinstance(entry['values'], list):
        values = entry['values']
    else:
        raise ConfigError(f'{where}: found {entry!r}, expected value: X or values: [X, Y]')
    if not values:
        raise ConfigError(f'{where}: found no value')
    if len({repr(value) for value in values}) < len(values):
        raise ConfigError(f'{where}: found {values}, expected each value once')
    return values
