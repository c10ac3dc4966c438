"""W&B filled again from the ledger of a sweep, whatever became of the trackers of its runs."""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from arml.errors import ArmlError
from arml.report.result import load_history, newest_by_run
from arml.tracking import names
from arml.tracking.products import kind_of, made_of
from arml.tracking.tracker import RunInfo
from arml.tracking.wandb_tracker import WandbTracker

#: What of a row becomes a column in W&B beside its parameters.
COLUMNS = (
    'seed', 'commit', 'versions', 'machine', 'processor', 'threads', 'gpu', 'dataset', 'finished_at', 'attempt',
)  # fmt: skip
#: Where ``tools/sweep.py`` runs a cell, for lines that do not say so: of attempts that have no result.
WORK = 'work_dirs/sweeps/{sweep}/{run}'
#: In the folder of a product, which a work dir links to under the name of its stage.
RECORD = 'product.json'
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
    say: Callable[[str], None] = print,
) -> int:
    """Write each cell of a ledger into W&B as a run: settings, config, curves, products, tables, tiles, scores.

    Curves, products, tiles and the config are no part of a ledger: they are taken from the work dirs and the
    store, and what is not there is left out, and said in one line.

    The id of a run is the cell's, and a run that is there already is replaced: the second time nothing
    is added. ``WANDB_MODE=offline`` writes to disk for ``wandb sync``, in the folder ``wandb_export``
    beside the work dirs.

    Args:
        rows: Lines of the ledger; of several of one cell a finished one counts, else the newest.
        sweep: Names the group, and the tags.
        project: W&B project; ``WANDB_PROJECT`` or ``arml`` without one.
        entity: W&B entity; the account's own without one.
        say: Takes that line.

    Returns:
        The number of runs written.

    Raises:
        ArmlError: If wandb is missing, or a run cannot be written: no server, no login.
    """
    newest = newest_by_run(rows)
    missing = Missing()
    for count, row in enumerate(newest.values()):
        try:
            _export(row, sweep, project, entity, missing)
        except Exception as error:
            raise ArmlError(
                f'sweep {sweep.name}, run {row["run"]}: cannot be written to W&B: '
                f'{type(error).__name__}: {error}. {count} of {len(newest)} runs were written; the same '
                'command writes all of them again. WANDB_MODE=offline needs no server, wandb login an '
                'account.'
            ) from error
    if missing:
        say(f'warning: {sweep.name}: {missing}')
    return len(newest)


class Missing:
    """What was sought for an export and is not there."""

    def __init__(self) -> None:
        self._places: dict[str, list[Path]] = defaultdict(list)

    def found(self, what: str, file: Path) -> bool:
        """Whether a file is there; remembers it if not."""
        if file.is_file():
            return True
        self._places[what].append(file)
        return False

    def __bool__(self) -> bool:
        return bool(self._places)

    def __str__(self) -> str:
        parts = [
            f'{len(files)} {what} (sought in {files[0]}{" and so on" if files[1:] else ""})'
            for what, files in self._places.items()
        ]
        return (
            f'not in W&B, because they are not here: {", ".join(parts)}. A ledger has scores only; export where '
            'the work dirs and the store lie.'
        )


def _export(
    row: Mapping[str, Any],
    sweep: NamedSweep,
    project: str | None,
    entity: str | None,
    missing: Missing,
) -> None:
    work = Path(row.get('work_dir') or WORK.format(sweep=sweep.name, run=row['run']))
    folder = work.parent / FOLDER
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
    files = [work / 'config.py', work / 'environment.json']
    if row['status'] == 'finished':  # others may have ended before they wrote them
        files = [file for file in files if missing.found('files of the config', file)]
    files = [file for file in files if file.is_file()]
    info = RunInfo(folder / row['run'], row['run'], given['name'], settings, tuple(files))
    tracker = WandbTracker(info, given)
    try:
        _write(tracker, row, work, missing)
    except BaseException:
        tracker.close(1)
        raise
    tracker.close(0 if row['status'] == 'finished' else 1)


def _write(tracker: WandbTracker, row: Mapping[str, Any], work: Path, missing: Missing) -> None:
    for stage, file in (row.get('histories') or {}).items():
        if missing.found('histories', work / file):
            for point in names.points_of_history(stage, load_history(work / file)):
                tracker.log(point, stage)
    _write_products(tracker, row, work, missing)
    if row.get('rows'):
        tracker.result(row, work)
    if row.get('log'):
        tracker.run.summary['log'] = '\n'.join(row['log'])


def _write_products(
    tracker: WandbTracker, row: Mapping[str, Any], work: Path, missing: Missing
) -> None:
    """The descent of the segmentor, as the run itself logs it: what it made, and what it found made."""
    stages = row.get('stages') or {}
    records = {
        stage: json.loads((work / stage / RECORD).read_text(encoding='utf-8'))
        for stage in stages
        if missing.found('products', work / stage / RECORD)
    }
    records = {stage: record for stage, record in records.items() if kind_of(record) is not None}
    tracked = {record['key']: stage for stage, record in records.items()}
    for stage, record in records.items():
        made = made_of((work / stage).resolve(), record, tracked)
        tracker.product(made, stages[stage].get('reused', False))
