"""The cells of a sweep, known by what determines their results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arml.ablation.grid import Sweep, read_options
from arml.config import load_config
from arml.errors import ConfigError
from arml.pipeline.keys import digest
from arml.pipeline.run import build_stages, make_plan
from arml.pipeline.store import Store


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        parameters: Values by dotted path.
        run: Key of the run: a hash of all that determines its result.
        equal: Further combinations of values that are the same run.
    """

    parameters: dict[str, Any]
    run: str
    equal: tuple[dict[str, Any], ...] = ()

    @property
    def options(self) -> list[str]:
        """What goes behind ``--cfg-options``."""
        return _options(self.parameters)

    @property
    def title(self) -> str:
        """Its values in one line."""
        return ' = '.join(', '.join(_options(each)) for each in (self.parameters, *self.equal))


def cells_of(sweep: Sweep, fixed: Sequence[str] = ()) -> list[Cell]:
    """The cells of a sweep; equal ones are one.

    Args:
        sweep: The grid.
        fixed: Further ``KEY=VALUE`` for all cells, for example the place of the data.

    Raises:
        ConfigError: If a parameter is no leaf of the config or none of a leaf's choices, or ``fixed`` sets a
            parameter.
        ArmlError: If the data or a weight file, which are part of the hash, are not there.
    """
    others = read_options(fixed)
    for name in sweep.parameters:
        if name in others:
            raise ConfigError(
                f'--cfg-options: {name} is varied by the sweep {sweep.name}; the same value for all '
                'cells would make them one. Leave it out.'
            )
    by_run: dict[str, list[dict[str, Any]]] = {}
    for parameters in sweep.combinations():
        given = {**read_options(_options(parameters)), **others}
        try:
            config = load_config(sweep.config, given, for_run=True)
        except ConfigError as error:
            where = ', '.join(_options(parameters))
            raise ConfigError(f'sweep {sweep.name}, cell {where}: {error}') from error
        plan = make_plan(build_stages(config), Store(config.store))
        by_run.setdefault(digest([item.key for item in plan], 8), []).append(parameters)
    return [Cell(first, run, tuple(equal)) for run, (first, *equal) in by_run.items()]


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


def _options(parameters: Mapping[str, Any]) -> list[str]:
    return [f'{name}={value}' for name, value in parameters.items()]
