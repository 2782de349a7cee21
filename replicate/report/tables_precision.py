"""Whether products in bfloat16 change results: trainings that differ in the precision only, paired by seed."""

from statistics import fmean

from replicate.evidence.pipelines import pipelines
from replicate.evidence.precision import ENOUGH_PAIRS, ERRORS, MARGIN, default, departing, errors_of, within
from replicate.evidence.results import Results
from replicate.evidence.statistics import POWER
from replicate.report import data
from replicate.report.table import Column, Row, Table
from replicate.settings import Profile

POINTS = ".2f"
NUMBERS = ("error", "baseline", "difference", "low", "high", "least")


def precision(profile: Profile) -> Table:
    """Each pair of trainings, the mean difference with its interval, and what it decides; or what would have to be run."""
    found = data.results(profile) if data.has_results(profile) else None
    rows: list[Row] = []
    said = ""
    for group in departing(profile.settings):
        if found is None or group not in found.precision:
            rows.append(_empty(group, _not_run(profile, found, group)))
            continue
        rows += _rows(found, group)
        one = found.precision[group]
        choice = default(one, profile.settings.source.kind == "drawn")
        said += f" Group {group}: {one.precision} against {one.baseline}; "
        said += f"default of runs that are judged: {choice.precision} ({choice.why})."
    return Table(
        name="precision",
        caption=(
            f"Top-1 error of trainings that differ from those of the baseline {profile.settings.baseline!r} in the precision of their "
            f"products only, seed by seed, profile {profile.name} ({profile.settings.source.name}). {profile.settings.note}"
        ),
        columns=[
            Column("group", "trainings"),
            Column("views", "views"),
            Column("seed", "seed"),
            Column("error", "top-1 error", "%", POINTS),
            Column("baseline", "the baseline's", "%", POINTS),
            Column("difference", "difference", "points", "+.2f"),
            Column("low", "from", "points", "+.2f"),
            Column("high", "to", "points", "+.2f"),
            Column("least", "could have seen", "points", POINTS),
            Column("outcome", "outcome"),
        ],
        rows=rows or [_empty("none", _elsewhere(profile))],
        note=(
            "A pair has the same seed: the same initial weights, pictures and dropped units. From and to: 95 % interval of the mean "
            "difference, t over pairs. Could have seen: the smallest true difference that a two-sided test at 5 % finds, with its sign, in "
            f"{100 * POWER:g} % of such experiments, by the noncentral t distribution with the s.d. of these pairs. Another precision "
            f"than float32 may be the default if the intervals of both views lie within ±{MARGIN:g} points, with at least "
            f"{ENOUGH_PAIRS} pairs on photographs.{said}{_origin(profile) if said else ''}"
        ),
    ).without_empty("views", "seed", *NUMBERS)


def _rows(found: Results, group: str) -> list[Row]:
    """For each view a row a seed, then the mean."""
    rows: list[Row] = []
    one, base = found.precision[group], found.groups[found.baseline]
    for key in ERRORS:
        views, pairs = key.split(".")[0], one.differences[key]
        own, theirs = (errors_of(side, key, one.seeds) for side in (found.groups[group], base))
        for seed, error, baseline, difference in zip(one.seeds, own, theirs, pairs.values, strict=True):
            row = _empty(group, "") | {"views": views, "seed": str(seed)}
            rows.append(row | {"error": error, "baseline": baseline, "difference": difference})
        words = {True: "within", False: "not within", None: "no spread, so no interval; not known to be within"}[within(pairs)]
        rows.append({
            "group": group, "views": views, "seed": f"mean of {len(one.seeds)}", "error": fmean(own), "baseline": fmean(theirs),
            "difference": pairs.mean, "low": pairs.low, "high": pairs.high, "least": pairs.least,
            "outcome": f"{words} ±{MARGIN:g} points",
        })  # fmt: skip
    return rows


def _empty(group: str, outcome: str) -> Row:
    return {"group": group, "views": None, "seed": None, "outcome": outcome} | dict.fromkeys(NUMBERS)


def _origin(profile: Profile) -> str:
    return f" From reports/{profile.name}/results.json, made of the records of the trainings by `replicate compare`."


def _not_run(profile: Profile, found: Results | None, group: str) -> str:
    if found and group in found.groups and not set(found.groups[group].seeds) & set(found.groups[found.baseline].seeds):
        return f"not run: shares no seed with {found.baseline}; add trainings to {profile.params_file.relative_to(profile.root)}"
    return f"not run: `{profile.repro}`"


def _elsewhere(profile: Profile) -> str:
    """Where such trainings are, if not in this profile."""
    others = [one for one in pipelines(profile.root).values() if departing(one.settings)]
    run = "; ".join(f"profile {one.name} has: `{one.repro}`" for one in others)
    return f"not run: no training of this profile departs in its precision only{f'; {run}' if run else ''}"
