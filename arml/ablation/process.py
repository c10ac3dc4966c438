"""A cell as a process of its own: started, watched and, if need be, ended."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from arml.ablation.cells import Cell
from arml.ablation.sweep_file import Sweep
from arml.errors import ArmlError
from arml.tracking.names import listed

#: Seconds from asking a process to end to killing it.
GRACE = 10.0
#: Seconds until a process, or a cell that another worker has, is looked at again.
PAUSE = 0.2
#: Held by the worker that has a cell, in the cell's work dir.
LOCK = 'sweep.lock'
#: Output of the processes of a cell, in its work dir; what each attempt says is added.
LOG = 'log.txt'
#: Program that becomes another one which dies with its parent.
BOOTSTRAP = str(Path(__file__).with_name('child.py'))


class Started(Protocol):
    """A process that leads a session of its own, as :class:`subprocess.Popen` has it."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""


def command_of(
    sweep: Sweep, cell: Cell, folder: Path | None, fixed: Sequence[str] = ()
) -> list[str]:
    """The program and the arguments that run a cell, without the interpreter.

    Args:
        sweep: The sweep file.
        cell: One of its cells.
        folder: Where the work dirs of its cells lie; None: where the training puts them by itself.
        fixed: Further ``KEY=VALUE`` for all cells.
    """
    place = [] if folder is None else ['--work-dir', str(folder / cell.run)]
    return [
        str(sweep.program), str(sweep.config), '--resume', *place, '--cfg-options', *cell.options, *fixed,
    ]  # fmt: skip


def environment_of(
    sweep: Sweep, cell: Cell, threads: int, gpu: str | None = None
) -> dict[str, str]:
    """The environment of a cell's process.

    Trackers learn of the sweep by W&B's own variables; ``OMP_NUM_THREADS`` is left as it is where it is set.

    Args:
        sweep: The sweep file.
        cell: One of its cells.
        threads: Threads for this process, >= 1.
        gpu: What ``CUDA_VISIBLE_DEVICES`` is set to; None leaves it.
    """
    found = {
        'OMP_NUM_THREADS': str(threads),
        **os.environ,
        'WANDB_RUN_GROUP': sweep.name,
        'WANDB_NAME': cell.title,
        'WANDB_RUN_ID': cell.run,
        'WANDB_RESUME': 'allow',
    }
    found.update(tags_of(sweep))
    if gpu is not None:
        found['CUDA_VISIBLE_DEVICES'] = gpu
    return found


def tags_of(sweep: Sweep) -> dict[str, str]:
    """W&B's variable for the tags of a run: those of the sweep and what it was set to before, if any."""
    tags = dict.fromkeys([*sweep.tags, *listed(os.environ.get('WANDB_TAGS'))])
    return {'WANDB_TAGS': ','.join(tags)} if tags else {}


def threads_of(workers: int) -> int:
    """Threads of each of some workers that share this machine; at least 1."""
    return max(cpus() // workers, 1)


def cpus() -> int:
    """Processors that this process may use, which on a cluster are fewer than the machine has."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_process(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    stop: threading.Event,
    look: Callable[[], bool] | None = None,
    start: Callable[..., Started] | None = None,
) -> int:
    """Run a Python program to its end, or to ours.

    It dies with this process (on Linux also where this one is killed), and Ctrl-C at the terminal does not
    reach it: whoever started it ends it.

    Args:
        command: Program and arguments, without the interpreter.
        log: File that its output is added to.
        environment: All its environment variables.
        stop: Ends the process when set.
        look: Called every ``PAUSE`` seconds; ends the process when true.
        start: Starts it; None: :func:`start_fresh`.

    Returns:
        Its exit status; negative for the signal that ended it.
    """
    process = (start or start_fresh)(command, log, environment)
    try:
        while process.poll() is None and not stop.wait(PAUSE):
            if look is not None and look():
                break
    finally:
        end(process)
    return process.returncode


def start_fresh(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> subprocess.Popen:
    """Start a Python program in a new interpreter. Arguments as of :func:`run_process`."""
    with log.open('a', encoding='utf-8') as output:
        return subprocess.Popen(
            [sys.executable, '-I', BOOTSTRAP, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=dict(environment), start_new_session=True,
        )  # fmt: skip


def end(process: Started) -> None:
    """End a process and those that it started: ask, then kill."""
    for wish, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, wish)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def is_running(work: Path, lock: str = LOCK) -> bool:
    """Whether a worker has the cell of this work dir; it may be somebody else's, that we may only read.

    Args:
        work: The work dir.
        lock: Name of another lock in it that is asked for instead.

    Raises:
        ArmlError: If we may not even read its lock.
    """
    import fcntl  # a shared lock needs no right to write, which a FileLock asks for

    try:
        file = os.open(work / lock, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise ArmlError(
            f'{work / lock}: cannot be read ({error.strerror}), so nobody can say whether the cell runs. Ask '
            'its owner to let you read the folder.'
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return True
    finally:
        os.close(file)
    return False


def running_cells(folder: Path) -> set[str]:
    """The runs that a worker has in hand, by their locks."""
    return {work.name for work in folder.glob('*/') if is_running(work)}


def last_lines(file: Path, count: int) -> list[str]:
    """The end of a log; empty if there is none."""
    if not file.is_file():
        return []
    return file.read_text(encoding='utf-8', errors='replace').splitlines()[-count:]


def mark_attempt(work: Path, attempt: int, host: str) -> None:
    """Write a line into a cell's log that says which attempt follows."""
    with (work / LOG).open('a', encoding='utf-8') as log:
        log.write(f'--- attempt {attempt}, {time.strftime("%Y-%m-%d %H:%M:%S")}, on {host}\n')
