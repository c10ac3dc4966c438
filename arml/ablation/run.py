"""Run the cells of a sweep that its ledger lacks, each as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from arml.ablation.cells import Cell
from arml.ablation.grid import SEED, Sweep
from arml.ablation.ledger import Ledger
from arml.atomic import unwritable
from arml.pipeline import messages
from arml.progress import duration

#: Lines of its log that a failed cell leaves in the ledger.
LAST_LINES = 20
#: What a finished cell's line takes over from its ``result.json``.
KEPT = ('seed', 'commit', 'versions', 'machine', 'threads', 'gpu', 'dataset', 'data', 'rows')
#: Seconds from asking a process to end to killing it.
GRACE = 10.0
#: Seconds until a process, or a cell that another sweep works on, is looked at again.
PAUSE = 0.2


def run_cells(
    sweep: Sweep,
    cells: Sequence[Cell],
    ledger: Ledger,
    folder: Path,
    workers: int = 1,
    attempts: int = 2,
    fixed: Sequence[str] = (),
    say: Callable[[str], None] = messages.say,
) -> list[Cell]:
    """Run what the ledger lacks; a cell that fails is tried again from its last checkpoint.

    Several calls may work on one sweep at once, also from several processes: a cell is run by one of
    them, the others take it from the ledger. Ctrl-C and SIGTERM end the running cells, which leave no
    line.

    Args:
        sweep: The grid.
        cells: Those of :func:`arml.ablation.cells_of`.
        ledger: Where results go.
        folder: Work dirs and logs of the cells.
        workers: Processes at a time; the machine's threads are shared among them unless
            ``OMP_NUM_THREADS`` is set.
        attempts: Tries of a cell in this call.
        fixed: As of :func:`arml.ablation.cells_of`.
        say: Takes each line of progress.

    Returns:
        The cells that failed.

    Raises:
        ArmlError: If the ledger or the folder cannot be written; running cells are ended.
    """
    done = ledger.finished()
    todo = [cell for cell in cells if cell.run not in done]
    say(f'{sweep.name}: {len(cells)} cells, {len(cells) - len(todo)} finished, {len(todo)} to run')
    work = _Work(sweep, todo, ledger, folder, workers, attempts, fixed, say)
    pool = ThreadPoolExecutor(workers)
    try:
        with _sigterm_is_an_exit():
            futures = [pool.submit(work.take_cells) for _ in range(min(workers, len(todo)))]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
    except (KeyboardInterrupt, SystemExit):
        say(f'{sweep.name}: stopped. The same command continues it.')
        raise
    finally:
        work.stop.set()
        pool.shutdown()
    return work.failed


def command_of(sweep: Sweep, cell: Cell, folder: Path, fixed: Sequence[str] = ()) -> list[str]:
    """The program and the arguments that run a cell, without the interpreter."""
    return [
        str(sweep.program), str(sweep.config), '--resume', '--work-dir', str(folder / cell.run),
        '--cfg-options', *cell.options, *fixed,
    ]  # fmt: skip


class _Work:
    """The cells of one call and what its workers share. Arguments as of :func:`run_cells`."""

    def __init__(
        self,
        sweep: Sweep,
        todo: Sequence[Cell],
        ledger: Ledger,
        folder: Path,
        workers: int,
        attempts: int,
        fixed: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        self.sweep, self.ledger, self.folder, self.fixed = sweep, ledger, folder, fixed
        self.attempts, self.say = attempts, say
        self.threads = max((os.cpu_count() or 1) // workers, 1)
        self.failed: list[Cell] = []
        self.stop = threading.Event()
        self._waiting, self._total, self._ended = deque(todo), len(todo), 0
        self._elsewhere: set[str] = set()
        self._lock, self._began = threading.Lock(), time.monotonic()

    def take_cells(self) -> None:
        """Run one cell after the other until none is left; what one worker does."""
        while not self.stop.is_set():
            try:
                cell = self._waiting.popleft()
            except IndexError:
                return
            work = self.folder / cell.run
            try:
                work.mkdir(parents=True, exist_ok=True)
                lock = FileLock(work / 'sweep.lock')
                lock.acquire(timeout=0)
            except Timeout:
                self._come_back(cell)
                continue
            except OSError as error:
                raise unwritable(work / 'sweep.lock', error) from error
            try:
                self._take(cell)
            finally:
                lock.release()

    def _come_back(self, cell: Cell) -> None:
        """Put a cell back that another sweep process works on."""
        if cell.run not in self._elsewhere:
            self._elsewhere.add(cell.run)
            self.say(f'{cell.run}: another process runs it: {cell.title}')
        self._waiting.append(cell)
        self.stop.wait(PAUSE)

    def _take(self, cell: Cell) -> None:
        """Run a cell whose lock is held, unless another process has finished it meanwhile."""
        row = self.ledger.finished().get(cell.run)
        if row is None:
            row = self._try(cell)
            if row is None:
                return
            self.ledger.add(row)
        with self._lock:
            self._ended += 1
            if row['status'] != 'finished':
                self.failed.append(cell)
            left = (time.monotonic() - self._began) / self._ended * (self._total - self._ended)
            self.say(
                f'[{self._ended}/{self._total}] {cell.run} {row["status"]}: {cell.title} '
                f'({duration(row["seconds"])}; about {duration(left)} left)'
            )

    def _try(self, cell: Cell) -> dict[str, Any] | None:
        """The line of a cell after its last try; None if it was stopped."""
        for left in reversed(range(self.attempts)):
            began = time.time()
            status = self._process(cell)
            row = _row(self.sweep, cell, self.fixed, self.folder / cell.run, status, began)
            if row['status'] == 'finished':
                return row
            if self.stop.is_set():
                return None
            if left:
                self.say(f'{cell.run} failed (exit {status}), is tried again: {cell.title}')
        return row

    def _process(self, cell: Cell) -> int:
        """Run a cell to its end, or to ours; its exit status."""
        command = command_of(self.sweep, cell, self.folder, self.fixed)
        bootstrap = str(Path(__file__).with_name('child.py'))
        with (self.folder / cell.run / 'log.txt').open('a', encoding='utf-8') as log:
            process = subprocess.Popen(
                [sys.executable, '-I', bootstrap, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={'OMP_NUM_THREADS': str(self.threads), **os.environ},
                start_new_session=True,  # Ctrl-C at the terminal is for us, who then end it
            )  # fmt: skip
            try:
                while process.poll() is None and not self.stop.wait(PAUSE):
                    pass
            finally:
                _end(process)
        return process.returncode


def _end(process: subprocess.Popen) -> None:
    """End a process and those that it started: ask, then kill."""
    for wish, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, wish)
            process.wait(patience)


def _row(
    sweep: Sweep, cell: Cell, fixed: Sequence[str], work: Path, status: int, began: float
) -> dict[str, Any]:
    """The line of the ledger of a process that ended."""
    row = {
        'sweep': sweep.name,
        'config': sweep.config.stem,
        'run': cell.run,
        'parameters': cell.parameters,
        'fixed': list(fixed),
        'seed': cell.parameters.get(SEED),
        'finished_at': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        'seconds': round(time.time() - began, 1),
    }
    log = (work / 'log.txt').read_text(encoding='utf-8', errors='replace').splitlines()
    if status == 0:
        found = _result(work / 'result.json')
        if found.get('run') == cell.run:
            return {**row, 'status': 'finished', **{key: found[key] for key in KEPT}}
        log.append(
            f'sweep: {work / "result.json"} is of the run {found.get("run")}, expected {cell.run}. '
            'Config, data or code were changed after the sweep was started; start it again.'
        )
    return {**row, 'status': 'failed', 'exit': status, 'log': log[-LAST_LINES:]}


def _result(file: Path) -> dict[str, Any]:
    """What a run left as its result; empty if nothing."""
    return json.loads(file.read_text(encoding='utf-8')) if file.is_file() else {}


@contextlib.contextmanager
def _sigterm_is_an_exit() -> Iterator[None]:
    """Have SIGTERM raise as Ctrl-C does, where it can: only the main thread takes signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
