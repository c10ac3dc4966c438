"""Workers that begin at once, and their warm processes too: forks of a process that has imported everything.

A test that kills many workers would wait for imports most of the time. The process is multiprocessing's fork server,
which knows nothing of the tests; from the fork of a worker on all is as in ``tools/sweep.py``.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest  # noqa: F401  (every fork imports the program that started it)
from sweep_place import Place

from arml.ablation import forking
from arml.ablation.warm import Warm
from arml.cli import run_tool
from arml.pipeline.environment import commit
from arml.startup import start

start()
commit()  # remembered, as in a warm process


class Server:
    """A warm process that was forked rather than launched, with what :class:`Warm` uses of a Popen."""

    def __init__(self) -> None:
        theirs, self.stdin = os.pipe()
        self.stdout, answers = os.pipe()
        context = multiprocessing.get_context('fork')
        self._process = context.Process(
            target=self._serve, args=(theirs, answers, os.getpid()), daemon=True
        )
        self._process.start()
        for end in (theirs, answers):
            os.close(end)
        self.stdin, self.stdout = os.fdopen(self.stdin, 'wb', 0), os.fdopen(self.stdout, 'rb', 0)

    def _serve(self, wishes: int, answers: int, worker: int) -> None:
        for end in (self.stdin, self.stdout):
            os.close(end)
        os.dup2(wishes, 0)
        os.dup2(answers, 1)
        for end in (wishes, answers):
            os.close(end)
        found = forking.serve(worker)
        if found is not None:
            forking.leave(forking.become(found))

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired('a warm process', timeout)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()


def work(folder, sweep, cells, options) -> None:
    """A worker. Its warm process is forked before it has threads; another one, should that die, is launched."""
    spare, launch = [Server()], Warm._launch

    def launched(self):
        if spare:
            self._process = spare.pop()
        else:
            launch(self)

    Warm._launch = launched
    os.setsid()
    place = Place(folder, sweep.name)
    place.sweep = sweep
    sys.exit(run_tool(lambda: len(place.run(*cells, say=lambda text: None, **options))))


@contextlib.contextmanager
def workers(monkeypatch):
    """Gives what starts a worker: ``start(folder, sweep, cells, options)``, a process."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    root = Path(__file__).parents[2]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(Path(__file__).parent), str(root)]))
    started = []

    def begin(*arguments):
        process = context.Process(target=work, args=arguments)
        started.append(process)
        process.start()
        return process

    try:
        yield begin
    finally:
        for process in started:
            process.kill()
            process.join(10)
        forkserver._forkserver._stop()  # it holds all that it has imported
