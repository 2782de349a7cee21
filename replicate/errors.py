"""The error that a user can cause: one line that says what, where and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Shown as one line and a non-zero exit; everything else is a traceback."""


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among `known`, with the nearest one that is."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return UserError(f"unknown {what} {name!r}; {hint}")
