"""What a cell left behind, as a line of the ledger; and the score that a sweep is led by."""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arml.ablation.cells import Cell
from arml.ablation.sweep_file import SEED, Sweep
from arml.errors import DataError
from arml.report.result import load_history

#: Lines of its log that a failed cell leaves in the ledger.
LAST_LINES = 20
#: How many of them are shown.
SHOWN_LINES = 5
#: What a finished cell's line takes over from its ``result.json``.
KEPT = (
    'seed', 'commit', 'versions', 'machine', 'processor', 'threads', 'gpu', 'dataset', 'classes', 'data', 'rows',
    'stages', 'validation', 'histories', 'title', 'config_file',
)  # fmt: skip


def finished_row(
    sweep: Sweep,
    cell: Cell,
    fixed: Sequence[str],
    work: Path,
    attempt: int,
    seconds: float | None = None,
) -> dict[str, Any] | None:
    """The line of a cell whose work dir holds its result; None if it holds none, or another run's.

    Args:
        sweep: The sweep file.
        cell: One of its cells.
        fixed: Further ``KEY=VALUE`` for all cells.
        work: The cell's work dir.
        attempt: How often it was started, >= 1.
        seconds: What its process took; None: what the run itself says.
    """
    result = result_in(work)
    if result.get('run') != cell.run:
        return None
    kept = {key: result.get(key) for key in KEPT}
    row = row_of(sweep, cell, fixed, attempt, result.get('seconds') if seconds is None else seconds)
    return {**row, 'status': 'finished', 'work_dir': str(work), **kept}


def unfinished_row(
    sweep: Sweep,
    cell: Cell,
    fixed: Sequence[str],
    attempt: int,
    seconds: float | None,
    status: str = 'failed',
    **more: Any,
) -> dict[str, Any]:
    """The line of an attempt without a result.

    Args:
        sweep: The sweep file.
        cell: One of its cells.
        fixed: Further ``KEY=VALUE`` for all cells.
        attempt: Its number, >= 1.
        seconds: What it took; None if nobody knows.
        status: ``failed`` or ``pruned``.
        **more: ``exit`` and ``log`` of a failed one, ``value`` and ``step`` of a pruned one.
    """
    return {**row_of(sweep, cell, fixed, attempt, seconds), 'status': status, **more}


def row_of(
    sweep: Sweep, cell: Cell, fixed: Sequence[str], attempt: int, seconds: float | None
) -> dict[str, Any]:
    """What all lines of the ledger have."""
    return {
        'sweep': sweep.name,
        'config': sweep.config.stem,
        'run': cell.run,
        'parameters': cell.parameters,
        'fixed': list(fixed),
        'seed': cell.parameters.get(SEED),
        'finished_at': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        'seconds': None if seconds is None else round(seconds, 1),
        'attempt': attempt,
    }


def last_words(row: Mapping[str, Any]) -> str:
    """The end of a failed cell's log, of its line in the ledger, to be printed below its title; empty without one."""
    shown = (row.get('log') or [])[-SHOWN_LINES:]
    return ''.join(f'\n    {line}' for line in shown)


def result_in(work: Path) -> dict[str, Any]:
    """What a run left as its result; empty if nothing that can be read."""
    file = work / 'result.json'
    try:
        found = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def value_of(row: Mapping[str, Any], metric: str, goal: str = 'maximize') -> float:
    """The score of a finished line.

    Args:
        row: A finished line.
        metric: ``test/<score>``: of the last row of the test split. ``<stage>/val/<score>``: the best
            validation of a training, by its history or, where that is gone, the one that chose its epoch.
        goal: ``maximize`` or ``minimize``: what the best is.

    Raises:
        DataError: If the line has no such score, or it is not finite; names what there is.
    """
    place, _, score = metric.rpartition('/')
    if place == 'test':
        rows = [line for line in row.get('rows') or [] if line.get('split') == 'test']
        found = (rows[-1]['metrics'] if rows else {}).get(score)
        known = [f'test/{name}' for line in rows[-1:] for name in line['metrics']]
    else:
        stage, _, kind = place.partition('/')
        file = (row.get('histories') or {}).get(stage)
        scores: list[dict[str, Any]] = []
        if file is not None and (Path(row['work_dir']) / file).is_file():
            scores = [x for x in load_history(Path(row['work_dir']) / file) if x['kind'] == kind]
        found = best_of((x[score] for x in scores if score in x), goal)
        kept = (row.get('validation') or {}).get(stage) or {}
        if not scores and kind == 'val' and kept.get('metric') == score:
            found = kept['value']  # of a ledger that was kept without its work dirs
        known = [f'{place}/{name}' for line in scores[-1:] for name in line]
        known = known or [f'{name}/val/...' for name in row.get('histories') or {}]
    if found is None or not math.isfinite(found):
        raise DataError(
            f'sweep {row["sweep"]}, run {row["run"]}: metric {metric}: found {found!r}, expected a number. '
            f'The run has {", ".join(known) or "no scores there"}. Name one of them in the sweep file.'
        )
    return float(found)


def best_of(values: Iterable[float], goal: str) -> float | None:
    """The largest or the least of some numbers; None of none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return None
    return min(finite) if goal == 'minimize' else max(finite)
