"""Sweep files in W&B's schema, read as grids."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import DictAction

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
        parameters: Values by dotted path, in the order of the file, as the program will read them.
        program: What runs a cell; takes the command line of ``tools/train.py``.
    """

    name: str
    config: Path
    parameters: dict[str, list[Any]]
    program: Path

    def combinations(self) -> list[dict[str, Any]]:
        """The full product. The seed varies fastest, so that neighbours share no classifier."""
        names = sorted(self.parameters, key=lambda name: name == SEED)
        values = (self.parameters[name] for name in names)
        return [dict(zip(names, row, strict=True)) for row in itertools.product(*values)]


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file.

    Args:
        path: YAML in W&B's schema with ``method: grid``, ``parameters`` (``values`` or ``value``
            each), a ``program`` and a ``command`` in which the config follows ``${program}``. Both
            paths count from the working directory, as for W&B; where not both are there, from the nearest
            folder above the sweep file that has them.

    Raises:
        ConfigError: If it is no such file, names a program or config that is not there, or has a value
            that the command line would change; names the key.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'sweep {path}: cannot be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'sweep {path}: is no YAML: {error}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'sweep {path}: found {type(content).__name__}, expected keys and values')
    unknown = sorted(map(str, content.keys() - KEYS))
    if unknown:
        raise ConfigError(
            f'sweep {path}: found the key {unknown[0]!r}, expected some of {", ".join(sorted(KEYS))}'
        )
    if content.get('method') != 'grid':
        raise ConfigError(f'sweep {path}: method: found {content.get("method")!r}, expected grid')
    parameters = content.get('parameters')
    if not isinstance(parameters, dict) or not parameters:
        raise ConfigError(f'sweep {path}: parameters: found none, expected dotted paths of leaves')
    name = str(content.get('name') or path.stem)
    if Path(name).name != name:
        raise ConfigError(
            f'sweep {path}: name: found {name!r}, expected the name of a folder without its path'
        )
    config, program = _config_of(content.get('command'), path), str(content.get('program'))
    root = _root_of(program, config, path)
    return Sweep(
        name=name,
        config=root / config,
        parameters={
            str(k): _values(v, f'sweep {path}: parameters.{k}') for k, v in parameters.items()
        },
        program=root / program,
    )


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
        found[key] = _as_read(text, f'{where}: {key}')
    return found


def _config_of(command: Any, path: Path) -> str:
    words = [str(word) for word in command] if isinstance(command, list) else []
    place = words.index('${program}') + 1 if '${program}' in words else len(words)
    config, *rest = words[place:] or ['']
    if rest[:1] == ['--resume']:
        rest = rest[1:]
    # Other words would reach the program under W&B, and nobody here.
    if not config.endswith('.py') or rest != ['--cfg-options', '${args_no_hyphens}']:
        raise ConfigError(
            f'sweep {path}: command: found {command!r}, expected [..., ${{program}}, the config, '
            '--resume, --cfg-options, ${args_no_hyphens}]'
        )
    return config


def _root_of(program: str, config: str, path: Path) -> Path:
    """The folder that the paths in a sweep file count from: one for both, never two source trees."""
    for folder in (Path.cwd(), *path.absolute().parents):
        if (folder / program).is_file() and (folder / config).is_file():
            return folder
    raise ConfigError(
        f'sweep {path}: found the program {program} and the config {config}, but neither the working '
        f'directory {Path.cwd()} nor a folder above the sweep file has both. Start the sweep where '
        'they are.'
    )


def _values(entry: Any, where: str) -> list[Any]:
    if isinstance(entry, dict) and set(entry) == {'value'}:
        given = [entry['value']]
    elif isinstance(entry, dict) and set(entry) == {'values'} and isinstance(entry['values'], list):
        given = entry['values']
    else:
        raise ConfigError(f'{where}: found {entry!r}, expected value: X or values: [X, Y]')
    if not given:
        raise ConfigError(f'{where}: found no value')
    values = [_as_read(value, where) for value in given]
    if len({repr(value) for value in values}) < len(values):
        raise ConfigError(f'{where}: found {given}, expected each value once')
    return values


def _as_read(value: Any, where: str) -> Any:
    """A value as it arrives behind ``--cfg-options``: YAML reads ``1e-3`` as a text, it is a number."""
    try:
        read = DictAction._parse_iterable(str(value))
    except AssertionError as error:
        raise ConfigError(f'{where}: {error}') from error
    if read != value and not (isinstance(value, str) and not isinstance(read, str)):
        raise ConfigError(
            f'{where}: found {value!r}, but a training would read {read!r}: the command line takes out '
            'spaces and quotes, and knows numbers, words, true, false, null and lists. For several '
            'settings at once give a config choices (configs/_base_/choices).'
        )
    return read
