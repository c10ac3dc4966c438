"""The same experiment over several seeds: mean, standard deviation and n."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from arml.errors import DataError
from arml.report.result import check_result
from arml.report.table import PREFIXES, columns, header, number


@dataclass(frozen=True)
class SeedRow:
    """One row of a table over seeds.

    Attributes:
        name: What was scored.
        split: On which split.
        n: Number of runs.
        mean: Mean per score, percent; NaN where a run has no such score.
        std: Standard deviation per score, n - 1 in the denominator; NaN as above.
    """

    name: str
    split: str | None
    n: int
    mean: dict[str, float]
    std: dict[str, float]


def aggregate(results: Sequence[Mapping[str, Any]]) -> list[SeedRow]:
    r"""Mean and spread of every score over runs that differ in the seed only.

    .. math:: \bar x = \frac1n \sum_i x_i,\quad s = \sqrt{\frac{1}{n-1} \sum_i (x_i - \bar x)^2}

    Args:
        results: Contents of ``result.json``, one per seed, at least two.

    Returns:
        One row per row of the results, in their order.

    Raises:
        DataError: If there are fewer than two results, two have the same seed, or they differ
            in data set, classes or rows.
    """
    if len(results) < 2:
        raise DataError(f'{len(results)} result given: a spread over seeds needs at least two')
    for index, result in enumerate(results):
        check_result(result, f'result {index}')
    seeds = [result['seed'] for result in results if result.get('seed') is not None]
    if len(set(seeds)) < len(seeds):
        raise DataError(f'the results have the seeds {seeds}: expected each seed once')
    first = results[0]
    for index, result in enumerate(results[1:], start=1):
        for what, read in (
            ('dataset', lambda r: r.get('dataset')),
            ('classes', lambda r: list(r['classes'])),
            ('rows', lambda r: [(row['name'], row.get('split')) for row in r['rows']]),
        ):
            if read(result) != read(first):
                raise DataError(
                    f'result {index} has {what} {read(result)}, result 0 has {read(first)}: '
                    'only runs of one experiment can be put together'
                )
    return [
        _row([result['rows'][position] for result in results])
        for position in range(len(first['rows']))
    ]


def collect(results: Sequence[Mapping[str, Any]]) -> list[SeedRow]:
    """Rows over seeds of several experiments, which are told apart by the name of their config.

    A row that two experiments share (the floors, the CAM of one classifier) stands once, where it
    comes first.

    Args:
        results: Contents of ``result.json`` in any order; at least two of each experiment.

    Raises:
        DataError: As :func:`aggregate`, of each experiment.
    """
    experiments: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        experiments.setdefault(result.get('name', ''), []).append(result)
    rows: dict[tuple[str, str | None], SeedRow] = {}
    for runs in experiments.values():
        for row in aggregate(runs):
            rows.setdefault((row.name, row.split), row)
    return list(rows.values())


def _row(rows: Sequence[Mapping[str, Any]]) -> SeedRow:
    mean, std = {}, {}
    for score in rows[0]['metrics']:
        values = [row['metrics'].get(score) for row in rows]
        known = all(value is not None and not math.isnan(value) for value in values)
        mean[score] = statistics.fmean(values) if known else math.nan
        std[score] = statistics.stdev(values) if known else math.nan
    return SeedRow(rows[0]['name'], rows[0].get('split'), len(rows), mean, std)


def seeds_table(rows: Sequence[SeedRow], classes: Sequence[str], protocol: str = 'A') -> str:
    """Markdown table of ``mean ± std`` with n in its last column.

    Args:
        rows: From :func:`aggregate`.
        classes: Names of the tissue classes.
        protocol: ``'A'`` or ``'B'``; rows without that protocol are left out.

    Returns:
        The table; empty if no row has the protocol.
    """
    prefix = PREFIXES[protocol]
    cells = []
    for row in rows:
        if f'{prefix}mIoU' not in row.mean:
            continue
        scores = []
        for name in columns(classes):
            mean = row.mean.get(prefix + name, math.nan)
            spread = number(row.std.get(prefix + name, math.nan))
            scores.append('–' if math.isnan(mean) else f'{number(mean)} ± {spread}')
        cells.append([row.name, *scores, str(row.n)])
    if not cells:
        return ''
    head = ['', *header(classes), 'n']
    align = ('left',) + ('right',) * (len(head) - 1)
    return tabulate(cells, headers=head, tablefmt='pipe', colalign=align, disable_numparse=True)
