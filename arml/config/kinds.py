"""What kind of value a leaf takes: as the constructor that reads it says, else as the value it has."""

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

from arml.config.overrides import find_class
from arml.config.sections import get_leaf
from arml.errors import ConfigError

#: Names of kinds, as messages say them.
WORDS = {
    bool: 'True or False', int: 'a whole number', float: 'a number', str: 'a word',
    list: 'a list', dict: 'a dictionary', type(None): 'None',
}  # fmt: skip


def check_kind(config: Mapping[str, Any], path: str, value: Any) -> None:
    """Refuse a value of another kind than its leaf takes. What cannot be known is accepted.

    Args:
        config: A config or a section.
        path: Dotted path of a leaf or of an argument that the config leaves out.
        value: What the leaf is to be set to, from a command line: plain.

    Raises:
        ConfigError: Names the leaf, what was found and what was expected.
    """
    parent, _, leaf = path.rpartition('.')
    node: Any = get_leaf(config, parent) if parent else config
    current = node.get(leaf) if isinstance(node, Mapping) else None
    if isinstance(current, Mapping):
        return  # a group: its leaves are checked where they are read
    accepted = _annotated(node, leaf)
    if accepted is None and current is None:
        return
    if accepted is None:  # an int is often written where any number will do
        accepted = {float if type(current) is int else _kind(current), type(None)}
    elif current is not None:  # an annotation may be too narrow
        accepted |= {_kind(current)}
    if float in accepted:
        accepted |= {int}
    if _kind(value) not in accepted:
        said = [word for kind, word in WORDS.items() if kind in accepted]
        if float in accepted:
            said.remove(WORDS[int])
        raise ConfigError(f'{path}: found {value!r}, expected {" or ".join(said)}')


def _kind(value: Any) -> type:
    """The kind of a plain value; ``bool`` is not ``int`` here."""
    return list if isinstance(value, tuple) else dict if isinstance(value, Mapping) else type(value)


def _annotated(node: Any, leaf: str) -> set[type] | None:
    """The kinds that the constructor's annotation names; None if it says nothing of plain values."""
    if not isinstance(node, Mapping):
        return None
    kind = node.get('type')
    cls = find_class(kind) if isinstance(kind, str) else None
    for base in inspect.getmro(cls) if inspect.isclass(cls) else ():
        init = vars(base).get('__init__')
        if init is None or leaf not in getattr(init, '__annotations__', {}):
            continue
        try:
            return kinds_of(typing.get_type_hints(init)[leaf])
        except (NameError, TypeError, AttributeError):  # of names that only type checkers import
            return None
    return None


def kinds_of(hint: Any) -> set[type] | None:
    """The kinds of plain values that a type hint names; None if it leaves that open.

    Args:
        hint: A resolved annotation.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [kinds_of(part) for part in typing.get_args(hint)]
        if any(part is None for part in parts):
            return None
        return set().union(*parts)
    if origin is typing.Literal:
        return {type(value) for value in typing.get_args(hint)}
    cls = origin or hint
    if cls in WORDS:
        return {cls}
    if not inspect.isclass(cls) or cls is object:
        return None
    if issubclass(cls, Mapping):
        return {dict}
    if cls in (tuple, set, frozenset) or issubclass(list, cls):  # Sequence, Iterable, ...
        return {list}
    return None
