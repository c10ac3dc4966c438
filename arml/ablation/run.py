"""Run the cells of a sweep that its ledger lacks: workers, their shared study, and how they are stopped."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock

from arml.ablation.cells import Cell
from arml.ablation.live import View
from arml.ablation.outcome import row_of
from arml.ablation.process import threads_of
from arml.ablation.queue import GridQueue, Queue, Work
from arml.ablation.search import SearchQueue, pruner_of, sampler_of
from arml.ablation.study import (
    Storage,
    belonging,
    default_url,
    fitting,
    open_storage,
    open_study,
    quieten_optuna,
    reaching,
    same_study,
)
from arml.ablation.sweep_file import Sweep
from arml.ablation.values import read_options
from arml.ablation.worker import CLAIM, Seat, Worker, acquired
from arml.atomic import unwritable, write_json
from arml.config.load import read_config, resolve_config
from arml.errors import ConfigError
from arml.signals import sigterm_is_an_exit

#: In a sweep's folder: the last wish that its workers stop.
STOP = 'stop.json'
#: Seconds between two looks at it, and between two states of the live line.
LOOK = 1.0


@dataclass(frozen=True)
class How:
    """How a sweep is run.

    Attributes:
        workers: Cells at a time, >= 1.
        gpus: One for each worker, as ``CUDA_VISIBLE_DEVICES`` names them; empty leaves that variable.
        storage: URL of the study; None: SQLite in the sweep's folder.
        heartbeat: Seconds between two signs of life of a running cell.
        grace: Seconds without one after which a cell of another machine is taken for lost.
        warm: Whether cells are forks of a process that has imported everything.
        retry: Whether cells that have failed for good get new tries.
        sampler: Of a search, by Optuna's name; None: that of its method.
        seed: Of the sampler.
    """

    workers: int = 1
    gpus: Sequence[str] = ()
    storage: str | None = None
    heartbeat: int = 60
    grace: int = 180
    warm: bool = False
    retry: bool = False
    sampler: str | None = None
    seed: int = 0


def intervals_of(sweep: Sweep, fixed: Sequence[str] = ()) -> dict[str, int]:
    """``heartbeat`` and ``grace`` of all workers, wherever they are started: leaves of the sweep's config.

    Args:
        sweep: The sweep file, whose constants may set them, too.
        fixed: Further ``KEY=VALUE`` for all cells; they win.

    Raises:
        ConfigError: If the config cannot be read, or a leaf of the group ``sweep`` is none of these.
    """
    choices = {**sweep.parameters, **{name: found.choices for name, found in sweep.space.items()}}
    given = {name: values[0] for name, values in choices.items() if len(values) == 1}
    given.update(read_options(fixed))
    # Others may be for what only some cells choose.
    ours = {name: value for name, value in given.items() if name.startswith('sweep.')}
    found = dict(resolve_config(read_config(sweep.config), ours).get('sweep') or {})
    known = {name: getattr(How, name) for name in ('heartbeat', 'grace')}
    for name in found.keys() - known.keys():
        raise ConfigError(f'{sweep.config}: sweep.{name}: expected one of {", ".join(known)}')
    return {**known, **found}


def run_sweep(work: Work, cells: Sequence[Cell], how: How, view: View | None = None) -> list[Cell]:
    """Run what the ledger lacks; a cell that fails is tried again from its last checkpoint.

    Several calls may work on one sweep at once, from several machines too if they share the folder and
    the storage: a cell is run by one of them. Ctrl-C, SIGTERM and :func:`request_stop` end the running
    cells, which leave no line.

    Args:
        work: Sweep and places.
        cells: Those of a grid; none for a search.
        how: Workers, storage and so on.
        view: Shows progress.

    Returns:
        The cells of a grid without a result; of a search, those that failed for good.

    Raises:
        ConfigError: If the sweep was changed while it is worked on, the study is of another folder, or an
            option does not fit.
        ArmlError: If ledger, folder or storage cannot be used; running cells are ended.
    """
    if how.gpus and how.workers > len(how.gpus):
        raise ConfigError(
            f'--workers {how.workers} with --gpus {",".join(how.gpus)}: expected at most one a GPU'
        )
    if how.sampler is not None and work.sweep.method == 'grid':
        raise ConfigError(
            f'--sampler {how.sampler}: sweep {work.sweep.name} is a grid, all of whose cells are run'
        )
    quieten_optuna()
    if work.sweep.method != 'grid':
        sampler_of(how.sampler, work.sweep.method, how.seed)
    view = view or View(work.sweep.name)
    stop = threading.Event()
    _make(work.folder)
    asked = last_wish(work.folder)
    queue = queue_of(work, cells, how, view)
    url = how.storage or default_url(work.folder)
    with _claimed(work.folder, stop), reaching(url):
        study, storage = _prepare(work, queue, url, how)
        standing = queue.standing(study)
    view.left(standing)  # counts from here
    total = '' if standing.total is None else f'{standing.total} cells, '
    to_run = '' if standing.total is None else f', {standing.total - standing.ended} to run'
    failed = f', {standing.failed} failed (retry gives them new tries)' if standing.failed else ''
    view.say(f'{work.sweep.name}: {total}{standing.finished} finished{failed}{to_run}')
    if standing.total is None or standing.ended < standing.total:
        workers = [
            Worker(
                work,
                queue,
                same_study(study, storage),
                storage,
                view,
                stop,
                _seat(work, how, number),
            )
            for number in range(how.workers)
        ]
        _work(work, queue, study, workers, view, stop, asked)
    finished = work.ledger.finished()
    return [cell for cell in queue.all_cells(study) if cell.run not in finished]


def queue_of(work: Work, cells: Sequence[Cell], how: How, view: View) -> Queue:
    """The queue of a sweep by its method; forgives failures where that is asked for."""
    if how.retry:
        forgive(work)
    if work.sweep.method == 'grid':
        return GridQueue(work, cells, view.say)
    return SearchQueue(work, view.say)


def forgive(work: Work) -> list[str]:
    """Give the cells that have failed new tries, whoever runs them and whenever; their runs."""
    known = {row['run']: row for row in work.ledger.rows()}

    def more(run: str) -> dict[str, Any]:
        cell = Cell(known[run].get('parameters') or {}, run)
        row = row_of(work.sweep, cell, work.fixed, known[run].get('attempt', 1), None)
        return {**row, 'by': _self()}

    return work.ledger.forgive(more)


def request_stop(folder: Path) -> None:
    """Ask all workers of a sweep to stop, on all machines that share its folder.

    Args:
        folder: The sweep's.
    """
    write_json(folder / STOP, {'time': time.time(), 'by': _self()})


def _self() -> str:
    return f'process {os.getpid()} on {socket.gethostname()}'


def last_wish(folder: Path) -> str | None:
    """The last wish to stop, as a text that no other has; None without one."""
    try:
        return json.dumps(json.loads((folder / STOP).read_text(encoding='utf-8')))
    except (OSError, ValueError):
        return None


def _prepare(work: Work, queue: Queue, url: str, how: How) -> tuple[optuna.Study, Storage]:
    """The study, without dead trials, with a trial for each cell to run; and where it is."""

    def on_stale(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        queue.settle(trial, f'no sign of life for {how.grace} s')

    storage = open_storage(url, how.heartbeat, how.grace, on_stale)
    goal = work.sweep.goal
    study = belonging(open_study(storage, work.sweep.name, goal), storage, work.folder)
    queue.bury(study)
    study = belonging(fitting(study, storage, goal, queue.space), storage, work.folder)
    study.sampler = optuna.samplers.RandomSampler()  # of a grid: nothing is left to it
    study.pruner = pruner_of(work.sweep.early_terminate)
    queue.take_over()
    queue.refill(study)
    return study, storage


@sigterm_is_an_exit()
def _work(
    work: Work,
    queue: Queue,
    study: optuna.Study,
    workers: Sequence[Worker],
    view: View,
    stop: threading.Event,
    asked: str | None,
) -> None:
    """Have the workers work until nothing is left, or the wish to stop is another than ``asked``."""
    pool = ThreadPoolExecutor(len(workers))
    try:
        pending = {pool.submit(worker.run) for worker in workers}
        while pending:
            done, pending = wait(pending, timeout=LOOK, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            if not stop.is_set() and last_wish(work.folder) != asked:
                view.say(f'{work.sweep.name}: asked to stop. The command run continues it.')
                stop.set()
            if view.live:
                with contextlib.suppress(optuna.exceptions.StorageInternalError):
                    view.update(queue.standing(study))
    except (KeyboardInterrupt, SystemExit):
        view.say(f'{work.sweep.name}: stopped. The same command continues it.')
        raise
    finally:
        stop.set()
        pool.shutdown()
        view.close()
        with contextlib.suppress(optuna.exceptions.StorageInternalError):
            with FileLock(
                work.folder / CLAIM
            ):  # what was stopped waits again, as the dashboard shows
                queue.refill(study)


def _seat(work: Work, how: How, number: int) -> Seat:
    method = work.sweep.method
    sampler = None
    if method != 'grid':

        def sampler(trials: int) -> optuna.samplers.BaseSampler:
            # Another seed for each trial: workers that share one would all propose the same.
            seed = np.random.SeedSequence([how.seed, trials]).generate_state(1)[0]
            return sampler_of(how.sampler, method, int(seed))

    return Seat(
        threads=threads_of(how.workers),
        gpu=how.gpus[number] if how.gpus else None,
        warm=how.warm,
        sampler=sampler,
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder / CLAIM, error) from error


@contextlib.contextmanager
def _claimed(folder: Path, stop: threading.Event) -> Iterator[None]:
    """Hold the claim of a sweep."""
    claim = FileLock(folder / CLAIM)
    acquired(claim, stop)
    try:
        yield
    finally:
        claim.release()
