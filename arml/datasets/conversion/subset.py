"""Lists of tiles."""

import csv
from pathlib import Path

from arml.errors import DataError


def read_subset(path: str | Path) -> list[dict[str, str]]:
    """Read a list of tiles: a CSV file with a column ``file``, or one name a line.

    Blank lines and lines that begin with ``#`` are left out.

    Returns:
        One dict a tile with at least ``file``.

    Raises:
        DataError: If the file cannot be read, is empty, names a tile twice, or a row is short.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path}: cannot be read as a list of tiles ({error})') from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith('#')]
    if not lines:
        raise DataError(f'{path}: an empty list; expected one tile a line')
    if 'file' in (header := next(csv.reader(lines[:1]))):
        rows = list(csv.DictReader(lines))
        for number, row in enumerate(rows, start=1):
            if None in row or None in row.values():
                raise DataError(
                    f'{path}: row {number} has another number of fields than the header '
                    f'({len(header)})'
                )
    else:
        rows = [{'file': line.strip()} for line in lines]
    seen: set[str] = set()
    for row in rows:
        if row['file'] in seen:
            raise DataError(f'{path}: names {row["file"]} twice; expected each tile once')
        seen.add(row['file'])
    return rows
