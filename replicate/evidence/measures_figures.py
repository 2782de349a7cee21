"""Measures of figures 3 and 4: kernels of the first layer, and pictures that lie near one another, over seeds."""

from collections.abc import Callable

from replicate.evidence.results import Estimate, Group, Neighbours, Results, Sample
from replicate.evidence.samples import POINTS, Missing, Shown, group, key, not_measured, of_seeds, of_values


def kernel_kinds(results: Results, run: str, network: str, enough: int) -> dict[str, Shown]:
    """Of each training: are there at least `enough` kernels of each kind of Figure 3?"""
    one = group(results, run, network)
    counts = zip(*(key(one.kernels, kind, one).values for kind in ("selective", "blobs")), strict=True)
    shown = [Shown(min(a, b) >= enough, f"{a:g} of one orientation and {b:g} coloured spots") for a, b in counts]
    return dict(zip(one.trainings, shown, strict=True))


def tower_colour(results: Results, run: str, network: str) -> dict[str, Sample]:
    """How far the towers' kernels lie apart in their share of colour, beyond what a random split does, in points."""
    one = group(results, run, network)
    own, chance = (key(one.kernels, name, one).values for name in ("tower_difference", "tower_chance"))
    return {"share of colour": of_values([a - b for a, b in zip(own, chance, strict=True)], unit=POINTS, no_effect=0)}


def towers_differ(results: Results, run: str, network: str, p: float) -> dict[str, Shown]:
    """Of each training: do its towers differ in their share of colour, with a permutation test's p below `p`?"""
    one = group(results, run, network)
    shown = [Shown(found < p, f"p = {found:.2g}") for found in key(one.kernels, "tower_p", one).values]
    return dict(zip(one.trainings, shown, strict=True))


def neighbours(results: Results, run: str, network: str, neighbours: int) -> dict[str, Sample]:
    """Of a picture's nearest: the share of its own class by the last hidden layer, less that by pixels, in points."""
    return _more_of_the_class(results, run, network, neighbours, "features", "pixels")


def codes(results: Results, run: str, network: str, neighbours: int) -> dict[str, Sample]:
    """As `neighbours`, by short binary codes of the last hidden layer and of the pixels."""
    return _more_of_the_class(results, run, network, neighbours, "feature_codes", "pixel_codes")


def _more_of_the_class(results: Results, run: str, network: str, most: int, way: str, other: str) -> dict[str, Sample]:
    one = group(results, run, network)
    ours, theirs = (_nearest(_retrieval(one).precision[name], most).values for name in (way, other))
    found = of_values([a - b for a, b in zip(ours, theirs, strict=True)], unit=POINTS, no_effect=0)
    return {f"own class among the {most} nearest": found}


def pixel_rank(results: Results, run: str, network: str, neighbours: int, close: float) -> dict[str, Sample]:
    """Percent of all pictures that lie nearer in pixels than the nearest by the last hidden layer do; the median.
    `close`: what still counts as close."""
    one = group(results, run, network)
    found = _nearest(_retrieval(one).pixel_rank, neighbours)
    return {"nearer in pixels": of_seeds(found, unit="% of the pictures", no_effect=close)}


def _retrieval(one: Group) -> Neighbours:
    if one.retrieval is None:
        raise not_measured(one)
    return one.retrieval


def _nearest(by_number: list[Estimate], most: int) -> Estimate:
    if len(by_number) < most:
        raise Missing(f"of {len(by_number) + 1} pictures none has {most} others")
    return by_number[most - 1]


FIGURES: dict[str, Callable[..., dict[str, Sample]]] = {
    f.__name__: f for f in (tower_colour, neighbours, codes, pixel_rank)
}
RUNS: dict[str, Callable[..., dict[str, Shown]]] = {f.__name__: f for f in (kernel_kinds, towers_differ)}
