"""A worker: takes one cell after the other and runs each as a process."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import Trial, TrialState

from arml.ablation.cells import Cell
from arml.ablation.live import View
from arml.ablation.outcome import LAST_LINES, finished_row, last_words, result_in, unfinished_row
from arml.ablation.process import (
    LOCK,
    LOG,
    PAUSE,
    Started,
    command_of,
    environment_of,
    last_lines,
    mark_attempt,
    run_process,
    start_fresh,
)  # fmt: skip
from arml.ablation.queue import HOST, Queue, Work, attributes_of, tell
from arml.ablation.study import Storage, StorageError, reaching
from arml.ablation.warm import Warm
from arml.atomic import unwritable
from arml.progress import duration

#: In a sweep's folder; held by whoever decides what is run next.
CLAIM = 'claim.lock'
#: Seconds until an idle worker looks again whether a cell has come back.
IDLE = 1.0
#: Seconds that a worker goes on asking a storage that does not answer.
PATIENCE = 120.0
#: Characters of a log's end that a trial keeps.
NOTE = 2000


#: Exit statuses of a cell that was ended from outside. A cluster ends all processes of a job at the same moment,
#: so our own signal may be on its way still; a forked cell is killed with the process that it was forked from.
ENDED = (
    -signal.SIGTERM,
    -signal.SIGINT,
    -signal.SIGKILL,
    128 + signal.SIGTERM,
    128 + signal.SIGINT,
)
#: Seconds that our own signal may need after such an end.
ECHO = 1.0
#: What a study raises of trials that it cannot be told of: it is away, or took the trial for dead.
UNTOLD = (optuna.exceptions.StorageInternalError, optuna.exceptions.UpdateFinishedTrialError)


@dataclass(frozen=True)
class Seat:
    """What a worker runs its cells with.

    Attributes:
        threads: Of a process, >= 1.
        gpu: What ``CUDA_VISIBLE_DEVICES`` is set to; None leaves it.
        warm: Whether its cells are forks of a process that has imported everything.
        sampler: Makes the sampler for the next trial from the number of trials before it.
    """

    threads: int = 1
    gpu: str | None = None
    warm: bool = False
    sampler: Callable[[int], optuna.samplers.BaseSampler] | None = None


class Worker:
    """Runs cells until none is left that it might get.

    Args:
        work: Sweep and places.
        queue: Of this sweep.
        study: Of this sweep; its own object in each worker.
        storage: Where the study is.
        view: Takes messages.
        stop: Ends it, and the cell that it runs, when set.
        seat: What it runs its cells with.
    """

    def __init__(
        self,
        work: Work,
        queue: Queue,
        study: optuna.Study,
        storage: Storage,
        view: View,
        stop: threading.Event,
        seat: Seat,
    ) -> None:
        self.work, self.queue, self.study, self.storage = work, queue, study, storage
        self.view, self.stop, self.seat = view, stop, seat
        self._claim = FileLock(work.folder / CLAIM)
        self._cell: FileLock | None = None
        self._warm: Warm | None = None

    def run(self) -> None:
        """Take cells until none is left. An idle worker waits for those of others, which may come back.

        Raises:
            ArmlError: If ledger or work dir cannot be written, or the storage is out of reach for long.
        """
        try:
            self._run()
        finally:
            self.storage.remove_session()  # of this thread
            if self._warm is not None:
                self._warm.close()

    def _run(self) -> None:
        silent_since = None
        while not self.stop.is_set():
            try:
                with reaching(self.storage.url):
                    going_on = self._take()
            except StorageError as error:
                if silent_since is None:
                    silent_since = time.monotonic()
                    self.view.say(f'{error} Asking again for {duration(PATIENCE)}.')
                if time.monotonic() - silent_since > PATIENCE:
                    raise
                self.stop.wait(IDLE * 5)
                continue
            silent_since = None
            if going_on is None:
                return
            if not going_on:
                self.stop.wait(IDLE)

    def _take(self) -> bool | None:
        """Run the next cell: True; False if there is none now, None if there will be none."""
        if not acquired(self._claim, self.stop):
            return False
        try:
            self.queue.bury(self.study)
            if not self.queue.ready(self.study):
                return False if self.queue.others_run(self.study) else None
            if self.seat.sampler is not None:
                self.study.sampler = self.seat.sampler(len(self.study.get_trials(deepcopy=False)))
            trial = self.study.ask()
            with self.storage.beating(trial):
                self._run_trial(trial)
        finally:
            self._claim.release(force=True)
            if self._cell is not None:
                self._cell.release(force=True)
                self._cell = None
        return True

    def _run_trial(self, trial: Trial) -> None:
        """Run the cell of a trial. Begins with the claim held, and lets go of it when the cell is locked."""
        try:
            row, cell = self._row_of(trial)
        except optuna.exceptions.UpdateFinishedTrialError:
            return  # it was taken for dead while it waited; whoever did so has planned its cell anew
        except optuna.exceptions.StorageInternalError:
            raise  # before the cell began: the trial is buried once the storage is back
        except Exception:
            with contextlib.suppress(*UNTOLD):
                tell(self.study, trial, TrialState.FAIL)
            raise
        state, value = TrialState.FAIL, None
        try:
            if row is not None:
                self._report(row, cell)
                state, value = self.queue.end_of(row)
        finally:
            # The ledger has the line, so it is no matter if the study cannot be told: whoever comes next
            # buries the trial by what the ledger says.
            with contextlib.suppress(*UNTOLD):
                tell(self.study, trial, state, value)

    def _row_of(self, trial: Trial) -> tuple[dict[str, Any] | None, Cell]:
        """The line of a trial's cell, which is run unless it has one; None if it was stopped."""
        cell = self.queue.cell_of(trial)
        for name, value in {**attributes_of(cell), 'host': HOST}.items():
            trial.set_user_attr(name, value)
        if not self._lock(cell):
            return None, cell
        return self.work.adopt(cell) or self._attempt(trial, cell), cell

    def _lock(self, cell: Cell) -> bool:
        """Lock the cell, then let others claim; wait where a worker that was taken for dead still has it.

        Returns:
            False if the sweep was stopped meanwhile.
        """
        work = self.work.folder / cell.run
        try:
            work.mkdir(parents=True, exist_ok=True)
            self._cell = FileLock(work / LOCK)
            self._cell.acquire(timeout=0)
        except Timeout:
            self._claim.release()
            self.view.say(f'{cell.run}: another process runs it: {cell.title}')
            return acquired(self._cell, self.stop)
        except OSError as error:
            raise unwritable(work / LOCK, error) from error
        self._claim.release()
        return True

    def _attempt(self, trial: Trial, cell: Cell) -> dict[str, Any] | None:
        """Run the cell's process; its line, which the ledger has then. None if it was stopped."""
        work, sweep, fixed = self.work.folder / cell.run, self.work.sweep, self.work.fixed
        attempt = self.work.ledger.failures().get(cell.run, 0) + 1
        trial.set_user_attr('attempt', attempt)
        watch = self.queue.watch(trial, cell)
        pruned = False

        def look() -> bool:
            nonlocal pruned
            pruned = watch is not None and watch.look()
            return pruned

        began = time.time()
        try:
            mark_attempt(work, attempt, HOST)
            status = run_process(
                command_of(sweep, cell, self.work.folder, fixed),
                log=work / LOG,
                environment=environment_of(sweep, cell, self.seat.threads, self.seat.gpu),
                stop=self.stop,
                look=look,
                start=self._starter(),
            )
        except OSError as error:
            raise unwritable(work / LOG, error) from error
        seconds = time.time() - began
        row = finished_row(sweep, cell, fixed, work, attempt, seconds) if status == 0 else None
        if row is not None:
            if watch is not None:
                watch.look()  # what came since the last look
            self.work.ledger.add_finished(row)
            return row
        if pruned:
            value, step = watch.last
            row = unfinished_row(
                sweep, cell, fixed, attempt, seconds, 'pruned', value=value, step=step
            )
            self.work.ledger.add(row)
            return row
        if self.stop.is_set() or (status in ENDED and self.stop.wait(ECHO)):
            return None
        log = last_lines(work / LOG, LAST_LINES)
        if status == 0:
            log = [*log, _foreign(work, cell)][-LAST_LINES:]
        row = unfinished_row(sweep, cell, fixed, attempt, seconds, exit=status, log=log)
        self.work.ledger.add_failed(row)
        with contextlib.suppress(*UNTOLD):  # for the dashboard
            trial.set_user_attr('exit', status)
            trial.set_user_attr('log', '\n'.join(row['log'])[-NOTE:])
        return row

    def _starter(self) -> Callable[..., Started]:
        """What starts a cell. A warm process is this thread's own: it dies with the thread that made it."""
        if not self.seat.warm:
            return start_fresh
        if self._warm is None:
            threads = {'OMP_NUM_THREADS': str(self.seat.threads), **os.environ}
            log = self.work.folder / f'warm-{HOST}-{os.getpid()}-{threading.get_ident()}.txt'
            self._warm = Warm(log, threads)
        return self._warm.start

    def _report(self, row: dict[str, Any], cell: Cell) -> None:
        """Say how the cell ended."""
        if row['status'] == 'failed' and not self.work.given_up()(cell.run):
            self.view.say(f'{cell.run} failed (exit {row["exit"]}), is tried again: {cell.title}')
            return
        try:
            standing = self.queue.standing(self.study)
        except optuna.exceptions.StorageInternalError:
            self.view.say(f'{cell.run} {row["status"]}: {cell.title}{last_words(row)}')
            return
        left = self.view.left(standing)
        took = [] if row['seconds'] is None else [duration(row['seconds'])]
        took += [f'about {duration(left)} left'] if left else []
        of = '' if standing.total is None else f'/{standing.total}'
        self.view.say(
            f'[{standing.ended}{of}] {cell.run} {row["status"]}: {cell.title} ({"; ".join(took)})'
            f'{last_words(row)}'
        )


def acquired(lock: FileLock, stop: threading.Event) -> bool:
    """Wait for a lock; false if the sweep is stopped meanwhile.

    Raises:
        ArmlError: If its file cannot be made.
    """
    while not stop.is_set():
        with contextlib.suppress(Timeout):
            try:
                lock.acquire(timeout=PAUSE)
            except OSError as error:
                if isinstance(error, Timeout):
                    raise
                raise unwritable(Path(lock.lock_file), error) from error
            return True
    return False


def _foreign(work: Path, cell: Cell) -> str:
    return (
        f'sweep: {work / "result.json"} is of the run {result_in(work).get("run")}, expected {cell.run}. '
        'Config, data or code were changed after the sweep was started; start it again.'
    )
