"""Searches: cells that a sampler proposes, ended early where their validation is behind the others'."""

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState

from arml.ablation.cells import Cell, cell_of
from arml.ablation.live import Standing
from arml.ablation.outcome import value_of
from arml.ablation.queue import Queue, Work, attributes_of, best, cell_in
from arml.ablation.space import Distribution
from arml.ablation.study import LIVE, newest_by_cell
from arml.ablation.sweep_file import Sweep
from arml.errors import ConfigError, DataError
from arml.report.result import load_history

#: Sampler of each method of W&B's schema.
SAMPLERS = {'random': 'RandomSampler', 'bayes': 'TPESampler'}
#: Finished cells before the median of the others ends one.
STARTUP = 5


class SearchQueue(Queue):
    """The cells of a search: up to ``run_cap`` that are finished, ended early or failed for good.

    Args:
        work: Sweep and places.
        say: Takes messages.

    Raises:
        ConfigError: If the metric is no validation score.
    """

    def __init__(self, work: Work, say: Callable[[str], None]) -> None:
        super().__init__(work, say)
        self.stage, self.score = validation_of(work.sweep)
        self._without_score: set[str] = set()
        self._known = {
            name: optuna_distribution(found)
            for name, found in work.sweep.space.items()
            if not is_constant(found)
        }
        self._constants = {
            name: found.choices[0] for name, found in work.sweep.space.items() if is_constant(found)
        }

    @property
    def space(self) -> Any:
        """Distributions and constants, what is fixed, and the key of one cell, which the config changes."""
        known = {
            name: optuna.distributions.distribution_to_json(found)
            for name, found in self._known.items()
        }
        first = self._cell({name: low_end(found) for name, found in self._known.items()})
        return [known, self._constants, first.run]

    def cell_of(self, trial: Trial) -> Cell:
        """The cell of what the sampler proposes; a trial that was tried before keeps its values."""
        params = {name: suggested(trial, name, found) for name, found in self._known.items()}
        return self._cell(params)

    def value(self, row: dict[str, Any]) -> float:
        """The best validation.

        Raises:
            DataError: If the line has none.
        """
        return value_of(row, self.work.sweep.metric, self.work.sweep.goal)

    def all_cells(self, study: optuna.Study) -> list[Cell]:
        """Those that failed for good; nothing else is missing in a search."""
        lost = self._lost(study)
        return [cell_in(trial) for run, trial in newest_by_cell(study).items() if run in lost]

    def standing(self, study: optuna.Study) -> Standing:
        """By the study."""
        trials = study.get_trials(deepcopy=False)
        states = Counter(trial.state for trial in trials)
        done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        values = [(trial.value, cell_in(trial).title) for trial in done]
        return Standing(
            finished=len(done), failed=len(self._lost(study)), running=states[TrialState.RUNNING],
            pruned=states[TrialState.PRUNED], total=self.work.sweep.run_cap,
            best=best(values, self.work.sweep.goal),
        )  # fmt: skip

    def refill(self, study: optuna.Study) -> None:
        """Try again what failed or was stopped; add to a new study what the ledger has."""
        newest = newest_by_cell(study)
        rows, given_up = self.work.ledger.ended(), self.work.given_up()
        for run, trial in newest.items():
            if trial.state is not TrialState.FAIL:
                continue
            if run in rows:  # it was taken for dead, and had an end after all
                self._add_known(study, run, rows[run])
            elif not given_up(run):
                study.add_trial(
                    optuna.create_trial(
                        state=TrialState.WAITING, params=trial.params,
                        distributions=trial.distributions, user_attrs=attributes_of(cell_in(trial)),
                    )
                )  # fmt: skip
        if not newest:
            for run, row in rows.items():
                self._add_known(study, run, row)

    def may_ask(self, study: optuna.Study) -> bool:
        """Whether fewer than ``run_cap`` cells count."""
        cap = self.work.sweep.run_cap
        return cap is None or self.count(study) < cap

    def count(self, study: optuna.Study) -> int:
        """Cells that are finished, ended early, running, waiting, or failed for good."""
        trials = study.get_trials(deepcopy=False)
        counted = (*LIVE, TrialState.COMPLETE, TrialState.PRUNED)
        return sum(trial.state in counted for trial in trials) + len(self._lost(study))

    def _lost(self, study: optuna.Study) -> set[str]:
        given_up = self.work.given_up()
        return {
            run
            for run, trial in newest_by_cell(study).items()
            if trial.state is TrialState.FAIL and given_up(run)
        }

    def watch(self, trial: Trial, cell: Cell) -> 'Watch':
        """Report each validation to the study as it comes, until the pruner has seen enough."""
        history = self.work.folder / cell.run / self.stage / 'history.jsonl'
        return Watch(trial, history, self.score)

    def _cell(self, params: Mapping[str, Any]) -> Cell:
        return cell_of(self.work.sweep, {**self._constants, **params}, self.work.fixed)

    def _add_known(self, study: optuna.Study, run: str, row: Mapping[str, Any]) -> None:
        """Add what the ledger has to a study that does not know it, if it is a cell of this search."""
        params = {name: row['parameters'].get(name) for name in self._known}
        if run in self._without_score:
            return
        if None in params.values() or not all(
            contains(self._known[name], value) for name, value in params.items()
        ):
            return
        cell = self._cell(params)
        if cell.run != run:  # of another config or other data
            return
        state, value = TrialState.PRUNED, row.get('value')
        if row['status'] == 'finished':
            try:
                state, value = TrialState.COMPLETE, self.value(row)
            except DataError as error:
                self._without_score.add(run)
                self.say(f'{run}: left out of the search: {error}')
                return
        study.add_trial(
            optuna.create_trial(
                state=state, value=value, params=params, distributions=self._known,
                user_attrs=attributes_of(cell),
                intermediate_values={} if value is None else {int(row.get('step') or 1): value},
            )
        )  # fmt: skip


