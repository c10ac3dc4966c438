"""Progress with the time left, on stderr."""

import sys
import time
from typing import TextIO


class Progress:
    """Print ``label done/total, time left``, at most once every ``interval`` seconds.

    On a terminal the line is overwritten; in a log file a line is written every tenth of the
    way at most.

    Args:
        label: What is being done.
        interval: Seconds between two lines.
        stream: Where to write; None is stderr.
    """

    def __init__(self, label: str, interval: float = 1.0, stream: TextIO | None = None) -> None:
        self.label = label
        self.interval = interval
        self.stream = sys.stderr if stream is None else stream
        self.start = self.last = time.monotonic()
        self.tenth = 0

    def at(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts are finished."""
        now = time.monotonic()
        terminal = self.stream.isatty()
        tenth = 10 * done // max(total, 1)
        if done < total and (
            now - self.last < self.interval or not (terminal or tenth > self.tenth)
        ):
            return
        if done >= total and now - self.start < self.interval:
            return  # too quick to be worth a line
        self.last, self.tenth = now, tenth
        left = (now - self.start) / max(done, 1) * (total - done)
        text = f'{self.label} {done}/{total}, {format_seconds(left)} left'
        end = '\n' if done >= total or not terminal else ''
        self.stream.write(('\r\033[K' if terminal else '') + text + end)
        self.stream.flush()


def format_seconds(seconds: float) -> str:
    """Write a duration: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = round(seconds)
    if seconds < 60:
        return f'{seconds} s'
    if seconds < 3600:
        return f'{seconds // 60} min {seconds % 60} s'
    return f'{seconds // 3600} h {seconds % 3600 // 60} min'
