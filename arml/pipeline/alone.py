"""One process at a time in a work dir: two would write one result and one log."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from arml.atomic import unwritable

#: In a work dir; the operating system lets go of it when its holder dies.
LOCK = 'run.lock'


@contextlib.contextmanager
def alone_in(folder: Path, say: Callable[[str], None]) -> Iterator[bool]:
    """Hold the lock of a work dir; say so if another process has it, and wait for that one.

    Args:
        folder: The work dir; made if missing.
        say: Takes the message.

    Yields:
        Whether another process had it, whose products may be there now.

    Raises:
        ArmlError: If it cannot be written to.
    """
    waited = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waited = True
            say(f'work dir {folder}: another process runs in it; waiting for that one')
            lock.acquire()
    except OSError as error:
        raise unwritable(folder / LOCK, error) from error
    try:
        yield waited
    finally:
        lock.release()