class Watch:
    """The validations of a running training, reported to its trial.

    Args:
        trial: Of the cell that runs.
        history: File that the training writes them into.
        score: Which of a validation's scores.

    Attributes:
        last: Value and step of the last one that was reported; None before.
    """

    def __init__(self, trial: Trial, history: Path, score: str) -> None:
        self._trial, self._history, self._score = trial, history, score
        self._seen = 0
        self._state: tuple[int, int] | None = None
        self.last: tuple[float, int] | None = None

    def look(self) -> bool:
        """Report what is new; whether the training should end."""
        try:
            stat = self._history.stat()
        except FileNotFoundError:
            return False
        if (stat.st_mtime_ns, stat.st_size) == self._state:
            return False
        self._state = (stat.st_mtime_ns, stat.st_size)
        rows = [r for r in load_history(self._history) if r['kind'] == 'val' and self._score in r]
        new = rows[self._seen :]
        try:
            for step, row in enumerate(new, start=self._seen + 1):
                if math.isfinite(row[self._score]):
                    self._trial.report(row[self._score], step)
                    self.last = row[self._score], step
            self._seen = max(len(rows), self._seen)
            return bool(new) and self.last is not None and self._trial.should_prune()
        except optuna.exceptions.StorageInternalError:  # no reason to end a training
            self._state = None
            return False
        except optuna.exceptions.UpdateFinishedTrialError:  # it was taken for dead; it lives
            return False


def validation_of(sweep: Sweep) -> tuple[str, str]:
    """Stage and score of a search's metric.

    Raises:
        ConfigError: If it is none of a validation: a search that sees the test split has no test left.
    """
    stage, kind, score = (*str(sweep.metric).split('/', 2), '', '')[:3]
    if kind != 'val' or not stage or not score:
        raise ConfigError(
            f'sweep {sweep.name}: metric: found {sweep.metric!r}, expected a validation score such as '
            'segmentor/val/mIoU. A search must not be led by the test split.'
        )
    return stage, score


def optuna_distribution(found: Distribution) -> BaseDistribution:
    """A distribution of a sweep file as Optuna's."""
    if found.kind == 'categorical':
        return CategoricalDistribution(found.choices)
    if found.kind == 'int':
        return IntDistribution(int(found.low), int(found.high), step=int(found.step or 1))
    return FloatDistribution(found.low, found.high, log=found.log, step=found.step)


def is_constant(found: Distribution) -> bool:
    """Whether it is a single value."""
    return len(found.choices) == 1


def suggested(trial: Trial, name: str, found: BaseDistribution) -> Any:
    """The sampler's value for a parameter, or what a trial that is tried again had."""
    if isinstance(found, CategoricalDistribution):
        return trial.suggest_categorical(name, found.choices)
    if isinstance(found, IntDistribution):
        return trial.suggest_int(name, found.low, found.high, step=found.step)
    return trial.suggest_float(name, found.low, found.high, log=found.log, step=found.step)


def low_end(found: BaseDistribution) -> Any:
    """One of its values."""
    return found.choices[0] if isinstance(found, CategoricalDistribution) else found.low


def contains(found: BaseDistribution, value: Any) -> bool:
    """Whether a value is one of a distribution's."""
    if isinstance(found, CategoricalDistribution):
        return value in found.choices
    return isinstance(value, int | float) and found.low <= value <= found.high


def sampler_of(name: str | None, method: str, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler of a search.

    Args:
        name: Of Optuna's; None: that of the method.
        method: ``random`` or ``bayes``.
        seed: Of its random numbers.

    Raises:
        ConfigError: If there is none of that name, or it needs what is not installed.
    """
    name = name or SAMPLERS[method]
    known = {
        each: cls
        for each, cls in vars(optuna.samplers).items()
        if inspect.isclass(cls)
        and issubclass(cls, optuna.samplers.BaseSampler)
        and 'seed' in inspect.signature(cls).parameters
        and not each.startswith(('Base', 'NSGA', 'Grid', 'BruteForce'))
    }
    if name not in known:
        raise ConfigError(f'--sampler: found {name!r}, expected one of {", ".join(sorted(known))}')
    try:
        return known[name](seed=seed)
    except (ImportError, TypeError) as error:
        raise ConfigError(f'--sampler {name}: {error}') from error


def pruner_of(early_terminate: Mapping[str, Any] | None) -> optuna.pruners.BasePruner:
    """The rule that ends cells early: W&B's hyperband, or the median of the finished ones.

    A step is a validation. ``min_iter`` is the first one at which a cell may end; with ``max_iter`` and ``s``
    instead it is ``max_iter / eta**s``.
    """
    if early_terminate is None:
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP)
    eta = int(early_terminate.get('eta', 3))
    last = early_terminate.get('max_iter')
    first = early_terminate.get('min_iter')
    if first is None:
        first = max(int(last / eta ** int(early_terminate.get('s', 1))), 1) if last else 1
    return optuna.pruners.HyperbandPruner(
        min_resource=int(first), max_resource=int(last) if last else 'auto', reduction_factor=eta
    )
