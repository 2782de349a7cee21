"""Values as a reader sees them, with their unit."""

from typing import Any

from replicate.paper import Claim

WORDS = {"top1": "top-1", "top5": "top-5", "_val": " (validation)", "_test": " (test)"}


def said(claim: Claim) -> str:
    """The paper's value with its unit; empty where it gives none."""
    text = shown(claim.value, claim.unit)
    return f"{claim.tolerance.bound} {text}" if text and claim.tolerance.bound else text


def accepted(claim: Claim) -> str:
    """What would count as agreement with the paper's value, in words; empty where nothing is compared."""
    tolerance, unit = claim.tolerance, f" {claim.unit}" if claim.unit else ""
    if tolerance.sign:
        return f"anything above 0{unit}"
    if tolerance.range:
        low, high = tolerance.range
        if low is None or high is None:
            return f"at most {high:g}{unit}" if low is None else f"at least {low:g}{unit}"
        return f"{low:g} to {high:g}{unit}"
    if tolerance.bound:
        return said(claim)
    if tolerance.rel:
        return f"within {100 * tolerance.rel:g} % of it"
    if tolerance.abs:
        return f"within {shown(tolerance.abs, 'points' if '%' in unit else claim.unit)} of it"
    return "" if claim.value is None else "exactly that"


def shown(value: Any, unit: str = "") -> str:
    """A number, word, list or mapping in one line: `1,234 pictures`, `top-1 12.5, top-5 3.4 % error`."""
    if value is None:
        return ""
    text = _text(value)
    return f"{text} {unit}".strip() if unit else text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer() and abs(value) >= 1000:
            return f"{value:,.0f}"
        return f"{value:,.1f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, dict):
        same = {_text(v) for v in value.values()}
        if len(value) > 1 and len(same) == 1:
            return f"{same.pop()} ({', '.join(map(_key, value))})"
        return ", ".join(f"{_key(key)} {_text(v)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return str(value)


def _key(key: str) -> str:
    for part, word in WORDS.items():
        key = key.replace(part, word)
    return key
