"""Progress of long work: done, total, time left, to standard error."""

import sys
import time


class Progress:
    """Say how far a piece of work is, at most every few seconds and at its end.

    Args:
        what: Name of the work.
        total: Number of items.
        done: Items that were there before; they do not count for the speed.
        every: Seconds between two lines.
    """

    def __init__(self, what: str, total: int, done: int = 0, every: float = 5.0) -> None:
        self.what, self.total, self.done, self.every = what, total, done, every
        self._had = done
        self._start = self._said = time.monotonic()

    def add(self, count: int = 1) -> None:
        """Count finished items."""
        self.done += count
        now = time.monotonic()
        if now - self._said >= self.every or self.done >= self.total:
            self._said = now
            elapsed = now - self._start
            speed = (self.done - self._had) / max(elapsed, 1e-9)
            left = (self.total - self.done) / speed if speed > 0 else float('inf')
            sys.stderr.write(
                f'{self.what}: {self.done}/{self.total}, {_pace(speed)}, '
                f'{duration(left) if self.done < self.total else duration(elapsed)} '
                f'{"left" if self.done < self.total else "taken"}\n'
            )
            sys.stderr.flush()


def _pace(speed: float) -> str:
    """Items a second; of slow ones, the time of each."""
    return f'{speed:.1f} a second' if speed >= 1 or speed <= 0 else f'{duration(1 / speed)} each'


def duration(seconds: float) -> str:
    """Seconds as ``1 h 02 min``, ``3 min 20 s`` or ``4.2 s``."""
    if seconds == float('inf'):
        return 'unknown time'
    if seconds >= 3600:
        return f'{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min'
    if seconds >= 60:
        return f'{int(seconds // 60)} min {int(seconds % 60):02d} s'
    return f'{seconds:.1f} s'
