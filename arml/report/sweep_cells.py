"""The cells of a sweep beside what its ledger says of them, grouped over seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from arml.errors import DataError
from arml.report.labels import label_of
from arml.report.result import load_result, newest_by_run
from arml.report.rows import MAPS, RESULT, find_row, role_of, row_of

SEED = 'randomness.seed'
#: What lines of older versions lack, and the result in the work dir has.
IN_RESULT = ('classes', 'histories', 'stages')


@dataclass(frozen=True)
class Entry:
    """One combination of values and what became of it.

    Attributes:
        parameters: Values by dotted path, the seed included.
        run: Key of the run.
        status: ``'finished'``, ``'failed'``, ``'pruned'`` or ``'missing'``.
        row: Its newest line of the ledger that counts; None if missing.
    """

    parameters: Mapping[str, Any]
    run: str
    status: str
    row: Mapping[str, Any] | None = None

    @property
    def seed(self) -> Any:
        """The seed: as varied, or as the run says; None if neither is known."""
        return self.parameters.get(SEED, (self.row or {}).get('seed'))

    @property
    def reason(self) -> str:
        """The last line of the log of a failed one; empty otherwise."""
        log = (self.row or {}).get('log') or []
        return next((line.strip() for line in reversed(log) if line.strip()), '')

    def line(self, name: str) -> Mapping[str, Any] | None:
        """A line of its table, with ``split`` and ``metrics``; None if it is not finished.

        Raises:
            DataError: If it is finished and has no such line.
        """
        if self.status != 'finished':
            return None
        return row_of(self.row['rows'], name, f'run {self.run}')

    def metrics(self, name: str) -> Mapping[str, Any]:
        """The scores of a line of its table; empty if it is not finished.

        Raises:
            DataError: If it is finished and has no such line.
        """
        line = self.line(name)
        return {} if line is None else line['metrics']


@dataclass(frozen=True)
class SweepRuns:
    """A sweep and all that is known of its cells.

    Attributes:
        name: Its name.
        config: Name of the config that it varies.
        tag: Table of the paper that it repeats, ``'table3'``; None if none.
        method: ``'grid'``, ``'random'`` or ``'bayes'``.
        metric: The metric that its file names, ``'test/mIoU'`` or ``'segmentor/val/mIoU'``.
        goal: ``'maximize'`` or ``'minimize'``.
        entries: Of a grid: one per combination; of a search: one per run.
        strangers: Finished lines of the ledger that are no cells of the sweep as it is now.
        logarithmic: Parameters of a search that are drawn on a logarithmic scale.
        upper_bounds: Values of a parameter that are upper bounds, by its name.
        variants: Values of a parameter that are variants of another of its values, and which, by its name.
    """

    name: str
    config: str
    tag: str | None
    method: str
    metric: str
    goal: str
    entries: Sequence[Entry]
    strangers: int = 0
    logarithmic: frozenset[str] = frozenset()
    upper_bounds: Mapping[str, frozenset[str]] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def finished(self) -> list[Entry]:
        """The finished ones."""
        return [entry for entry in self.entries if entry.status == 'finished']

    def is_upper_bound(self, values: Mapping[str, Any]) -> bool:
        """Whether a combination of values is an upper bound."""
        return any(str(values.get(name)) in known for name, known in self.upper_bounds.items())

    def variant_of(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The values of which those of a combination are variants, by the name of the parameter."""
        return {
            name: known[str(values.get(name))]
            for name, known in self.variants.items()
            if str(values.get(name)) in known
        }

    @cached_property
    def dataset(self) -> str:
        """Name of the data set of its finished runs.

        Raises:
            DataError: If no run is finished, or they are of several data sets.
        """
        return self._one('dataset', lambda row: str(row['dataset']))

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, of the finished runs.

        Raises:
            DataError: If no run is finished, or they have different classes.
        """
        return self._one('classes', _classes).split(', ')

    def _one(self, what: str, read: Any) -> str:
        found = dict.fromkeys(read(entry.row) for entry in self.finished)
        if not found:
            raise DataError(
                f'sweep {self.name}: none of its {len(self.entries)} cells is finished; run it first: '
                f'tools/sweep.py run. {self._what_else()}'
            )
        if len(found) > 1:
            raise DataError(
                f'sweep {self.name}: its runs are of several {what}: {" and ".join(found)}; '
                'a table is of one'
            )
        return next(iter(found))

    def _what_else(self) -> str:
        reasons = dict.fromkeys(entry.reason for entry in self.entries if entry.reason)
        lines = [f'Failed: {reason}.' for reason in reasons]
        if self.strangers:
            lines.append(
                f'The ledger has {self.strangers} finished runs that are no cells of it: of another config, '
                'data or --cfg-options.'
            )
        return ' '.join(lines)


def _classes(row: Mapping[str, Any]) -> str:
    if row.get('classes'):
        return ', '.join(row['classes'])
    # A line of an older version, and its work dir is gone: only the scores name them.
    names = [k[4:] for line in row['rows'] for k in line['metrics'] if k.startswith('IoU.')]
    return ', '.join(dict.fromkeys(names))


def entries_of(
    cells: Iterable[tuple[Mapping[str, Any], str]],
    lines: Sequence[Mapping[str, Any]],
    folder: Path | None = None,
) -> list[Entry]:
    """What a ledger says of each cell.

    Args:
        cells: Values and key of the run of each; equal cells have the same key.
        lines: All lines of the ledger, oldest first. A finished line counts more than any other, of equal
            ones the newest.
        folder: Where the work dirs of the cells lie, if not where their lines say.

    Raises:
        DataError: If a work dir that is needed holds a result that cannot be read.
    """
    known = newest_by_run(lines)
    for run, line in known.items():
        if line['status'] == 'finished':
            known[run] = _located(line, folder)
    return [
        Entry(parameters, run, known[run]['status'] if run in known else 'missing', known.get(run))
        for parameters, run in cells
    ]


def _located(line: Mapping[str, Any], folder: Path | None) -> Mapping[str, Any]:
    """A finished line with the work dir where it is now, and what lines of older versions lack."""
    work = Path(line['work_dir']) if line.get('work_dir') else None
    if folder is not None and (work is None or not work.is_dir()):
        work = folder / line['run']
    if work is None or not work.is_dir():
        return line
    lacking = [name for name in IN_RESULT if not line.get(name)]
    if lacking and (work / 'result.json').is_file():
        result = load_result(work)
        if result.get('run') == line['run']:
            line = {**line, **{name: result.get(name) for name in lacking}}
    return {**line, 'work_dir': str(work)}


@dataclass(frozen=True)
class Group:
    """The cells that differ in the seed only: one line of a table.

    Attributes:
        values: The varied parameters but the seed, by dotted path.
        entries: Its cells, one a seed.
        upper_bound: Whether it is shown beside the others and does not compete with them.
        variant_of: Values of which its own are variants: of the same method as the line that has them.
        alike: Values of further groups whose maps it stands for.
    """

    values: Mapping[str, Any]
    entries: list[Entry] = field(default_factory=list)
    upper_bound: bool = False
    variant_of: Mapping[str, Any] = field(default_factory=dict)
    alike: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Its values in one line, then the result that it shows where lines show several."""
        if RESULT not in self.values:
            return label_of(self.values)
        own = [label_of(self.own)] if self.own else []
        return ', '.join([*own, self.values[RESULT]])

    @property
    def own(self) -> dict[str, Any]:
        """Its values without the result: those of its runs."""
        return {name: value for name, value in self.values.items() if name != RESULT}

    def scores(self, row: str, metric: str) -> dict[Any, float]:
        """A score by seed, of the cells that have it.

        Raises:
            DataError: If a finished cell has no such line.
        """
        found = {}
        for entry in self.entries:
            value = entry.metrics(row).get(metric)
            if value is not None and math.isfinite(value):
                found[entry.seed] = float(value)
        return found


