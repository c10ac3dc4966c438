"""W&B filled again from the ledger of a sweep, whatever became of the trackers of its runs."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from arml.errors import ArmlError
from arml.report.result import load_history, newest_by_run
from arml.tracking import names
from arml.tracking.tracker import RunInfo
from arml.tracking.wandb_tracker import WandbTracker

#: What of a row becomes a column in W&B beside its parameters.
COLUMNS = ('seed', 'commit', 'versions', 'machine', 'gpu', 'dataset', 'finished_at', 'attempt')
#: Folder beside the work dirs for W&B's own files.
FOLDER = 'wandb_export'


class NamedSweep(Protocol):
    """What is taken of a sweep: :class:`arml.ablation.Sweep`."""

    name: str

    @property
    def tags(self) -> list[str]:
        """Tags of its runs: the paper's table."""


def export_ledger(
    rows: Iterable[Mapping[str, Any]],
    sweep: NamedSweep,
    project: str | None = None,
    entity: str | None = None,
) -> int:
    """Write each cell of a ledger into W&B as a run: settings, curves, tables, tiles, scores.

    The id of a run is the cell's, and a run that is there already is replaced: the second time nothing
    is added. ``WANDB_MODE=offline`` writes to disk for ``wandb sync``, in the folder ``wandb_export``
    beside the work dirs.

    Args:
        rows: Lines of the ledger; of several of one cell a finished one counts, else the newest.
        sweep: Names the group, and the tags.
        project: W&B project; ``WANDB_PROJECT`` or ``arml`` without one.
        entity: W&B entity; the account's own without one.

    Returns:
        The number of runs written.

    Raises:
        ArmlError: If wandb is missing, or a run cannot be written: no server, no login.
    """
    newest = newest_by_run(rows)
    for count, row in enumerate(newest.values()):
        try:
            _export(row, sweep, project, entity)
        except Exception as error:
            raise ArmlError(
                f'sweep {sweep.name}, run {row["run"]}: cannot be written to W&B: '
                f'{type(error).__name__}: {error}. {count} of {len(newest)} runs were written; the same '
                'command writes all of them again. WANDB_MODE=offline needs no server, wandb login an '
                'account.'
            ) from error
    return len(newest)


def _export(
    row: Mapping[str, Any], sweep: NamedSweep, project: str | None, entity: str | None
) -> None:
    work = Path(row['work_dir']) if row.get('work_dir') else None
    folder = (work.parent if work is not None else Path.cwd()) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in (folder / 'wandb').glob(f'offline-run-*-{row["run"]}'):
        shutil.rmtree(earlier)  # an earlier export of the same cell
    parameters = dict(row.get('parameters') or {})
    given: dict[str, Any] = {
        'id': row['run'], 'resume': None, 'name': names.title(parameters), 'group': sweep.name,
        'tags': list(dict.fromkeys([*sweep.tags, *names.listed(os.environ.get('WANDB_TAGS'))])),
        'dir': str(folder),
    }  # fmt: skip
    given.update({k: v for k, v in (('project', project), ('entity', entity)) if v})
    settings = {'cell': row['run'], 'config': row.get('config'), **parameters}
    settings.update({key: row[key] for key in COLUMNS if row.get(key) is not None})
    info = RunInfo(folder / row['run'], row['run'], given['name'], settings)
    tracker = WandbTracker(info, given)
    try:
        _write(tracker, row, work)
    except BaseException:
        tracker.close(1)
        raise
    tracker.close(0 if row['status'] == 'finished' else 1)


def _write(tracker: WandbTracker, row: Mapping[str, Any], work: Path | None) -> None:
    for stage, file in (row.get('histories') or {}).items():
        if work is not None and (work / file).is_file():
            for point in names.points_of_history(stage, load_history(work / file)):
                tracker.log(point, stage)
    if row.get('rows'):
        tracker.result(row, work if work is not None else Path())
    if row.get('log'):
        tracker.run.summary['log'] = '\n'.join(row['log'])
