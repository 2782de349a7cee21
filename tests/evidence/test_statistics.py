import numpy as np
import pytest
from scipy import stats

from replicate.evidence.statistics import binomial_se, chance, difference, estimate, ratio

A, B = [31.2, 30.4, 32.9], [28.0, 29.1, 28.3, 30.0]


def test_the_interval_of_a_mean_is_students():
    found = estimate(A)
    low, high = stats.t.interval(0.95, 2, np.mean(A), stats.sem(A))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.sd == pytest.approx(np.std(A, ddof=1))
    assert found.values == A


def test_one_value_has_no_spread():
    found = estimate([30.0])
    assert (found.mean, found.sd, found.low, found.high) == (30, None, None, None)


def test_the_interval_of_a_difference_is_welchs():
    found = difference(A, B)
    theirs = stats.ttest_ind(A, B, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.n, found.n_baseline) == (3, 4)
    assert difference(B, A).mean == pytest.approx(-found.mean)


@pytest.mark.parametrize(("a", "b"), [([1.0], B), (A, [1.0]), ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0])])
def test_without_a_known_spread_there_is_no_interval(a, b):
    found = difference(a, b)
    assert found.low is None and found.high is None
    assert found.mean == pytest.approx(np.mean(a) - np.mean(b))


def test_a_ratio_is_a_difference_of_logarithms():
    found = ratio(A, B)
    theirs = stats.ttest_ind(np.log(A), np.log(B), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((np.exp(theirs.low), np.exp(theirs.high)))
    assert found.mean == pytest.approx(stats.gmean(A) / stats.gmean(B))
    assert ratio(B, A).high == pytest.approx(1 / found.low)
    assert ratio([2.0], B).low is None


def test_standard_error_of_a_share():
    assert binomial_se(10, 3925) == pytest.approx(100 * np.sqrt(0.1 * 0.9 / 3925))
    assert binomial_se(0, 100) == 0


def test_chance():
    assert chance(10, 1) == pytest.approx(90) and chance(10, 5) == 50 and chance(1000, 5) == 99.5
    assert chance(5, 5) is None
