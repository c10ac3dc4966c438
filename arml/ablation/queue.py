"""The cells of a sweep as trials: who is dead, what waits, what is left."""

import contextlib
import functools
import json
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from arml.ablation.cells import Cell
from arml.ablation.ledger import Ledger
from arml.ablation.live import Standing
from arml.ablation.outcome import (
    LAST_LINES,
    finished_row,
    last_words,
    row_of,
    unfinished_row,
    value_of,
)
from arml.ablation.process import LOG, is_running, last_lines
from arml.ablation.study import LIVE, newest_by_cell
from arml.ablation.sweep_file import Sweep
from arml.errors import DataError

#: Name of this machine, for trials: only its own locks can be trusted at once.
HOST = socket.gethostname()


@dataclass(frozen=True)
class Work:
    """A sweep and where its results go.

    Attributes:
        sweep: The sweep file.
        ledger: Lines of its cells.
        folder: Work dirs of its cells.
        fixed: Further ``KEY=VALUE`` for all cells.
        attempts: How often a cell may fail, >= 1; failures that were forgiven do not count.
    """

    sweep: Sweep
    ledger: Ledger
    folder: Path
    fixed: Sequence[str] = ()
    attempts: int = 3

    def given_up(self) -> Callable[[str], bool]:
        """What says whether a run has no try left, by the ledger as it is now."""
        failures = self.ledger.counted_failures()
        return lambda run: failures[run] >= self.attempts

    def adopt(self, cell: Cell) -> dict[str, Any] | None:
        """The line of a cell of which nothing more comes; None if it is still to be run.

        It may be in the ledger, or have ended unseen: a worker may have been killed after the training and
        before the line, and a cell of another sweep with the same key is the same run. Then the line is
        added, once.
        """
        known = self.ledger.ended()
        if cell.run in known:
            return known[cell.run]
        attempt = self.ledger.failures().get(cell.run, 0) + 1
        row = finished_row(self.sweep, cell, self.fixed, self.folder / cell.run, attempt)
        if row is None:
            row = self._elsewhere(cell)
        if row is not None:
            self.ledger.add_finished(row)
        return row

    def _elsewhere(self, cell: Cell) -> dict[str, Any] | None:
        for file in sorted(self.folder.parent.glob('*/ledger.jsonl')):
            if file.absolute() == self.ledger.path.absolute():
                continue
            stat = file.stat()
            row = _finished_in(file, stat.st_mtime_ns, stat.st_size).get(cell.run)
            if row is not None:
                # Lines that were not written by this version may lack any of these.
                attempt, seconds = row.get('attempt', 1), row.get('seconds')
                own = row_of(self.sweep, cell, self.fixed, attempt, seconds)
                own['finished_at'] = row.get('finished_at')
                return {**row, **own, 'taken_from': row.get('sweep', file.parent.name)}
        return None


@functools.lru_cache(maxsize=64)
def _finished_in(file: Path, changed: int, size: int) -> dict[str, dict[str, Any]]:
    """The finished lines of another sweep's ledger; read again when it has changed."""
    try:
        return Ledger(file).finished()
    except DataError:  # whoever works on that sweep will be told
        return {}


