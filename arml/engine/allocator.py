"""The C library's allocator, told what a training on a CPU is: the same large blocks in every step."""

import contextlib
import ctypes
import os
import sys

#: Parameters of glibc's ``mallopt``.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
#: Bytes that are asked of the system beyond what is needed.
PAD = 64 * 2**20
#: Set to anything: the allocator is left as it is.
OFF = 'ARML_DEFAULT_MALLOC'


def keep_freed_memory() -> bool:
    """Have freed memory kept for the next step instead of given back to the system.

    By default every large tensor is mapped anew, page by page and filled with zeros, in every step. No
    number changes. The process stays as large as it once was, so this is for trainings.

    Returns:
        Whether it was done: it is not without glibc, nor with ``ARML_DEFAULT_MALLOC`` in the environment.
    """
    if not sys.platform.startswith('linux') or os.environ.get(OFF):
        return False
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - other C libraries have no such function
        wishes = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, PAD))
        return all(library.mallopt(parameter, value) == 1 for parameter, value in wishes)
    return False
