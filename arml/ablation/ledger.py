"""The ledger of a sweep: one line of JSON a finished cell, written whole."""

import json
from pathlib import Path
from typing import Any

from filelock import FileLock

from arml.atomic import write_text
from arml.errors import DataError


class Ledger:
    """Lines of JSON that are only added to. Several processes may add at once.

    Args:
        path: The file; made with the first line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def rows(self) -> list[dict[str, Any]]:
        """All lines, oldest first.

        Raises:
            DataError: If a line is no JSON object; names it.
        """
        if not self.path.is_file():
            return []
        rows = []
        for number, line in enumerate(self.path.read_text(encoding='utf-8').splitlines(), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f'{self.path}, line {number}: is no JSON ({error})') from error
            if not isinstance(row, dict):
                raise DataError(f'{self.path}, line {number}: found no JSON object')
            rows.append(row)
        return rows

    def finished(self) -> dict[str, dict[str, Any]]:
        """The finished cells by the key of their run; of two lines the newer."""
        return {row['run']: row for row in self.rows() if row.get('status') == 'finished'}

    def add(self, row: dict[str, Any]) -> None:
        """Add one line; the file is replaced whole, so that a kill leaves no half line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{self.path}.lock'):
            before = self.path.read_text(encoding='utf-8') if self.path.is_file() else ''
            write_text(self.path, before + json.dumps(row, sort_keys=True) + '\n')