class Queue:
    """What every kind of sweep does with its trials.

    Most methods are called by whoever holds the claim, so that nobody is between asking for
    a trial and locking its cell.
    """

    def __init__(self, work: Work, say: Callable[[str], None]) -> None:
        self.work, self.say = work, say

    def cell_of(self, trial: Trial) -> Cell:
        """The cell that a trial stands for."""
        raise NotImplementedError

    def all_cells(self, study: optuna.Study) -> list[Cell]:
        """The cells that there should be a result of. Needs no claim."""
        raise NotImplementedError

    def take_over(self) -> None:
        """Find results of cells that have no line yet."""

    def refill(self, study: optuna.Study) -> None:
        """Have a waiting trial for each cell that needs one."""
        raise NotImplementedError

    def may_ask(self, study: optuna.Study) -> bool:
        """Whether a trial may be made that nobody has planned."""
        return False

    @property
    def space(self) -> Any:
        """What tells its study from that of another sweep file or config; plain values."""
        raise NotImplementedError

    def standing(self, study: optuna.Study) -> Standing:
        """How far the sweep is. Needs no claim."""
        raise NotImplementedError

    def value(self, row: dict[str, Any]) -> float | None:
        """The value of a finished line for the study; None if it has no such score. Needs no claim."""
        raise NotImplementedError

    def watch(self, trial: Trial, cell: Cell) -> Any:
        """Needs no claim. A :class:`~arml.ablation.search.Watch` on a running cell; None: it may not be ended."""
        return None

    def ready(self, study: optuna.Study) -> bool:
        """Whether there is something to take."""
        if _has(study, TrialState.WAITING):
            return True
        self.refill(study)
        return _has(study, TrialState.WAITING) or self.may_ask(study)

    def others_run(self, study: optuna.Study) -> bool:
        """Whether cells are running, which may die and come back."""
        return _has(study, TrialState.RUNNING)

    def bury(self, study: optuna.Study) -> None:
        """Settle trials whose worker is gone.

        On this machine its lock says so at once; of other machines missed heartbeats, because on some
        shared file systems their locks are not seen here.
        """
        optuna.storages.fail_stale_trials(study)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Asked for once more: a worker tells the study before it lets go of its lock.
            if not self._lives(trial) and _state_of(study, trial) is TrialState.RUNNING:
                row = self.settle(trial, 'its worker is gone') or {'status': 'failed'}
                tell(study, trial.number, *self.end_of(row))

    def end_of(self, row: dict[str, Any]) -> tuple[TrialState, float | None]:
        """State and value that a study is told of a line. Needs no claim."""
        if row['status'] == 'pruned':
            return TrialState.PRUNED, None
        value = self.value(row) if row['status'] == 'finished' else None
        return (TrialState.FAIL if value is None else TrialState.COMPLETE), value

    def settle(self, trial: FrozenTrial, why: str) -> dict[str, Any] | None:
        """Write what became of the cell of a dead trial; its line if it has an end after all.

        An attempt has one line: if its worker was killed after it wrote that, or another machine has written
        it off, none is added; nor if the cell was never started.

        Args:
            trial: The trial.
            why: How we know that it is dead.
        """
        cell = cell_in(trial)
        if cell is None:  # killed before it had one
            return None
        row, attempt = self.work.adopt(cell), trial.user_attrs.get('attempt')
        if row is None and attempt is not None:
            log = last_lines(self.work.folder / cell.run / LOG, LAST_LINES - 1)
            log.append(f'sweep: attempt {attempt} on {trial.user_attrs.get("host")} ended: {why}')
            lost = unfinished_row(
                self.work.sweep, cell, self.work.fixed, attempt, None, exit=None, log=log
            )
            if self.work.ledger.add_failed(lost):
                end = last_words(lost) if self.work.given_up()(cell.run) else ''
                self.say(f'{cell.run} lost ({why}): {cell.title}{end}')
        return row

    def _lives(self, trial: FrozenTrial) -> bool:
        host = trial.user_attrs.get('host')
        if host is None:  # it would have said so before it let go of the claim
            return False
        return host != HOST or is_running(self.work.folder / trial.user_attrs['cell'])


