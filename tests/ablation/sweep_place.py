"""Sweeps of the stub program, run in this process and in others; what they leave, and who is alive."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import doom

from arml.ablation import Cell, Ledger, Sweep, queue, worker
from arml.ablation.live import View
from arml.ablation.queue import Work
from arml.ablation.run import How, run_sweep
from arml.cli import run_tool

STUB = Path(__file__).with_name('stub.py')


def sweep_of(name='stub', **more) -> Sweep:
    return Sweep(
        **{'name': name, 'path': Path(f'{name}.yaml'), 'config': Path('config.py'), 'program': STUB, **more}
    )  # fmt: skip


def cell(name, do='finish', **more) -> Cell:
    return Cell({'do': do, **more}, name)


class Place:
    """Folder and ledger of a sweep, and the processes of its cells.

    Args:
        folder: Of all sweeps.
        name: Of this one.
        storage: URL; None: SQLite in the sweep's folder.
    """

    def __init__(self, folder: Path, name: str = 'stub', storage: str | None = None) -> None:
        self.sweep, self.folder = sweep_of(name), folder / name
        self.ledger = Ledger(self.folder / 'ledger.jsonl')
        self.storage = storage
        self.said: list[str] = []
        self.sweeps: list[multiprocessing.Process] = []

    def run(self, *cells, say=None, attempts=2, fixed=(), **how):
        work = Work(self.sweep, self.ledger, self.folder, fixed, attempts)
        view = View(self.sweep.name, say or self.said.append)
        return run_sweep(work, cells, How(**{'storage': self.storage, **how}), view)

    def start(self, *cells, host=None, die_at=None, **options) -> multiprocessing.Process:
        """:meth:`run` as a tool, in a process of its own, as if on the machine ``host``.

        ``die_at`` kills it at a point of its work, as of :func:`doom.meet`.
        """

        def tool():
            if host is not None:
                queue.HOST = worker.HOST = host
            if die_at is not None:
                doom.meet(*die_at)
            with contextlib.suppress(ProcessLookupError):
                os.setsid()
            # A shell starts what runs in its background deaf to Ctrl-C, and so these tests with it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.exit(run_tool(lambda: len(self.run(*cells, say=lambda text: None, **options))))

        process = multiprocessing.get_context('fork').Process(target=tool)
        self.sweeps.append(process)
        process.start()
        return process

    def pids(self, each) -> list[int]:
        file = self.folder / each.run / 'calls'
        return [int(line) for line in file.read_text().split()] if file.is_file() else []

    def calls(self, *cells) -> list[int]:
        """How often each was started."""
        return [len(self.pids(each)) for each in cells]

    def wait_for(self, *cells):
        for each in cells:
            wait_until((self.folder / each.run / 'ready').is_file)

    def tell(self, *cells):
        """Let those end that wait for it."""
        for each in cells:
            (self.folder / each.run / 'told').touch()

    def gone(self, *cells):
        for each in cells:
            wait_until(lambda each=each: not any(map(alive, self.pids(each))))

    def end(self):
        """Leave nothing behind, whatever a test did."""
        for process in self.sweeps:
            process.kill()
            process.join(10)


def wait_until(true, seconds=40):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for is dead too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f'/proc/{pid}/stat')
    try:
        return stat.read_text().rpartition(') ')[2][0] != 'Z'
    except OSError:
        return not Path('/proc').is_dir()


def kill(pid: int) -> bool:
    """SIGKILL; whether there was such a process."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
