"""Whether a value is within what a claim tolerates."""

from math import inf, isclose
from typing import Any

from replicate.paper import Tolerance

ROUNDING = 1e-9  # of floating point, not of the paper


def band(tolerance: Tolerance, value: float | None, part: str | None = None) -> tuple[float, float]:
    """The values that count as agreement, as (low, high); `part` names one of several values. Open ends are infinite.

    The low end of `more than` and of `sign` does not belong to the band.
    """
    if tolerance.sign:
        return 0.0, inf
    if tolerance.range:
        low, high = tolerance.range
        return (-inf if low is None else low), (inf if high is None else high)
    if value is None:
        raise ValueError("a tolerance about a value needs one")
    if tolerance.bound == "at most":
        return -inf, value
    if tolerance.bound == "more than":
        return value, inf
    width = 0.0
    if tolerance.rel:
        width = tolerance.rel * abs(value)
    elif tolerance.abs:
        width = tolerance.abs[part] if isinstance(tolerance.abs, dict) else tolerance.abs
    return value - width, value + width


def within(tolerance: Tolerance, value: Any, measured: Any, part: str | None = None) -> bool:
    """Is `measured` within the tolerance of `value`?

    Mappings are compared key by key, the claim's keys only; lists in order; one value against several holds for all.
    """
    if isinstance(value, dict):
        return isinstance(measured, dict) and all(
            k in measured and within(tolerance, v, measured[k], k) for k, v in value.items()
        )
    if isinstance(value, list):
        return (
            isinstance(measured, list)
            and len(value) == len(measured)
            and all(within(tolerance, v, m, part) for v, m in zip(value, measured, strict=True))
        )
    if isinstance(measured, dict):
        return bool(measured) and all(within(tolerance, value, m, key) for key, m in measured.items())
    if isinstance(measured, list):
        return bool(measured) and all(within(tolerance, value, m, part) for m in measured)
    words = isinstance(value, str | bool) or isinstance(measured, str | bool)
    if words or measured is None:
        return type(value) is type(measured) and value == measured
    low, high = band(tolerance, value, part)
    if tolerance.bound == "more than" or tolerance.sign:
        return measured > low
    return (
        low <= measured <= high or isclose(measured, low, rel_tol=ROUNDING) or isclose(measured, high, rel_tol=ROUNDING)
    )
