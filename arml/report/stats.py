r"""Means over seeds and two-tailed t-tests between them.

For :math:`x_1..x_n` and :math:`y_1..y_m` with means and sample variances (n - 1 in the denominator):

.. math::
    \text{Welch: } t = \frac{\bar x - \bar y}{\sqrt{s_x^2/n + s_y^2/m}},\quad
    \nu = \frac{(s_x^2/n + s_y^2/m)^2}{\frac{(s_x^2/n)^2}{n-1} + \frac{(s_y^2/m)^2}{m-1}}

.. math::
    \text{Hedges: } g = J \frac{\bar x - \bar y}{s_p},\quad
    s_p^2 = \frac{(n-1) s_x^2 + (m-1) s_y^2}{k},\quad k = n+m-2,\quad
    J = \frac{\Gamma(k/2)}{\sqrt{k/2}\,\Gamma((k-1)/2)}
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

#: Test -> how a reader knows it.
TESTS = {
    'welch': "Welch's t-test",
    'student': "Student's t-test",
    'paired': 'paired t-test over shared seeds',
}
LEVEL = 0.05
#: Values that differ by no more are equal: what is left is rounding.
NO_SPREAD = 1e-9


@dataclass(frozen=True)
class Summary:
    """A score over seeds.

    Attributes:
        n: Seeds that have it.
        expected: Seeds that should have it.
        mean: NaN without any.
        std: Standard deviation, n - 1 in the denominator; NaN below two.
    """

    n: int
    expected: int
    mean: float
    std: float


@dataclass(frozen=True)
class Comparison:
    """A two-tailed test of a difference of means.

    Attributes:
        test: Key of :data:`TESTS`, or ``'welch from published mean, std and n'``.
        n: Values on our side.
        n_reference: Values on the side compared with. Of a paired test both are the pairs.
        difference: Ours less the reference; NaN if a side has no value.
        low: Lower end of its 95 % confidence interval; NaN without a test.
        high: Upper end.
        p: Raw p-value; NaN where no test can be made.
        hedges_g: Effect size; NaN below two values a side or without any spread.
        p_holm: p-value corrected over the family of comparisons; NaN as ``p``.
        reference: What is compared with, for a reader.
    """

    test: str
    n: int
    n_reference: int
    difference: float
    low: float
    high: float
    p: float
    hedges_g: float
    p_holm: float = math.nan
    reference: str = ''


def summarise(values: Sequence[float], expected: int) -> Summary:
    """Mean, spread and count.

    Args:
        values: One per seed, finite.
        expected: How many there should be.
    """
    return Summary(
        n=len(values),
        expected=expected,
        mean=statistics.fmean(values) if values else math.nan,
        std=statistics.stdev(values) if len(values) > 1 else math.nan,
    )


def compare(
    values: Mapping[int, float], reference: Mapping[int, float], test: str = 'welch'
) -> Comparison:
    """Compare two sets of seeds.

    A test needs two values a side (two shared seeds, if paired) and some spread; without, its p-value is NaN.

    Args:
        values: Score by seed.
        reference: The same of what is compared with.
        test: ``'welch'``, ``'student'`` or ``'paired'``.

    Raises:
        ValueError: If there is no such test.
    """
    if test not in TESTS:
        raise ValueError(f'test: found {test!r}, expected one of {", ".join(TESTS)}')
    if test == 'paired':
        shared = [seed for seed in values if seed in reference]
        ours, theirs = [values[s] for s in shared], [reference[s] for s in shared]
        spread = np.ptp(np.subtract(ours, theirs)) if shared else 0
    else:
        ours, theirs = list(values.values()), list(reference.values())
        spread = max(np.ptp(ours), np.ptp(theirs)) if ours and theirs else 0
    difference = statistics.fmean(ours) - statistics.fmean(theirs) if ours and theirs else math.nan
    p = low = high = math.nan
    if min(len(ours), len(theirs)) > 1 and spread > NO_SPREAD:
        if test == 'paired':
            found = stats.ttest_rel(ours, theirs)
        else:
            found = stats.ttest_ind(ours, theirs, equal_var=test == 'student')
        low, high = (float(end) for end in found.confidence_interval(0.95))
        p = float(found.pvalue)
    sizes = len(ours), len(theirs)
    return Comparison(test, *sizes, difference, low, high, p, hedges_g(ours, theirs))


def compare_published(
    values: Sequence[float], mean: float, std: float, n: int
) -> Comparison:  # fmt: skip
    """Welch's test against a published mean and spread.

    Args:
        values: Ours, one per seed.
        mean: The published mean.
        std: The published standard deviation, taken to have n - 1 in its denominator.
        n: Runs behind it, as the user says: papers often do not.

    Raises:
        ValueError: If ``n`` is below two.
    """
    if n < 2:
        raise ValueError(f'n of a published row: found {n}, expected at least 2')
    own = summarise(values, len(values))
    p = low = high = math.nan
    if own.n > 1 and max(own.std, std) > 0:
        p = float(
            stats.ttest_ind_from_stats(own.mean, own.std, own.n, mean, std, n, equal_var=False)[1]
        )
        a, b = own.std**2 / own.n, std**2 / n
        freedom = (a + b) ** 2 / (a**2 / (own.n - 1) + b**2 / (n - 1))
        half = stats.t.ppf(0.975, freedom) * math.sqrt(a + b)
        low, high = own.mean - mean - half, own.mean - mean + half
    name = 'welch from published mean, std and n'
    g = _hedges(own.mean - mean, own.n, own.std, n, std)
    return Comparison(name, own.n, n, own.mean - mean, float(low), float(high), p, g)


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Holm's correction of the p-values of one family; NaN stays NaN and does not count.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\{1, (k - j + 1)\, p_{(j)}\}

    with :math:`p_{(1)} \le \dots \le p_{(k)}`.
    """
    corrected = [math.nan] * len(p_values)
    known = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[index] = highest
    return corrected


def hedges_g(values: Sequence[float], reference: Sequence[float]) -> float:
    """Difference of means in pooled standard deviations, corrected for small n; NaN where undefined."""
    if min(len(values), len(reference)) < 2:
        return math.nan
    difference = statistics.fmean(values) - statistics.fmean(reference)
    return _hedges(
        difference, len(values), statistics.stdev(values),
        len(reference), statistics.stdev(reference),
    )  # fmt: skip


def _hedges(difference: float, n: int, std: float, m: int, other_std: float) -> float:
    if min(n, m) < 2:
        return math.nan
    k = n + m - 2
    pooled = math.sqrt(((n - 1) * std**2 + (m - 1) * other_std**2) / k)
    if pooled == 0:
        return math.nan
    correction = math.exp(math.lgamma(k / 2) - math.lgamma((k - 1) / 2)) / math.sqrt(k / 2)
    return correction * difference / pooled


def smallest_seen(n: int, level: float = LEVEL, paired: bool = False) -> float:
    r"""Difference of two means of n values each that just reaches a level, in standard deviations.

    .. math:: t_{1 - \text{level}/2,\, 2n-2} \sqrt{2/n} \quad\text{or, paired,}\quad
        t_{1 - \text{level}/2,\, n-1} / \sqrt{n}

    It is what has to be *observed*, with equal spread on both sides and before any correction; a true
    difference of this size is found in about half of all tries. In standard deviations of a side; paired,
    of the n differences.
    """
    freedom, error = (n - 1, math.sqrt(1 / n)) if paired else (2 * n - 2, math.sqrt(2 / n))
    return float(stats.t.ppf(1 - level / 2, freedom) * error)
