"""What W&B's agents run and have run, by the notes of ``agent_cell.py``; and its way into the ledger."""

import contextlib
import json
import math
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from arml.ablation.agent_cell import LOCK, LOG, NOTE
from arml.ablation.cells import Cell, cell_of
from arml.ablation.ledger import Ledger
from arml.ablation.live import Standing
from arml.ablation.outcome import LAST_LINES, finished_row, result_in, unfinished_row, value_of
from arml.ablation.process import is_running, last_lines
from arml.ablation.queue import best
from arml.ablation.search import is_constant, validation_of
from arml.ablation.sweep_file import Sweep
from arml.ablation.values import read_options
from arml.atomic import write_json
from arml.errors import ArmlError, DataError
from arml.pipeline.alone import LOCK as RUN_LOCK
from arml.report.result import load_history
from arml.tracking.note import FILE as TRACKING

#: In a sweep's folder: notes of what its agents ran.
AGENTS = 'agents'


@dataclass(frozen=True)
class AgentRun:
    """A run that W&B gave to an agent.

    Attributes:
        place: Its note, its output and its lock; named by W&B's id of the run.
        note: ``words`` of its command line, ``host``; once it has ended ``exit`` and ``asked``, the signal that
            it was asked to end by.
    """

    place: Path
    note: Mapping[str, Any]

    @property
    def is_alive(self) -> bool:
        """Whether its process lives, as far as this machine sees its lock."""
        return is_running(self.place, LOCK)

    def parameters(self, sweep: Sweep) -> dict[str, Any]:
        """Its values of the sweep's parameters."""
        words = list(self.note['words'])
        options = words[words.index('--cfg-options') + 1 :] if '--cfg-options' in words else []
        given = read_options([word for word in options if '=' in word])
        return {name: given[name] for name in sweep.content['parameters'] if name in given}


def agent_runs(folder: Path, sweep_id: str = '*') -> Iterator[AgentRun]:
    """The runs of a sweep's agents, on all machines that share its folder.

    Args:
        folder: The sweep's.
        sweep_id: Of one registration with W&B; all without one.
    """
    for file in sorted((folder / AGENTS).glob(f'{sweep_id}/*/{NOTE}')):
        yield AgentRun(file.parent, json.loads(file.read_text(encoding='utf-8')))


def default_folder(sweep: Sweep, run: str) -> Path:
    """The work dir that ``tools/train.py`` takes by itself."""
    return Path('work_dirs') / f'{sweep.config.stem}-{run}'


def running_under_agents(
    sweep: Sweep, cells: Sequence[Cell], folder: Path, fixed: Sequence[str] = ()
) -> dict[str, str]:
    """The cells that run in their default work dirs, by run; their titles.

    Args:
        sweep: The sweep file.
        cells: Those of a grid; none for a search.
        folder: The sweep's.
        fixed: Further ``KEY=VALUE`` for all cells.
    """
    found = [cell for cell in cells if is_running(default_folder(sweep, cell.run), RUN_LOCK)]
    if not cells:
        alive = (run for run in agent_runs(folder) if 'exit' not in run.note and run.is_alive)
        found = [cell_of(sweep, run.parameters(sweep), fixed) for run in alive]
    return {cell.run: cell.title for cell in found}


