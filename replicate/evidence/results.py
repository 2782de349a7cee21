"""What `compare` writes and the report reads: groups of trainings, their differences, verdicts. All errors in percent.

`errors` and `differences` are keyed `VIEWS.ERROR`: `centre.top1`, `ten.top1`, and `….top5` where it means something;
`view_gain` is keyed `ERROR`. All intervals are here, those of `measured` too, so that judging and showing them need no
statistics library. Fields with a default are missing in results of older versions.
"""

from typing import Any, Literal

from replicate.records import Provenance
from replicate.settings import Strict

VERDICTS = (
    "agrees",
    "differs",
    "paper is off",
    "same direction at smaller scale",
    "opposite direction",
    "undecided",
    "built as stated",
    "cited",
    "cannot be checked",
    "not run",
)


class Estimate(Strict):
    """Mean over seeds with its 95 % t interval; s.d. and interval are None for a single value."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    values: list[float]


class Difference(Strict):
    """Group less baseline, in points, with Welch's 95 % interval; None where a side has fewer than 2 seeds. `sds`: the s.d. of
    each side over its seeds."""

    mean: float
    low: float | None
    high: float | None
    n: int
    n_baseline: int
    sds: list[float] = []


class Paired(Strict):
    """Group less baseline seed by seed, in points, with the paired t interval (95 %) of the mean; s.d. and interval are None
    where nothing is known of the spread (one seed, or equal differences).

    `least`: the smallest true difference that a test of this many seeds with this s.d. finds, at 5 % two-sided, in 80 % of
    cases (noncentral t).
    """

    values: list[float]
    mean: float
    sd: float | None
    low: float | None
    high: float | None
    least: float | None


class Precision(Strict):
    """A group whose recipe has another precision than the baseline's and is otherwise the same, against the baseline:
    trainings of the same seed start from the same weights and see the same pictures. `differences` are keyed `VIEWS.top1`.
    """

    precision: str
    baseline: str
    seeds: list[int]
    differences: dict[str, Paired]


class Sample(Strict):
    """What a measure gives: one number over seeds with its 95 % interval. `n` counts the seeds of the smaller side; `sds` are
    the s.d. of the sides over their seeds.

    `no_effect`: the value that would mean that there is nothing to see, where the number is an effect; `seeds` is n in
    words; `chance_alone` the standard error that the number of pictures alone brings, in its unit.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    seeds: str
    sds: list[float] = []
    unit: str = "%"
    no_effect: float | None = None
    chance_alone: float | None = None


class Neighbours(Strict):
    """Retrieval over seeds, in percent, for the 1, 2, … nearest (`replicate.evaluation.retrieval` describes the keys)."""

    precision: dict[str, list[Estimate]]
    pixel_rank: list[Estimate]


class Group(Strict):
    """Trainings that share run and network. `ensemble` is the error of the seeds' averaged probabilities, `view_gain`
    the error of the centre view less that of the ten views, seed by seed, in points.

    `curves`: columns of the training logs, a list of epochs a seed. `kernels`: keys of `replicate.evaluation.kernels`.
    """

    run: str
    network: str
    seeds: list[int]
    trainings: list[str]
    classes: int
    pictures: int
    parameters: int
    macs: int
    input_side: int
    epochs: list[int]
    errors: dict[str, Estimate]
    ensemble: dict[str, float]
    view_gain: dict[str, Estimate]
    differences: dict[str, Difference]
    curves: dict[str, list[list[float]]] = {}
    kernels: dict[str, Estimate] = {}
    retrieval: Neighbours | None = None


class Results(Strict):
    """`reports/<profile>/results.json`. The baseline's own `differences` are empty.

    `ensembles`: errors of averaged probabilities that a claim asks for, by `VIEWS.ERROR`, keyed by their members in words.
    `measured`: what the claims' measures gave, keyed by measure and arguments. `precision`: by group.
    """

    profile: str
    source: str
    baseline: str
    groups: dict[str, Group]
    ensembles: dict[str, dict[str, float]] = {}
    measured: dict[str, dict[str, Sample]] = {}
    precision: dict[str, Precision] = {}
    provenance: Provenance


class Verdict(Strict):
    """What the rule says of one claim. `said` and `measured` are printed as they stand."""

    id: str
    verdict: Literal[VERDICTS]  # type: ignore[valid-type]
    said: str
    measured: str
    reason: str
    n: int | None = None
    values: dict[str, Any] = {}


class Verdicts(Strict):
    """`reports/<profile>/verdicts.json`."""

    profile: str
    source: str
    verdicts: list[Verdict]
    provenance: Provenance
