"""Peak memory of a work over what it starts from, measured in a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import resource
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from arml.benchmark.harness import MB, Harness, synchronise
from arml.engine.allocator import keep_freed_memory
from arml.errors import ArmlError

#: Imported once where children are forked from.
PRELOAD = 'arml.benchmark.child'

Prepare = Callable[..., Callable[[], object]]


def extra_memory(prepare: Prepare, harness: Harness, *arguments: Any) -> list[float]:
    """Peak memory of a work over what was there when it started, in MB, one value a repetition.

    On a CPU: a fresh process prepares, notes its resident memory, and works; its peak of resident
    memory (``VmHWM``) tells. On a GPU: the peak of what torch allocated, in this process.

    Args:
        prepare: A function of a module, called with ``arguments`` and the keyword ``device``. It
            makes all that does not count, and returns the work.
        harness: Device, threads, seed and number of repetitions.
        *arguments: Plain values.

    Raises:
        ArmlError: If the process was killed, as it is for want of memory.
    """
    if harness.device.type == 'cuda':
        return [_on_gpu(prepare, harness, arguments) for _ in range(harness.memory_repeats)]
    return [_in_child(prepare, harness, arguments) for _ in range(harness.memory_repeats)]


def _on_gpu(prepare: Prepare, harness: Harness, arguments: tuple) -> float:
    torch.manual_seed(harness.seed)
    work = prepare(*arguments, device=harness.device)
    synchronise(harness.device)
    before = torch.cuda.memory_allocated(harness.device)
    torch.cuda.reset_peak_memory_stats(harness.device)
    work()
    synchronise(harness.device)
    return (torch.cuda.max_memory_allocated(harness.device) - before) / MB


def _in_child(prepare: Prepare, harness: Harness, arguments: tuple) -> float:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('forkserver' if 'forkserver' in methods else 'spawn')
    if 'forkserver' in methods:
        context.set_forkserver_preload([PRELOAD])
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(measure_here, prepare, harness, arguments).result()
    except BrokenProcessPool as error:
        raise ArmlError(
            'the process that measures memory ended without an answer. If it says nothing above, it '
            'was killed, most likely for want of memory: take a smaller --batch or --size.'
        ) from error


def measure_here(prepare: Prepare, harness: Harness, arguments: tuple) -> float:
    """What :func:`extra_memory` does in the fresh process; returns MB."""
    import arml.benchmark.child  # noqa: F401 - done already where processes are forked

    warnings.simplefilter('ignore')
    torch.set_num_threads(harness.threads or torch.get_num_threads())
    torch.manual_seed(harness.seed)
    keep_freed_memory()
    work = prepare(*arguments, device=harness.device)
    give_back_free_memory()
    before = resident('VmRSS')
    forget_peak()
    kept = work()
    peak = resident('VmHWM')
    del kept
    return max(peak - before, 0) / MB


def give_back_free_memory() -> None:
    """Hand what the C library keeps for later back to the system, where it can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> None:
    """Let the peak of resident memory start from now, where the system can."""
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')


def resident(field: str) -> int:
    """Bytes of ``VmRSS`` (now) or ``VmHWM`` (peak); without /proc the peak for both."""
    status = Path('/proc/self/status')
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith(f'{field}:'):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024
