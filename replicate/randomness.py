"""Randomness as a function of what it is for: (seed, purpose, counters) -> a counter-based generator (Philox).

Draw for all pictures of an epoch, or all units of a layer, at once: what one of them gets then depends on neither
order, workers, devices nor restarts.
"""

import hashlib
import json

import numpy as np


def generator(seed: int, purpose: str, *counters: int | str) -> np.random.Generator:
    """The same arguments give the same stream on every machine; any other arguments an independent one."""
    digest = hashlib.sha256(json.dumps([seed, purpose, *counters]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
