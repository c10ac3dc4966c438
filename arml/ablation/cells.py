"""The cells of a sweep, known by what determines their results."""

import contextlib
import copy
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from arml.ablation.sweep_file import Sweep
from arml.ablation.values import as_options, read_options
from arml.config.load import load_config, read_config, resolve_config
from arml.errors import ConfigError
from arml.pipeline.data import files_at_rest
from arml.pipeline.keys import run_of
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        parameters: Values by dotted path.
        run: Key of the run: a hash of all that determines its result.
        equal: Further combinations of values that are the same run.
        stages: Key of each stage's product. Cells that have one in common share the product.
    """

    parameters: dict[str, Any]
    run: str
    equal: tuple[dict[str, Any], ...] = ()
    stages: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def options(self) -> list[str]:
        """What goes behind ``--cfg-options``."""
        return as_options(self.parameters)

    @property
    def title(self) -> str:
        """Its values in one line."""
        return ' = '.join(', '.join(as_options(each)) for each in (self.parameters, *self.equal))

    def title_by(self, names: Container[str]) -> str:
        """Its values of some parameters: of those that are not the same in all cells."""
        return ', '.join(as_options({n: v for n, v in self.parameters.items() if n in names}))


def cells_of(sweep: Sweep, fixed: Sequence[str] = ()) -> list[Cell]:
    """The cells of a grid; equal ones are one.

    Args:
        sweep: The grid.
        fixed: Further ``KEY=VALUE`` for all cells, for example the place of the data.

    Raises:
        ConfigError: If a cell's values do not go together or with ``fixed``, ``fixed`` sets a parameter, or the
            sweep is a search.
        ArmlError: If the data or a weight file, which are part of the hash, are not there.
    """
    plan = _Plan(sweep, fixed)
    by_run: dict[str, list[dict[str, Any]]] = {}
    stages: dict[str, dict[str, str]] = {}
    with files_at_rest():
        for parameters in sweep.combinations():
            keys = plan.keys(parameters)
            run = run_of(keys)
            by_run.setdefault(run, []).append(parameters)
            stages[run] = keys
    return [Cell(first, run, tuple(equal), stages[run]) for run, (first, *equal) in by_run.items()]


def cell_of(sweep: Sweep, parameters: Mapping[str, Any], fixed: Sequence[str] = ()) -> Cell:
    """The cell of some values, such as a search draws.

    Args:
        sweep: A grid or a search.
        parameters: Values by dotted path.
        fixed: As of :func:`cells_of`, which says what is raised, too.
    """
    keys = _Plan(sweep, fixed).keys(parameters)
    return Cell(dict(parameters), run_of(keys), stages=keys)


def run_of_file(path: str | os.PathLike, overrides: Mapping[str, Any]) -> str:
    """Key of the run of a config file, by itself as in any sweep.

    Args:
        path: The config.
        overrides: Dotted paths and values.

    Raises:
        ConfigError: If the file or an override is wrong.
        ArmlError: If the data or a weight file, which are part of the hash, are not there.
    """
    return run_of(_keys(load_config(path, dict(overrides), for_run=True)))


def tried_in(
    sweep: Sweep, lines: Iterable[Mapping[str, Any]], fixed: Sequence[str] = ()
) -> list[tuple[dict[str, Any], str]]:
    """The cells that a search has tried: values and key of the run of those lines of a ledger that are its cells.

    Args:
        sweep: A search.
        lines: Of the ledger. One of an edited config, of other data or of other options is none of its cells.
        fixed: As of :func:`cells_of`.
    """
    plan, found = _Plan(sweep, fixed), {}
    known = {*sweep.parameters, *sweep.space}
    with files_at_rest():
        for line in lines:
            parameters = dict(line.get('parameters') or {})
            if line['run'] in found or not parameters.keys() <= known:
                continue
            with contextlib.suppress(ConfigError):  # values that the config does not take any more
                if plan.run(parameters) == line['run']:
                    found[line['run']] = parameters
    return [(parameters, run) for run, parameters in found.items()]


def rows_of(cells: Iterable[Cell], finished: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The finished lines of a ledger that are of these cells, one for each combination of values.

    A line is found by its key alone, so what an edited config or other data left behind is not among
    them; the values are those of the sweep.

    Args:
        cells: Those of a sweep.
        finished: :meth:`arml.ablation.Ledger.finished`.
    """
    return [
        {**finished[cell.run], 'parameters': parameters}
        for cell in cells
        if cell.run in finished
        for parameters in (cell.parameters, *cell.equal)
    ]


class _Plan:
    """From values to the keys of the stages; the config is read once. Arguments as of :func:`cells_of`."""

    def __init__(self, sweep: Sweep, fixed: Sequence[str]) -> None:
        self.name = sweep.name
        self.others = read_options(fixed)
        for name in (*sweep.parameters, *sweep.space):
            if name in self.others:
                raise ConfigError(
                    f'--cfg-options: {name} is varied by the sweep {sweep.name}; the same value for all '
                    'cells would make them one. Leave it out.'
                )
        self.base = read_config(sweep.config)

    def run(self, parameters: Mapping[str, Any]) -> str:
        """Key of the run."""
        return run_of(self.keys(parameters))

    def keys(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Key of each stage's product, in order."""
        given = {**read_options(as_options(parameters)), **self.others}
        try:
            config = resolve_config(copy.deepcopy(self.base), given, for_run=True)
        except ConfigError as error:
            where = ', '.join(as_options(parameters))
            raise ConfigError(f'sweep {self.name}, cell {where}: {error}') from error
        return _keys(config)


def _keys(config: Config) -> dict[str, str]:
    plan = make_plan(build_stages(config), Store(config.store))
    return {item.stage.name: item.key for item in plan}