def varied(entries: Iterable[Entry]) -> list[str]:
    """The parameters with more than one value, without the seed, in the order of the sweep."""
    values: dict[str, set[str]] = {}
    for entry in entries:
        for name, value in entry.parameters.items():
            values.setdefault(name, set()).add(repr(value))
    return [name for name, found in values.items() if len(found) > 1 and name != SEED]


def groups_of(entries: Iterable[Entry]) -> list[Group]:
    """Groups of cells that differ in the seed only, in the order of the sweep."""
    entries = list(entries)
    names = varied(entries)
    groups: dict[tuple, Group] = {}
    for entry in entries:
        values = {name: entry.parameters.get(name) for name in names}
        key = tuple(map(repr, values.values()))
        groups.setdefault(key, Group(values)).entries.append(entry)
    return list(groups.values())


def split_by_row(groups: Iterable[Group], rows: Sequence[str]) -> list[Group]:
    """Lines of a table that shows several lines of each run, such as its maps beside its segmentor.

    Args:
        groups: Of a sweep.
        rows: Names of lines or what they are of (:data:`arml.report.rows.ROLES`). With one, nothing changes.

    Returns:
        A group for each row that its finished runs have, told apart by the value of ``result``; each reads its
        line under the name of the first row. A group without a finished run is of the first row. Maps that are one
        product are one group, the first that has them, which names the others (:attr:`Group.alike`).
    """
    groups = list(groups)
    if len(rows) < 2:
        return groups
    found: list[Group] = []
    for group in groups:
        done = [entry for entry in group.entries if entry.status == 'finished']
        for name in rows:
            if not done and name == rows[0] or any(find_row(e.row['rows'], name) for e in done):
                entries = [_reading(entry, name, rows[0]) for entry in group.entries]
                one = replace(
                    group, values={**group.values, RESULT: name}, entries=entries, alike=[]
                )
                twin = next((each for each in found if _same_maps(one, each)), None)
                if twin is None:
                    found.append(one)
                else:
                    twin.alike.append(group.values)
    return found


