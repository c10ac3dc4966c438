"""The ledger of a sweep: a line of JSON for each attempt at a cell that ended, written whole."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from filelock import FileLock

from arml.atomic import unwritable, write_text
from arml.errors import DataError
from arml.report.result import newest_by_run


class Ledger:
    """Lines of JSON that are only added to. Several processes may add at once.

    A last line without an end, as a copy that was broken off leaves it, does not count.

    Args:
        path: The file; made with the first line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._read: tuple[str, list[dict[str, Any]]] = ('', [])

    def rows(self) -> list[dict[str, Any]]:
        """All lines, oldest first.

        Raises:
            DataError: If a line is no JSON object with ``run`` and ``status``; names it.
        """
        text = self._text()
        before, rows = self._read
        if text == before:
            return list(rows)
        rows = []
        for number, line in enumerate(_whole_lines(text), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f'{self.path}, line {number}: is no JSON ({error})') from error
            if not isinstance(row, dict) or not row.keys() >= {'run', 'status'}:
                raise DataError(
                    f'{self.path}, line {number}: found {line[:60]!r}, expected a JSON object with run '
                    'and status, as tools/sweep.py writes it'
                )
            rows.append(row)
        self._read = text, rows
        return list(rows)

    def finished(self) -> dict[str, dict[str, Any]]:
        """The finished cells by the key of their run; of two lines the newer."""
        return {row['run']: row for row in self.rows() if row['status'] == 'finished'}

    def ended(self) -> dict[str, dict[str, Any]]:
        """The line of each cell of which nothing more comes: finished, else pruned."""
        pruned = {row['run']: row for row in self.rows() if row['status'] == 'pruned'}
        return {**pruned, **self.finished()}

    def statuses(self) -> dict[str, str]:
        """The status of each run that has a line: ``finished`` if one says so, else the newest."""
        return {run: row['status'] for run, row in newest_by_run(self.rows()).items()}

    def failures(self) -> Counter[str]:
        """How often each run has failed."""
        return Counter(row['run'] for row in self.rows() if row['status'] == 'failed')

    def add(self, row: dict[str, Any]) -> None:
        """Add one line; the file is replaced whole, so that a kill leaves no half line.

        Raises:
            ArmlError: If it cannot be written.
        """
        self._add(row, once=False)

    def add_finished(self, row: dict[str, Any]) -> bool:
        """Add the line of a finished cell, unless another process has done so.

        Returns:
            Whether it was added.

        Raises:
            ArmlError: If it cannot be written.
        """
        return self._add(row, once=True)

    def _add(self, row: dict[str, Any], once: bool) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f'{self.path}.lock'):
                if once and row['run'] in self.finished():
                    return False
                lines = [*_whole_lines(self._text()), json.dumps(row, sort_keys=True)]
                write_text(self.path, '\n'.join(lines) + '\n')
        except OSError as error:
            raise unwritable(self.path, error) from error
        return True

    def _text(self) -> str:
        # Opened without asking first: it is replaced by rename, and its state kept by a shared file system
        # may be of the file before.
        try:
            return self.path.read_text(encoding='utf-8', errors='replace')
        except (FileNotFoundError, NotADirectoryError):
            return ''


def _whole_lines(text: str) -> list[str]:
    """The lines, without a last one that is cut off."""
    *lines, last = text.split('\n')
    if last:
        try:
            json.loads(last)
        except ValueError:
            return lines
        return [*lines, last]
    return lines