class GridQueue(Queue):
    """The cells of a grid: each until it is finished or has no try left.

    Args:
        work: Sweep and places.
        cells: All cells.
        say: Takes messages.
    """

    def __init__(self, work: Work, cells: Sequence[Cell], say: Callable[[str], None]) -> None:
        super().__init__(work, say)
        self.cells = list(cells)
        self._values: dict[str, float] = {}
        self._said = False
        self._by_run = {cell.run: cell for cell in cells}
        names = dict.fromkeys(name for cell in cells for name in cell.parameters)
        self._distributions = {name: CategoricalDistribution(_plain(name, cells)) for name in names}

    @property
    def space(self) -> Any:
        """What tells this grid from another one: its cells, so the config too, and how values are written."""
        values = {
            name: [repr(c) for c in known.choices] for name, known in self._distributions.items()
        }
        return [sorted(self._by_run), values]

    def cell_of(self, trial: Trial) -> Cell:
        """The one that the trial was made for; a trial of an older config names none of ours."""
        return self._by_run[trial.user_attrs['cell']]

    def value(self, row: dict[str, Any]) -> float | None:
        """As the sweep file's metric says; without such a score the dashboard has no value, said once."""
        if row['run'] in self._values:
            return self._values[row['run']]
        try:
            value = value_of(row, self.work.sweep.metric, self.work.sweep.goal)
            self._values[row['run']] = value
            return value
        except DataError as error:
            if not self._said:
                self._said = True
                self.say(f'no value for the dashboard: {error}')
            return None

    def all_cells(self, study: optuna.Study) -> list[Cell]:
        """All of the grid."""
        return self.cells

    def take_over(self) -> None:
        """In work dirs and other sweeps, those that nobody has in hand."""
        finished = self.work.ledger.finished()
        for cell in self.cells:
            if cell.run not in finished and not is_running(self.work.folder / cell.run):
                row = self.work.adopt(cell)
                if row is not None:
                    self.say(f'{cell.run} found finished in {row["work_dir"]}: {cell.title}')

    def standing(self, study: optuna.Study) -> Standing:
        """By the ledger; what runs, by the study."""
        finished, given_up = self.work.ledger.finished(), self.work.given_up()
        done = [cell for cell in self.cells if cell.run in finished]
        lost = [c for c in self.cells if c.run not in finished and given_up(c.run)]
        varied = {name for name, known in self._distributions.items() if len(known.choices) > 1}
        values = [(self.value(finished[cell.run]), cell.title_by(varied)) for cell in done]
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return Standing(
            finished=len(done), failed=len(lost), running=len(running), total=len(self.cells),
            best=best(values, self.work.sweep.goal),
        )  # fmt: skip

    def refill(self, study: optuna.Study) -> None:
        """Have a waiting trial for each cell to run, and a complete one for each that is finished."""
        newest = newest_by_cell(study)
        finished, given_up = self.work.ledger.finished(), self.work.given_up()
        for cell in self.cells:
            trial = newest.get(cell.run)
            state = None if trial is None else trial.state
            if cell.run in finished:
                value = self.value(finished[cell.run])
                if value is not None and state not in (*LIVE, TrialState.COMPLETE):
                    study.add_trial(self._trial(cell, TrialState.COMPLETE, value))
            elif state not in LIVE and not given_up(cell.run):
                study.add_trial(self._trial(cell, TrialState.WAITING))

    def _trial(self, cell: Cell, state: TrialState, value: float | None = None) -> FrozenTrial:
        known = {name: self._distributions[name] for name in cell.parameters}
        params = {
            name: next(c for c in known[name].choices if c in (value, str(value)))
            for name, value in cell.parameters.items()
        }
        return optuna.create_trial(
            state=state, value=value, params=params, distributions=known,
            user_attrs=attributes_of(cell),
        )  # fmt: skip


def best(values: Iterable[tuple[float | None, str]], goal: str) -> tuple[str, float] | None:
    """Title and value of the best; None of nothing."""
    known = [(value, title) for value, title in values if value is not None]
    if not known:
        return None
    value, title = (min if goal == 'minimize' else max)(known, key=lambda pair: pair[0])
    return title, value


def attributes_of(cell: Cell) -> dict[str, Any]:
    """What a trial remembers of its cell."""
    return {'cell': cell.run, 'parameters': json.dumps(cell.parameters)}


def cell_in(trial: FrozenTrial) -> Cell | None:
    """The cell that a trial remembers; None if it has none yet."""
    if 'cell' not in trial.user_attrs:
        return None
    return Cell(json.loads(trial.user_attrs['parameters']), trial.user_attrs['cell'])


def tell(
    study: optuna.Study, trial: Trial | int, state: TrialState, value: float | None = None
) -> None:
    """Tell a study how a trial ended, unless it knows of an end: whoever takes a trial for dead ends it."""
    with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
        study.tell(trial, value, state, skip_if_finished=True)


def _state_of(study: optuna.Study, trial: FrozenTrial) -> TrialState:
    """Its state now."""
    return study.get_trials(deepcopy=False)[trial.number].state


def _has(study: optuna.Study, state: TrialState) -> bool:
    return bool(study.get_trials(deepcopy=False, states=(state,)))


def _plain(name: str, cells: Sequence[Cell]) -> list[Any]:
    """The values of a parameter as a database keeps them apart: lists, and 1 beside true, as text."""
    given = (cell.parameters[name] for cell in cells if name in cell.parameters)
    values = list({repr(value): value for value in given}.values())
    simple = all(value is None or isinstance(value, bool | int | float | str) for value in values)
    if simple and len(set(values)) == len(values):
        return values
    return [str(value) for value in values]
