"""Which line of a run's own table is meant: by its name, or by what it is of."""

from collections.abc import Iterable, Mapping
from typing import Any

from arml.errors import DataError

#: What every method has, whatever its lines are called, by the stage that tests it.
ROLES = {'test': 'segmentor', 'cam_test': 'maps'}
#: What several methods may have in common, as they read one classifier.
MAPS = 'maps'
#: The lines of before their stage stood in them.
OLDER = {'ARML': 'segmentor', 'raw CAM': 'maps'}
#: The line that is read where none is asked for.
FINAL = 'segmentor'
#: The parameter that lines of several rows differ by.
RESULT = 'result'


def role_of(row: Mapping[str, Any]) -> str | None:
    """What a line of a run's table is of: ``segmentor``, ``maps``, or something that not every method has."""
    return ROLES.get(row['stage']) if 'stage' in row else OLDER.get(row['name'])


def find_row(rows: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """A line of a run's table.

    Args:
        rows: The lines, of ``result.json`` or a ledger.
        name: A line's name, or ``segmentor`` or ``maps``.

    Returns:
        None if there is none.
    """
    return next((row for row in rows if name in (row['name'], role_of(row))), None)


def row_of(rows: Iterable[Mapping[str, Any]], name: str, whose: str) -> Mapping[str, Any]:
    """A line of a run's table.

    Args:
        rows: As of :func:`find_row`.
        name: As of :func:`find_row`.
        whose: The run, for the message.

    Raises:
        DataError: If there is none; names those that there are.
    """
    rows = list(rows)
    found = find_row(rows, name)
    if found is None:
        names = ', '.join(row['name'] for row in rows)
        raise DataError(f'{whose}: has no row {name!r}; it has {names}. Name one of them: --row')
    return found
