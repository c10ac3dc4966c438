"""Which line of a run's own table is meant: by its name, or by what it is of."""

from collections.abc import Iterable, Mapping
from typing import Any

from arml.errors import DataError

#: What every method has, whatever its lines are called: the last test, and the test of its maps. By the name of the
#: stage and, for results of older versions, that of the line.
ROLES = {'segmentor': ('test', 'ARML'), 'maps': ('cam_test', 'raw CAM')}
#: The line that is read where none is asked for.
FINAL = 'segmentor'
#: The parameter that lines of several rows differ by.
RESULT = 'result'


def find_row(rows: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """A line of a run's table.

    Args:
        rows: The lines, of ``result.json`` or a ledger.
        name: A line's name, or ``segmentor`` or ``maps``.

    Returns:
        None if there is none.
    """
    stage, older = ROLES.get(name, (None, None))
    for row in rows:
        named = row['name'] == name
        if named or (stage and row.get('stage', stage if row['name'] == older else '') == stage):
            return row
    return None


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
