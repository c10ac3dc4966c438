"""How a process takes SIGTERM, which schedulers and other processes send."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

#: Seconds after a first SIGTERM in which another is taken for the same wish.
SAME_WISH = 10


@contextlib.contextmanager
def sigterm_is_an_exit() -> Iterator[None]:
    """Have SIGTERM raise as Ctrl-C does, so that locks are let go, processes ended, and trackers note the end.

    Only the main thread takes signals; elsewhere nothing is changed. Also a decorator.

    Raises:
        SystemExit: On SIGTERM, with the status that a shell gives it, 143.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own, first = os.getpid(), None

    def leave(number: int, frame: object) -> None:
        nonlocal first
        if os.getpid() != own:  # a process that loads data, forked with this handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        # One soon after the first, as from Slurm and from a worker, must not cut the end short.
        elif first is None or time.monotonic() > first + SAME_WISH:
            first = time.monotonic()
            sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
