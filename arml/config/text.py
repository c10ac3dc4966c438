"""A config as Python text, in the look of OpenMMLab's config files.

mmengine's own ``pretty_text`` has yapf lay it out, which takes a second or more, and each Runner asks for it three
times: most of the time of a short training.
"""

import keyword
from typing import Any

from mmengine.config import Config

#: Characters of a line.
WIDTH = 100
INDENT = 4


def config_text(config: Config) -> str:
    """The config as a file that gives the same one when it is read again."""
    return ''.join(
        f'{name} = {_text(value, len(name) + 3, 0)}\n' for name, value in config.to_dict().items()
    )


def unformatted(settings: Config | dict) -> Config:
    """A config that a Runner writes down as it is, a statement a line."""
    content = settings._cfg_dict if isinstance(settings, Config) else settings
    return Config(content, format_python_code=False)


def _text(value: Any, used: int, indent: int) -> str:
    """A value as Python text: in one line if it fits, else a line an item.

    Args:
        value: Plain values in dictionaries, lists and tuples.
        used: Characters that its first line has already.
        indent: Of that line.
    """
    flat = _flat(value)
    if used + len(flat) < WIDTH or not isinstance(value, dict | list | tuple) or not value:
        return flat
    opening, closing = _brackets(value)
    inner = indent + INDENT
    lines = []
    for name, item in _items(value):
        lines.append(f'{" " * inner}{name}{_text(item, inner + len(name), inner)},\n')
    return f'{opening}\n{"".join(lines)}{" " * indent}{closing}'


def _flat(value: Any) -> str:
    if not isinstance(value, dict | list | tuple):
        return repr(value)
    opening, closing = _brackets(value)
    parts = [name + _flat(item) for name, item in _items(value)]
    comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
    return f'{opening}{", ".join(parts)}{comma}{closing}'


def _items(value: dict | list | tuple) -> list[tuple[str, Any]]:
    """What stands before each item, and the item."""
    if not isinstance(value, dict):
        return [('', item) for item in value]
    if _names(value):
        return [(f'{name}=', item) for name, item in value.items()]
    return [(f'{name!r}: ', item) for name, item in value.items()]


def _brackets(value: dict | list | tuple) -> tuple[str, str]:
    if isinstance(value, dict):
        return ('dict(', ')') if _names(value) else ('{', '}')
    return ('[', ']') if isinstance(value, list) else ('(', ')')


def _names(value: dict) -> bool:
    """Whether all keys may be arguments of ``dict``."""
    return all(
        isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value
    )
