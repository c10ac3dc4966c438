"""Tests and effect sizes against scipy, statsmodels and a case worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from arml.report.stats import (
    compare,
    compare_published,
    hedges_g,
    holm,
    smallest_seen,
    summarise,
)

ONE = {0: 40.0, 1: 42.0, 2: 47.0}
TWO = {0: 51.0, 1: 55.0, 2: 50.0, 3: 58.0}


def test_summarise__counts_and_spreads():
    found = summarise([40.0, 42.0, 47.0], expected=4)
    assert (found.n, found.expected, found.mean) == (3, 4, 43.0)
    assert found.std == pytest.approx(np.std([40, 42, 47], ddof=1))
    assert math.isnan(summarise([40.0], 1).std)
    assert math.isnan(summarise([], 3).mean)


def test_compare__welch_by_hand():
    """x = 1, 2, 3 (mean 2, variance 1) and y = 5, 9 (mean 7, variance 8).

    Standard error: sqrt(1/3 + 8/2) = sqrt(13/3); t = -5 / sqrt(13/3) = -2.401922...
    Degrees of freedom: (13/3)^2 / ((1/3)^2/2 + 4^2/1) = (169/9) / (1/18 + 16) = 338/289.
    """
    found = compare({0: 1.0, 1: 2.0, 2: 3.0}, {0: 5.0, 1: 9.0})
    freedom = 338 / 289
    t = -5 / math.sqrt(13 / 3)
    assert found.p == pytest.approx(2 * stats.t.cdf(t, freedom))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(13 / 3)
    assert (found.low, found.high) == pytest.approx((-5 - half, -5 + half))
    assert (found.n, found.n_reference, found.difference) == (3, 2, -5)


@pytest.mark.parametrize(('test', 'equal_var'), [('welch', False), ('student', True)])
def test_compare__is_scipys(test, equal_var):
    found = compare(ONE, TWO, test)
    expected = stats.ttest_ind(list(ONE.values()), list(TWO.values()), equal_var=equal_var)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx(43 - 53.5)


def test_compare__paired_takes_shared_seeds():
    found = compare(dict(reversed(ONE.items())), {**TWO, 9: 1.0}, 'paired')
    expected = stats.ttest_rel([40, 42, 47], [51, 55, 50])
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.n, found.n_reference) == (3, 3)
    assert found.difference == pytest.approx(43 - 52)


def test_compare__says_nothing_where_nothing_can_be_said():
    assert math.isnan(compare({0: 1.0}, TWO).p)
    assert math.isnan(compare({}, TWO).difference)
    assert math.isnan(compare({0: 1.0, 1: 1.0}, {0: 2.0, 1: 2.0}).p)
    assert math.isnan(compare({0: 1.0, 1: 3.0}, {0: 2.0, 1: 4.0}, 'paired').p)
    assert math.isnan(compare({0: 62.6, 1: 63.6, 2: 64.6}, {0: 60.0, 1: 61.0, 2: 62.0}, 'paired').p)
    assert math.isnan(compare({0: 1.0, 1: 3.0}, {5: 2.0, 6: 4.0}, 'paired').p)
    assert compare({0: 1.0}, TWO).difference == 1 - 53.5
    with pytest.raises(ValueError, match="found 'z', expected one of welch, student, paired"):
        compare(ONE, TWO, 'z')


def test_hedges_g__by_hand():
    """1, 2, 3 against 5, 9: pooled variance (2*1 + 1*8) / 3; J = G(1.5) / (sqrt(1.5) G(1)) = 0.7236."""
    factor = math.gamma(1.5) / (math.sqrt(1.5) * math.gamma(1.0))
    assert factor == pytest.approx(0.7236, abs=1e-4)
    assert hedges_g([1, 2, 3], [5, 9]) == pytest.approx(factor * -5 / math.sqrt(10 / 3))
    assert math.isnan(hedges_g([1], [5, 9]))
    assert math.isnan(hedges_g([1, 1], [2, 2]))


def test_holm__is_statsmodels_and_keeps_what_was_not_tested():
    p = [0.01, math.nan, 0.04, 0.03]
    found = holm(p)
    assert math.isnan(found[1])
    expected = multipletests([0.01, 0.04, 0.03], method='holm')[1]
    assert [found[0], found[2], found[3]] == pytest.approx(list(expected))
    assert found[0] == pytest.approx(0.03)
    assert all(map(math.isnan, holm([math.nan, math.nan])))
    many = np.random.default_rng(0).random(30) ** 4
    assert holm(list(many)) == pytest.approx(list(multipletests(many, method='holm')[1]))


def test_compare_published__is_scipys():
    values = [69.0, 70.5, 70.0]
    found = compare_published(values, 70.56, 0.19, 5)
    expected = stats.ttest_ind_from_stats(
        np.mean(values), np.std(values, ddof=1), 3, 70.56, 0.19, 5, equal_var=False
    )
    assert found.p == pytest.approx(expected.pvalue)
    assert found.low < found.difference < 0 < found.high
    published = np.array([-1.0, 1.0, 0.0, 0.0])
    published = 70.56 + published * 0.19 / np.std(published, ddof=1)
    raw = stats.ttest_ind(values, published, equal_var=False)
    again = compare_published(values, 70.56, 0.19, 4)
    assert again.p == pytest.approx(raw.pvalue)
    assert (again.low, again.high) == pytest.approx(tuple(raw.confidence_interval(0.95)))
    assert again.hedges_g == pytest.approx(hedges_g(values, list(published)))
    with pytest.raises(ValueError, match='found 1, expected at least 2'):
        compare_published(values, 70.56, 0.19, 1)


def test_smallest_seen__is_where_p_reaches_the_level():
    n = 3
    ours = np.array([-1.0, 0.0, 1.0])
    assert stats.ttest_ind(ours, ours + smallest_seen(n)).pvalue == pytest.approx(0.05)
    assert smallest_seen(3) == pytest.approx(2.267, abs=1e-3)
    differences = ours / ours.std(ddof=1)
    differences += smallest_seen(n, paired=True) - differences.mean()
    assert stats.ttest_1samp(differences, 0).pvalue == pytest.approx(0.05)
