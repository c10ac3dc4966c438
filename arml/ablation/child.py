"""Become another program that ends with this process's parent: ``child.py PARENT PROGRAM ARGS``.

A killed parent cannot end its children. On Linux the kernel does it for us, and the wish outlives ``exec``;
elsewhere a child whose parent was killed goes on to its end.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == '__main__':
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):  # it died before we could ask
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
