"""Reading ``result.json`` and the histories beside it."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from arml.errors import DataError

#: Scores of one row that stand beside the per-class ones, in the order of a table.
MEANS = ('mIoU', 'mDice', 'ACC')


def load_result(path: str | os.PathLike) -> dict[str, Any]:
    """Read and check the ``result.json`` of a finished run.

    Args:
        path: The file, or the work dir that holds it.

    Returns:
        Its content.

    Raises:
        DataError: If the file is missing, is not JSON, or lacks what a report needs.
    """
    path = Path(path)
    path = path / 'result.json' if path.is_dir() else path
    if not path.is_file():
        raise DataError(
            f'{path}: no such file. A run writes it at its very end; give the work dir of a '
            'finished run, or finish this one with --resume.'
        )
    try:
        result = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise DataError(f'{path}: is not JSON ({error}); run tools/train.py again') from error
    check_result(result, str(path))
    return result


def check_result(result: Any, name: str = 'result') -> None:
    """Check that a result has what a report reads.

    Raises:
        DataError: If a field is missing or of another type; names the field.
    """
    if not isinstance(result, Mapping):
        raise DataError(f'{name}: expected a mapping, found {type(result).__name__}')
    for field, kind in (('classes', list), ('rows', list)):
        if not isinstance(result.get(field), kind) or not result[field]:
            raise DataError(
                f'{name}: field "{field}" is {result.get(field)!r}, expected a {kind.__name__} '
                'with at least one entry'
            )
    for index, row in enumerate(result['rows']):
        for field, kind in (('name', str), ('metrics', Mapping)):
            if not isinstance(row, Mapping) or not isinstance(row.get(field), kind):
                raise DataError(f'{name}: rows[{index}] has no "{field}"')


def load_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Read a metrics history, one JSON object a line.

    A last line without an end, as a killed process leaves it, is not part of the history.

    Raises:
        DataError: If the file is missing or a whole line is not a JSON object.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path}: no such history; train.py writes one per trained stage')
    rows = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(True), start=1):
        if not line.endswith('\n'):
            break
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f'{path}: line {number} is not JSON ({error})') from error
        if not isinstance(row, dict):
            raise DataError(f'{path}: line {number} is {type(row).__name__}, expected an object')
        rows.append(row)
    return rows


def newest_by_run(lines: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The line of a ledger that counts for each run: the newest finished one, else the newest.

    Args:
        lines: All lines, oldest first.

    Returns:
        By key of the run, in the order of their first lines.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        older = found.get(line['run'])
        if line['status'] == 'finished' or older is None or older['status'] != 'finished':
            found[line['run']] = line
    return found
