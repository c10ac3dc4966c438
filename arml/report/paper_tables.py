"""The tables of the paper as data, with what is known to be inconsistent in them.

``paper/table<N>.yaml`` holds what could be verified; ``left_out`` says what is not there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from arml.report.rows import FINAL, RESULT

FOLDER = Path(__file__).with_name('paper')


@dataclass(frozen=True)
class PaperRow:
    """One row.

    Attributes:
        name: As in the paper.
        dataset: Name of the data set, as our data sets call themselves.
        where: Alternatives, each the last part of a parameter's path -> values, as texts, for which this is the row.
            It is of the segmentor unless ``result`` says otherwise.
        scores: Percent, named as in our ledgers.
        std: Spread of those scores that have one.
    """

    name: str
    dataset: str
    where: tuple[Mapping[str, tuple[str, ...]], ...]
    scores: Mapping[str, float]
    std: Mapping[str, float]


@dataclass(frozen=True)
class PaperTable:
    """One table.

    Attributes:
        name: ``'Table 3'``.
        title: What it is about.
        metric: Which scores it prints, in which unit.
        source: The paper; with the page, where it is known.
        protocol: ``'A'`` or ``'B'``.
        rows: Its rows.
        notes: Names of rows, data set or None, and what is inconsistent or not stated about them; no names:
            about the whole table.
        left_out: What the paper's table has and this one does not.
    """

    name: str
    title: str
    metric: str
    source: str
    protocol: str
    rows: tuple[PaperRow, ...]
    notes: tuple[tuple[frozenset[str], str | None, str], ...]
    left_out: str

    def row_of(self, values: Mapping[str, Any], dataset: str) -> PaperRow | None:
        """The row of a sweep's values on a data set; None if the paper has none.

        Args:
            values: Varied parameters by dotted path. Each key of ``where`` must be the last part of one of them.
            dataset: Name of a data set of the table.
        """
        short = {path.rsplit('.', 1)[-1]: str(value) for path, value in values.items()}
        short.setdefault(RESULT, FINAL)
        for row in self.rows:
            fits = any(all(short.get(key) in of for key, of in one.items()) for one in row.where)
            if fits and row.dataset == dataset:
                return row
        return None

    def notes_of(self, dataset: str) -> list[str]:
        """What to know about it on a data set, of rows that are not ours too."""
        return [text for _, only, text in self.notes if only in (None, dataset)]

    def others(self, names: Iterable[str], dataset: str) -> list[PaperRow]:
        """The rows on a data set that are called otherwise."""
        return [row for row in self.rows if row.dataset == dataset and row.name not in set(names)]


@cache
def paper_table(tag: str) -> PaperTable | None:
    """A table of the paper.

    Args:
        tag: ``'table1'`` to ``'table4'``.

    Returns:
        None if the paper has no such table.
    """
    file = FOLDER / f'{tag}.yaml'
    if not tag.startswith('table') or not file.is_file():
        return None
    content, source = _read(file), paper_source()
    page = source['pages'][content['table']]
    where = f'{content["table"]}' + (f', page {page}' if page else '')
    return PaperTable(
        name=content['table'],
        title=content['title'],
        metric=content['metric_note'],
        source=f'{source["authors"]}, "{source["title"]}", {source["venue"]}, {where}',
        protocol=content['protocol'],
        rows=tuple(_row(row) for row in content['rows']),
        notes=tuple((frozenset(n['rows']), n.get('dataset'), n['text']) for n in content['notes']),
        left_out=content['left_out'],
    )


@cache
def paper_source() -> dict[str, Any]:
    """The paper: ``authors``, ``title``, ``venue``, ``url``, and ``pages`` of its tables."""
    return _read(FOLDER / 'source.yaml')


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding='utf-8'))


def _row(row: Mapping[str, Any]) -> PaperRow:
    listed = row['where'] if isinstance(row['where'], list) else [row['where']]
    where = tuple(
        {
            key: tuple(map(str, value)) if isinstance(value, list) else (str(value),)
            for key, value in {RESULT: FINAL, **one}.items()
        }
        for one in listed
        if one  # a row of a method that is not here
    )
    return PaperRow(row['name'], row['dataset'], where, row['scores'], row.get('std', {}))
