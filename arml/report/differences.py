"""A sweep read against one of its values: mean over seeds, and the difference seed by seed."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from arml.errors import DataError
from arml.report.rows import row_of


@dataclass(frozen=True)
class Difference:
    """One value of a parameter against the reference.

    Attributes:
        value: The value.
        n: Seeds that it was run with.
        mean: Mean of the score over them; NaN without any.
        std: Standard deviation, n - 1 in the denominator; NaN for one seed.
        pairs: Seeds that both were run with.
        delta: Mean difference to the reference over these seeds; NaN without any.
        delta_std: Standard deviation of the differences; NaN below two.
    """

    value: str
    n: int
    mean: float
    std: float
    pairs: int
    delta: float
    delta_std: float


def differences(
    rows: Sequence[Mapping[str, Any]],
    parameter: str,
    reference: Any,
    row: str,
    metric: str = 'mIoU',
    values: Iterable[Any] = (),
) -> list[Difference]:
    """Compare the values of a parameter by the runs that share a seed.

    Args:
        rows: Finished lines of a ledger; all else but ``parameter`` and the seed must be equal.
        parameter: Its dotted path.
        reference: The value that the others are compared with.
        row: Which line of the runs' tables is read, e.g. ``ARML``.
        metric: Which score of it.
        values: All values that there should be, so that one without a run has an entry too.

    Returns:
        One entry per value, the reference first, then as in ``values``, then in the order of their first
        appearance.

    Raises:
        DataError: If the reference has no run, a run has no such parameter, row or score, runs differ in
            something else, or two runs have the same value and seed.
    """
    scores: dict[str, dict[int, float]] = {str(value): {} for value in (reference, *values)}
    rest: set[str] = set()
    for entry in rows:
        parameters = dict(entry['parameters'])
        if parameter not in parameters:
            raise DataError(
                f'run {entry["run"]}: has no parameter {parameter!r}; it has {", ".join(parameters)}'
            )
        value = str(parameters.pop(parameter))
        seed = parameters.pop('randomness.seed', entry['seed'])
        rest.add(', '.join([f'{k}={v}' for k, v in parameters.items()] + [str(entry['dataset'])]))
        if len(rest) > 1:
            raise DataError(
                f'the runs differ in more than {parameter} and the seed: {" and ".join(sorted(rest))}'
            )
        known = scores.setdefault(value, {})
        if seed in known:
            raise DataError(f'{parameter}={value}, seed {seed}: found twice in the ledger')
        known[seed] = _score(entry, row, metric)
    base = scores[str(reference)]
    if not base:
        others = ', '.join(value for value, found in scores.items() if found)
        raise DataError(
            f'{parameter}={reference}: no finished run to compare with; there are such of '
            f'{others or "no value"}'
        )
    return [_compare(value, found, base) for value, found in scores.items()]


def differences_table(found: Sequence[Difference], metric: str = 'mIoU') -> str:
    """Markdown: value, n, mean and spread; difference and over how many seeds."""
    lines = []
    for index, entry in enumerate(found):
        delta, pairs = ('–', '–') if index == 0 else (
            _spread(entry.delta, entry.delta_std, sign='+'), entry.pairs
        )  # fmt: skip
        lines.append([entry.value, entry.n, _spread(entry.mean, entry.std), delta, pairs])
    return tabulate(
        lines, ['', 'n', metric, f'difference to {found[0].value}, same seeds', 'pairs'],
        tablefmt='github', colalign=('left', *['right'] * 4), disable_numparse=True,
    )  # fmt: skip


def _compare(value: str, found: dict[int, float], base: dict[int, float]) -> Difference:
    shared = [found[seed] - base[seed] for seed in found if seed in base]
    numbers = list(found.values())
    return Difference(
        value=value,
        n=len(numbers),
        mean=statistics.fmean(numbers) if numbers else math.nan,
        std=statistics.stdev(numbers) if len(numbers) > 1 else math.nan,
        pairs=len(shared),
        delta=statistics.fmean(shared) if shared else math.nan,
        delta_std=statistics.stdev(shared) if len(shared) > 1 else math.nan,
    )


def _score(entry: Mapping[str, Any], row: str, metric: str) -> float:
    metrics = row_of(entry['rows'], row, f'run {entry["run"]}')['metrics']
    score = metrics.get(metric)
    if score is None or math.isnan(score):
        raise DataError(
            f'run {entry["run"]}: {row} has no score {metric!r}; it has '
            f'{", ".join(k for k, v in metrics.items() if v is not None)}'
        )
    return float(score)


def _spread(mean: float, std: float, sign: str = '') -> str:
    text = '–' if math.isnan(mean) else f'{mean:{sign}.2f}'
    return text if math.isnan(std) else f'{text} ± {std:.2f}'