def _same_maps(group: Group, other: Group) -> bool:
    """Whether all maps of a group are products of another one, too."""
    ours, theirs = _maps_of(group), _maps_of(other)
    return bool(ours) and None not in ours.values() and ours.items() <= theirs.items()


def _maps_of(group: Group) -> dict[Any, Any]:
    """Key of the product that the maps of a group are tested in, by seed; of other lines none."""
    found = {}
    for entry in group.entries:
        if entry.status == 'finished':
            (line,) = entry.row['rows']
            if role_of(line) == MAPS:
                stage = (entry.row.get('stages') or {}).get(line.get('stage')) or {}
                found[entry.seed] = stage.get('key')
    return found


def _reading(entry: Entry, name: str, alias: str) -> Entry:
    """An entry that has one line of its table, under another name."""
    if entry.status != 'finished':
        return entry
    line = row_of(entry.row['rows'], name, f'run {entry.run}')
    return replace(entry, row={**entry.row, 'rows': [{**line, 'name': alias}]})


def find_group(groups: Iterable[Group], text: str) -> Group | None:
    """The group that a user names.

    Args:
        groups: Those of a sweep.
        text: The value of the one varied parameter (``none``), or ``KEY=VALUE`` with commas between; a key is
            a dotted path or its last part.

    Returns:
        None if no group, or more than one, is meant.
    """
    found = [group for group in groups if _is_meant(group.values, text)]
    return found[0] if len(found) == 1 else None


def _is_meant(values: Mapping[str, Any], text: str) -> bool:
    if '=' not in text:
        return len(values) == 1 and all(_same(value, text) for value in values.values())
    for part in text.split(','):
        key, _, wanted = (word.strip() for word in part.partition('='))
        fits = [
            _same(value, wanted)
            for path, value in values.items()
            if key in (path, path.rsplit('.', 1)[-1])
        ]
        if not fits or not all(fits):
            return False
    return True


def _same(value: Any, text: str) -> bool:
    if str(value) == text:
        return True
    try:
        return float(value) == float(text)
    except (TypeError, ValueError):
        return False
