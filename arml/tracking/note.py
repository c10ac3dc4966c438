"""What a work dir remembers of its trackers, so that a resumed training goes on where it was followed."""

import json
from pathlib import Path
from typing import Any

from arml.atomic import write_json

FILE = 'tracking.json'


class Note:
    """The part of ``tracking.json`` that is about one tracker and one run.

    Args:
        folder: The work dir.
        run: Key of the run; what an older run left there does not count.
        tracker: Name of the tracker.
    """

    def __init__(self, folder: Path, run: str, tracker: str) -> None:
        self.file, self.run, self.tracker = folder / FILE, run, tracker

    def read(self) -> dict[str, Any]:
        """What is known; empty at the first time."""
        return dict(self._all().get(self.tracker) or {})

    def update(self, **values: Any) -> None:
        """Change some of it."""
        whole = self._all()
        whole[self.tracker] = {**(whole.get(self.tracker) or {}), **values}
        write_json(self.file, {**whole, 'run': self.run})

    def _all(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and found.get('run') == self.run else {}
