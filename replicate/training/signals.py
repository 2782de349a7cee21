"""What Ctrl-C and a scheduler's SIGTERM do to a training."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from replicate.errors import UserError


@contextmanager
def stops_politely(message: str) -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM are noted, for the loop to end the update in progress, keep what was learned and say `message`."""
    asked: list[int] = []
    before = {s: signal.signal(s, lambda number, frame: asked.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    except KeyboardInterrupt:
        raise UserError(message) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
