"""A ledger as a table: one line a finished, pruned or failed cell."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from arml.report.result import newest_by_run

#: Columns that every line has, before parameters and scores.
COLUMNS = (
    'sweep',
    'run',
    'status',
    'seed',
    'attempt',
    'seconds',
    'finished_at',
    'commit',
    'work_dir',
)


def newest_rows(rows: Iterable[Mapping[str, Any]], runs: Iterable[str] | None = None) -> list[dict]:
    """One line of a ledger for each run: the finished one, else the newest.

    Args:
        rows: All lines, oldest first.
        runs: The runs that count, in this order; None: all, in the order of their first line.
    """
    found = newest_by_run(rows)
    return [dict(found[run]) for run in (found if runs is None else runs) if run in found]


def csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lines as CSV: what each has, its parameters by path, and its scores as ``<row>: <score>`` in percent."""
    flat = [_flat(row) for row in rows]
    columns = list(COLUMNS)
    for line in flat:
        columns += [name for name in line if name not in columns]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    line = {name: row[name] for name in COLUMNS if row.get(name) is not None}
    line.update(row.get('parameters') or {})
    for part in row.get('rows') or []:
        line.update({f'{part["name"]}: {name}': x for name, x in part['metrics'].items()})
    for stage, best in (row.get('validation') or {}).items():
        line[f'{stage}/val/{best["metric"]}'] = best['value']
    return line