class Collector:
    """Takes what became of the cells into the ledger.

    Args:
        sweep: The sweep file.
        cells: Those of a grid; none for a search.
        ledger: Where lines go.
        folder: The sweep's.
        fixed: Further ``KEY=VALUE`` for all cells.
        sweep_id: W&B's.
        say: Takes a message for each cell that ends.
    """

    def __init__(
        self,
        sweep: Sweep,
        cells: Sequence[Cell],
        ledger: Ledger,
        folder: Path,
        fixed: Sequence[str],
        sweep_id: str,
        say: Callable[[str], None],
    ) -> None:
        self.sweep, self.ledger, self.folder, self.fixed = sweep, ledger, folder, fixed
        self.sweep_id, self.say = sweep_id, say
        self._cells = {cell.run: cell for cell in cells}
        self._finished = set(ledger.finished())
        self._noted: dict[str, Cell] = {}  # by W&B's id of the run
        self._failed: dict[str, Cell] = {}
        self._values: dict[str, float | None] = {}
        self._varied = [name for name, values in sweep.parameters.items() if len(values) > 1]
        self._varied += [name for name, space in sweep.space.items() if not is_constant(space)]
        # Of what was asked to end while nobody looked it cannot be told who asked: it has no line.
        self._settled = {run.place.name for run in self._runs() if run.note.get('asked')}

    @property
    def has_runs(self) -> bool:
        """Whether W&B has handed out anything."""
        return any(True for _ in self._runs())

    def collect(self, stopped: bool = False) -> None:
        """Add a line for each cell that has ended since the last look.

        Args:
            stopped: It is us who have asked the trainings to end, which leaves no line.
        """
        runs = [run for run in self._runs() if run.place.name not in self._settled]
        for run in runs:  # read before the results, which a training writes before it ends
            if run.place.name not in self._noted:
                self._noted[run.place.name] = self._cell_of(run)
        for cell, work in self._candidates():
            if cell.run not in self._finished:
                row = finished_row(self.sweep, cell, self.fixed, work, attempt=1)
                if row is not None:
                    self._finished.add(cell.run)
                    self.ledger.add_finished(row)
                    self.say(f'{cell.run} finished: {cell.title}')
        for run in runs:
            if 'exit' in run.note:
                self._settled.add(run.place.name)
                if not (stopped and run.note['asked']):
                    self._settle(run, self._noted[run.place.name])

    def bury(self, stopped: bool = False) -> None:
        """Note the end of runs of this machine that were killed together with what notes it. Then collect."""
        for run in self._runs():
            here = run.note['host'] == socket.gethostname()
            if 'exit' not in run.note and here and not run.is_alive:
                end = {'exit': -signal.SIGKILL, 'asked': signal.SIGKILL if stopped else None}
                write_json(run.place / NOTE, {**run.note, **end})
        self.collect(stopped)

    def missing(self) -> list[Cell]:
        """The cells of a grid without a result; of a search, those that failed."""
        cells = self._cells or self._failed
        return [cell for cell in cells.values() if cell.run not in self._finished]

    def standing(self) -> Standing:
        """How far the sweep is, as the last look left it: of a grid its cells, of a search what was handed out here."""
        cells = self._cells or {cell.run: cell for cell in self._noted.values()}
        ended = self.ledger.ended()
        rows = {run: ended[run] for run in cells if run in ended}
        done = [run for run in rows if run in self._finished]
        failed = self._failed.keys() - self._finished
        return Standing(
            finished=len(done), failed=len(failed), pruned=len(rows) - len(done),
            running=sum('exit' not in run.note and run.is_alive for run in self._runs()),
            total=len(cells) if self._cells else self.sweep.run_cap,
            best=best(
                ((self._value(rows[run]), cells[run].title_by(self._varied)) for run in done),
                self.sweep.goal,
            ),
        )  # fmt: skip

    def _value(self, row: Mapping[str, Any]) -> float | None:
        if row['run'] not in self._values:
            self._values[row['run']] = None
            with contextlib.suppress(DataError):  # it has no such score
                value = value_of(row, self.sweep.metric, self.sweep.goal)
                self._values[row['run']] = value
        return self._values[row['run']]

    def _settle(self, run: AgentRun, cell: Cell) -> None:
        if cell.run in self._finished:
            return
        status, log = run.note['exit'], run.place / LOG
        early = bool(run.note['asked'])
        word = 'ended early by W&B' if early else f'failed (exit {status})'
        self.say(f'{cell.run} {word}: {cell.title}; its log: {log}')
        if not early:
            self._failed[cell.run] = cell
        elif self._cells:  # a grid has no cells that need no result: it is missing
            return
        if cell.run == run.place.name:  # of an unknown key
            return
        with FileLock(self.folder / AGENTS / 'collect.lock'):  # others may collect the same runs
            if run.place.name in {row.get('wandb_run') for row in self.ledger.rows()}:
                return
            attempt = self.ledger.failures()[cell.run] + 1
            what = {'exit': status, 'log': last_lines(log, LAST_LINES)}
            if early:
                what = {'status': 'pruned', **self._last_validation(cell)}
            row = unfinished_row(self.sweep, cell, self.fixed, attempt, None, **what)
            self.ledger.add({**row, 'wandb_run': run.place.name})

    def _last_validation(self, cell: Cell) -> dict[str, Any]:
        stage, score = validation_of(self.sweep)
        history = default_folder(self.sweep, cell.run) / stage / 'history.jsonl'
        rows = load_history(history) if history.is_file() else []
        values = [row[score] for row in rows if row['kind'] == 'val' and score in row]
        known = [(x, step) for step, x in enumerate(values, start=1) if math.isfinite(x)]
        value, step = known[-1] if known else (None, None)
        return {'value': value, 'step': step}

    def _runs(self) -> Iterator[AgentRun]:
        return agent_runs(self.folder, self.sweep_id)

    def _cell_of(self, run: AgentRun) -> Cell:
        """The cell of a run; with W&B's id for a key where it has none, as without data."""
        parameters = run.parameters(self.sweep)
        try:
            cell = cell_of(self.sweep, parameters, self.fixed)
        except ArmlError as error:
            self.say(f'W&B run {run.place.name}: nobody can say which cell it is: {error}')
            return Cell(parameters, run.place.name)
        return self._cells.get(cell.run, cell)

    def _candidates(self) -> list[tuple[Cell, Path]]:
        """Cells that may have a result, and where."""
        cells = self._cells or {cell.run: cell for cell in self._noted.values()}
        found = [(cell, default_folder(self.sweep, run)) for run, cell in cells.items()]
        if not self._cells:  # of a sweep that was registered by hand, which leaves no notes
            for work in Path('work_dirs').glob(f'{self.sweep.config.stem}-*'):
                if _sweep_of(work) == self.sweep_id and 'run' in (result := result_in(work)):
                    chosen: Mapping[str, Any] = result.get('overrides') or {}
                    names = [name for name in self.sweep.content['parameters'] if name in chosen]
                    found.append((Cell({k: chosen[k] for k in names}, result['run']), work))
        return found


def _sweep_of(work: Path) -> str | None:
    """The W&B sweep that a work dir's training was started by."""
    try:
        return json.loads((work / TRACKING).read_text(encoding='utf-8'))['W&B']['sweep']
    except (OSError, ValueError, KeyError, TypeError):
        return None
