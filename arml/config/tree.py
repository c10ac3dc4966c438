"""A config as a tree of dictionaries and lists."""

from collections.abc import Iterator
from typing import Any


def nodes(root: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """A node and all below it, inner ones included, each with its dotted path; parents come first.

    Args:
        root: Dictionaries, lists and tuples are gone into.
        path: Path of ``root``.
    """
    yield path, root
    if isinstance(root, dict):
        items = list(root.items())
    else:
        items = list(enumerate(root)) if isinstance(root, list | tuple) else []
    for key, value in items:
        yield from nodes(value, f'{path}.{key}' if path else str(key))
