"""The ledger of a sweep: a line of JSON for each attempt at a cell that ended, written whole.

Between them stand lines of the status ``forgiven``: the failures of a run before it do not count any more.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from arml.atomic import unwritable, write_text
from arml.errors import DataError
from arml.report.result import newest_by_run

#: Status of a line that is no attempt: the failures of its run before it do not count.
FORGIVEN = 'forgiven'


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
        """The lines of all attempts, oldest first.

        Raises:
            DataError: If a line is no JSON object with ``run`` and ``status``; names it.
        """
        return [row for row in self._rows() if row['status'] != FORGIVEN]

    def _rows(self) -> list[dict[str, Any]]:
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

    def counted_failures(self) -> Counter[str]:
        """How often each run has failed since its failures were forgiven, if they were."""
        counted: Counter[str] = Counter()
        for row in self._rows():
            if row['status'] == FORGIVEN:
                counted.pop(row['run'], None)
            elif row['status'] == 'failed':
                counted[row['run']] += 1
        return counted

    def forgive(self, more: Callable[[str], dict[str, Any]] = lambda run: {}) -> list[str]:
        """Let the failures so far not count any more, those of finished cells apart; the runs.

        Args:
            more: What else their lines say, by run.

        Raises:
            ArmlError: If it cannot be written.
        """
        finished = self.finished()
        runs = [run for run in self.counted_failures() if run not in finished]
        for run in runs:
            self.add({**more(run), 'run': run, 'status': FORGIVEN})
        return runs

    def add(self, row: dict[str, Any]) -> None:
        """Add one line; the file is replaced whole, so that a kill leaves no half line.

        Raises:
            ArmlError: If it cannot be written.
        """
        self._add(row, lambda: True)

    def add_failed(self, row: dict[str, Any]) -> bool:
        """Add the line of a failed attempt, unless it has one: a process may be killed right after it wrote it.

        Args:
            row: With ``attempt``: which of the run's failures it is, counted from 1.

        Returns:
            Whether it was added.

        Raises:
            ArmlError: If it cannot be written.
        """
        return self._add(row, lambda: self.failures()[row['run']] < row['attempt'])

    def add_finished(self, row: dict[str, Any]) -> bool:
        """Add the line of a finished cell, unless another process has done so.

        Returns:
            Whether it was added.

        Raises:
            ArmlError: If it cannot be written.
        """
        return self._add(row, lambda: row['run'] not in self.finished())

    def _add(self, row: dict[str, Any], wanted: Callable[[], bool]) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f'{self.path}.lock'):
                if not wanted():
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
