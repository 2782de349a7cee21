"""Local response normalisation (section 3.3) of one position's activities, in plain Python: the equation to read and to compare with."""

from collections.abc import Sequence

from replicate.networks.description import LRN


def window(i: int, maps: int, size: int, towers: int = 1) -> range:
    """The maps whose squares are summed for map `i` of `maps`: max(0, i - n/2) to min(N-1, i + n/2), inside its tower."""
    tower = maps // towers
    first = i // tower * tower
    return range(max(first, i - size // 2), min(first + tower - 1, i + size // 2) + 1)


def normalise(activities: Sequence[float], layer: LRN, towers: int) -> list[float]:
    """b_i = a_i / (k + α·Σ_j a_j²)^β over neighbouring maps, as `layer` reads it in a net of `towers` towers."""
    if layer.neighbours == "space":
        raise ValueError(f"{layer.name}: its window is in space, not across maps")
    parts = towers if layer.scope == "tower" else 1
    sums = [sum(activities[j] ** 2 for j in window(i, len(activities), layer.size, parts)) for i in range(len(activities))]
    return [a / (layer.k + layer.alpha_on_sum * s) ** layer.beta for a, s in zip(activities, sums, strict=True)]
