"""Statistics over seeds: mean, s.d. and 95 % intervals, in the unit that goes in; and what chance alone would give."""

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import fmean, stdev

from replicate.evidence.results import Difference, Estimate, Paired

CONFIDENCE = 0.95
POWER = 0.8  # of the smallest effect that a comparison is said to see
ENOUGH_SEEDS = 3  # fewer give no verdict


def t_quantile(freedom: float) -> float:
    """Half width of the 95 % interval in standard errors, Student's t with `freedom` degrees."""
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, freedom))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean over seeds with its 95 % t interval; a single value has neither s.d. nor interval."""
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean=mean, sd=None, low=None, high=None, values=list(values))
    sd = stdev(values)
    half = t_quantile(len(values) - 1) * sd / sqrt(len(values))
    return Estimate(mean=mean, sd=sd, low=mean - half, high=mean + half, values=list(values))


def difference(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Mean of `values` less mean of `baseline`, with Welch's 95 % interval (unequal variances).

    Without an interval where a side has fewer than 2 seeds, or where no seed differs from another: then nothing is
    known about the spread.
    """
    mean = fmean(values) - fmean(baseline)
    low = high = None
    sds: list[float] = []
    if min(len(values), len(baseline)) >= 2:
        sds = [stdev(side) for side in (values, baseline)]
        a, b = (sd**2 / len(side) for sd, side in zip(sds, (values, baseline), strict=True))
        if a + b > 0:
            freedom = (a + b) ** 2 / (a**2 / (len(values) - 1) + b**2 / (len(baseline) - 1))
            half = t_quantile(freedom) * sqrt(a + b)
            low, high = mean - half, mean + half
    return Difference(mean=mean, low=low, high=high, n=len(values), n_baseline=len(baseline), sds=sds)


def paired(values: Sequence[float], baseline: Sequence[float]) -> Paired:
    """`values` less `baseline`, pair by pair, with the t interval of their mean and the smallest effect that it could have seen."""
    found = estimate([a - b for a, b in zip(values, baseline, strict=True)])
    if not found.sd:  # one pair, or pairs that do not differ among themselves: nothing is known of the spread
        return Paired(values=found.values, mean=found.mean, sd=None, low=None, high=None, least=None)
    return Paired(**found.model_dump(), least=least_effect(found.sd, len(found.values)))


def least_effect(sd: float, n: int) -> float:
    """The true mean of `n` differences of s.d. `sd` that a two-sided t test at 5 % finds, with its sign, in 80 % of cases.

    In the unit of `sd`. The test's statistic is then noncentral t with n-1 degrees of freedom about mean·√n/sd.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    edge = t_quantile(n - 1)
    centre = brentq(lambda centre: nct.sf(edge, n - 1, centre) - POWER, 0, 100)
    return float(centre) * sd / sqrt(n)


def ratio(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Geometric mean of `values` over that of `baseline`, with Welch's 95 % interval of the logarithms."""
    logs = difference([log(value) for value in values], [log(value) for value in baseline])
    back = {key: None if (value := getattr(logs, key)) is None else exp(value) for key in ("mean", "low", "high")}
    return logs.model_copy(update=back | {"sds": []})  # of logarithms, which nobody wants to see


def chance(classes: int, k: int) -> float | None:
    """Top-`k` error in percent of guessing among `classes`; None where there are no more than k."""
    return 100 * (1 - k / classes) if classes > k else None


def binomial_se(percent: float, pictures: int) -> float:
    """Standard error, in points, of an error rate of `percent` on `pictures` pictures: chance of the pictures alone."""
    share = percent / 100
    return 100 * sqrt(share * (1 - share) / pictures)
