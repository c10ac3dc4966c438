"""How far a sweep is: lines for what happens and, at a terminal, one line that is kept up to date."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from arml.pipeline import messages
from arml.progress import duration


@dataclass(frozen=True)
class Standing:
    """How far a sweep is, whoever works on it.

    Attributes:
        finished, pruned, failed, running: Cells; a failed one has no try left.
        total: Cells in all; None for a search without an end.
        best: Title and value of the best cell so far, as its sweep file judges.
    """

    finished: int
    failed: int
    running: int
    pruned: int = 0
    total: int | None = None
    best: tuple[str, float] | None = None

    @property
    def ended(self) -> int:
        """Cells of which nothing more comes."""
        return self.finished + self.pruned + self.failed

    def line(self, left: float | None = None) -> str:
        """In one line.

        Args:
            left: Seconds until the end; None if nobody knows.
        """
        of = '' if self.total is None else f'/{self.total}'
        parts = [f'{self.ended}{of} cells', f'{self.finished} finished', f'{self.running} running']
        parts += [f'{self.pruned} pruned'] if self.pruned else []
        parts += [f'{self.failed} failed'] if self.failed else []
        if left:
            parts.append(f'about {duration(left)} left')
        if self.best is not None:
            parts.append(f'best {self.best[1]:.2f} ({self.best[0]})')
        return ', '.join(parts)


class View:
    """What is shown of a running sweep.

    Args:
        name: Of the sweep.
        say: Takes lines for good; None: standard error.
        terminal: Where the line is kept; None: standard error, if it is a terminal.
    """

    def __init__(
        self,
        name: str,
        say: Callable[[str], None] | None = None,
        terminal: TextIO | None = None,
    ) -> None:
        if terminal is None and say is None and sys.stderr.isatty():
            terminal = sys.stderr
        self._name, self._say, self._terminal = name, say or messages.say, terminal
        self._lock = threading.Lock()
        self._line = ''
        self._began, self._first = time.monotonic(), None

    @property
    def live(self) -> bool:
        """Whether there is a terminal to keep a line at."""
        return self._terminal is not None

    def say(self, text: str) -> None:
        """Show a line for good, above the one that is kept."""
        with self._lock:
            self._clear()
            self._say(text)
            self._draw()

    def update(self, standing: Standing) -> None:
        """Renew the line that is kept."""
        with self._lock:
            self._clear()
            self._line = f'{self._name}: {standing.line(self.left(standing))}'
            self._draw()

    def left(self, standing: Standing) -> float | None:
        """Seconds until the end if the other cells take as long as those that ended since the start."""
        if self._first is None:
            self._first = standing.ended
        done = standing.ended - self._first
        if standing.total is None or done < 1:
            return None
        return (time.monotonic() - self._began) / done * (standing.total - standing.ended)

    def close(self) -> None:
        """Take the kept line away."""
        with self._lock:
            self._clear()
            self._line = ''

    def _clear(self) -> None:
        if self._terminal is not None and self._line:
            self._terminal.write('\r\x1b[K')
            self._terminal.flush()

    def _draw(self) -> None:
        if self._terminal is not None and self._line:
            width = columns_of(self._terminal)
            self._terminal.write(self._line[: width - 1])
            self._terminal.flush()


def columns_of(terminal: TextIO) -> int:
    """Width of a terminal in characters; 80 where it does not say."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
