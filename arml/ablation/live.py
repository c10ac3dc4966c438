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

#: Characters of a line that its beginning, the sweep's name, keeps before the title of the best gives way, too.
SHORT = 12


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

    def facts(self, left: float | None = None) -> str:
        """In one line, all but the title of the best.

        Args:
            left: Seconds until the end; None if nobody knows.
        """
        of = '' if self.total is None else f'/{self.total}'
        parts = [f'{self.finished}{of} finished', f'{self.running} running']
        parts += [f'{self.pruned} pruned'] if self.pruned else []
        parts += [f'{self.failed} failed'] if self.failed else []
        parts += [f'~{duration(left)} left'] if left else []
        parts += [f'best {self.best[1]:.2f}'] if self.best is not None else []
        return ', '.join(parts)


def line_of(name: str, standing: Standing, left: float | None, width: int) -> str:
    """How far a sweep is, in one line: where it is too long, the name gives way first, then the title of the best.

    Args:
        name: Of the sweep.
        standing: Its state.
        left: Seconds until the end; None if nobody knows.
        width: Characters that there are.
    """
    facts = standing.facts(left)
    title = standing.best[0] if standing.best is not None else ''
    room = width - len(facts)
    around = len(' ()') if title else 0
    name = shortened(f'{name}: ', max(room - around - len(title), min(room, SHORT)), ': ')
    title = shortened(title, room - len(name) - around)
    return f'{name}{facts}{f" ({title})" if title else ""}'[:width]


def shortened(text: str, room: int, end: str = '') -> str:
    """A text, or its beginning and its end with an ellipsis between; nothing where there is no room for that."""
    if len(text) <= room:
        return text
    kept = room - len(end) - 1
    return f'{text[:kept]}…{end}' if kept > 0 else ''


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
        self._shown: tuple[Standing, float | None] | None = None
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
            self._shown = standing, self.left(standing)
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
            self._shown = None

    def _clear(self) -> None:
        if self._terminal is not None and self._shown is not None:
            self._terminal.write('\r\x1b[K')
            self._terminal.flush()

    def _draw(self) -> None:
        if self._terminal is not None and self._shown is not None:
            width = columns_of(self._terminal) - 1
            self._terminal.write(line_of(self._name, *self._shown, width))
            self._terminal.flush()


def columns_of(terminal: TextIO) -> int:
    """Width of a terminal in characters; 80 where it does not say."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
