"""The tables of the paper as data, with what is known to be inconsistent in them.

``paper/table<N>.yaml`` holds what could be verified; ``left_out`` says what is not there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name('paper')
#: Line of a run's table that the paper's figures are of.
ROW = 'ARML'


@dataclass(frozen=True)
class PaperRow:
    """One row.

    Attributes:
        name: As in the paper.
        dataset: Name of the data set, as our data sets call themselves.
        where: Last part of a parameter's path -> values, as texts, for which this is the row.
        scores: Percent, named as in our ledgers.
        std: Spread of those scores that have one.
    """

    name: str
    dataset: str
    where: Mapping[str, tuple[str, ...]]
    scores: Mapping[str, float]
    std: Mapping[str, float]


@dataclass(frozen=True)
class PaperTable:
    """One table.

    Attributes:
        name: ``'Table 3'``.
        title: What it is about.
        source: The paper; with the page, where it is known.
        protocol: ``'A'`` or ``'B'``.
        rows: Its rows.
        notes: Names of rows, data set or None, and what is inconsistent or not stated about them; no names:
            about the whole table.
        left_out: What the paper's table has and this one does not.
    """

    name: str
    title: str
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
        for row in self.rows:
            fits = row.where and all(short.get(key) in of for key, of in row.where.items())
            if fits and row.dataset == dataset:
                return row
        return None

    def notes_of(self, names: Iterable[str], dataset: str) -> list[str]:
        """What to know about some rows on a data set."""
        wanted = set(names)
        return [
            text
            for rows, only, text in self.notes
            if (not rows or rows & wanted) and only in (None, dataset)
        ]


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
    content, source = _read(file), _read(FOLDER / 'source.yaml')
    page = source['pages'][content['table']]
    where = f'{content["table"]}' + (f', page {page}' if page else '')
    return PaperTable(
        name=content['table'],
        title=content['title'],
        source=f'{source["authors"]}, "{source["title"]}", {source["venue"]}, {where}',
        protocol=content['protocol'],
        rows=tuple(_row(row) for row in content['rows']),
        notes=tuple((frozenset(n['rows']), n.get('dataset'), n['text']) for n in content['notes']),
        left_out=content['left_out'],
    )


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding='utf-8'))


def _row(row: Mapping[str, Any]) -> PaperRow:
    where = {
        key: tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        for key, value in row['where'].items()
    }
    return PaperRow(row['name'], row['dataset'], where, row['scores'], row.get('std', {}))
