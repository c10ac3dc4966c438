"""Become another program that ends with this process's parent: ``child.py PARENT PROGRAM ARGS``.

PARENT is its id; 0 where whoever writes the command cannot know it.

A killed parent cannot end its children. On Linux the kernel does it for us, and the wish outlives ``exec``;
elsewhere a child whose parent was killed goes on to its end.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process end with its parent; at once if that one is gone already.

    Args:
        parent: Its process id; 0 if it is not known.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent not in (0, os.getppid()):  # it died before we could ask
        os._exit(1)


if __name__ == '__main__':
    die_with(int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
