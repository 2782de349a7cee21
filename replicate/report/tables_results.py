"""Tables of what was measured: errors, and every ingredient against the baseline."""

from replicate.evidence.results import Group, Results
from replicate.evidence.statistics import ENOUGH_SEEDS, chance
from replicate.networks import load
from replicate.report import data
from replicate.report.paper_says import claims_on, errors_of_paper, figure
from replicate.report.table import Column, Row, Table, Value
from replicate.settings import Profile

VIEWS = ("centre", "ten")
POINTS = ".2f"


def errors(profile: Profile) -> Table:
    """Top-1 and top-5 error of every training, group and ensemble; top-1 alone where five classes or fewer leave no more."""
    found = data.results(profile)
    shown = [e for e in ("top1", "top5") if any(f"ten.{e}" in group.errors for group in found.groups.values())]
    rows: list[Row] = []
    for name, group in found.groups.items():
        n = len(group.seeds)
        for index, training in enumerate(group.trainings):
            one = {key: estimate.values[index] for key, estimate in group.errors.items()}
            rows += [_error_row(shown, training, "one training", views, 1, one) for views in VIEWS]
        if n > 1:
            mean = {key: estimate.mean for key, estimate in group.errors.items()}
            rows += [_error_row(shown, name, "mean of trainings", views, n, mean, group) for views in VIEWS]
            rows += [_error_row(shown, name, "ensemble", views, n, group.ensemble) for views in VIEWS]
    paper = errors_of_paper()
    rows += [_error_row(shown, "the paper", f"{place} ({claim})", views, None, said) for claim, place, views, said in paper]
    columns = [
        Column("what", "training or group"),
        Column("kind", "what it is"),
        Column("views", "views"),
        Column("n", "n", "trainings", "d"),
    ]
    for error in shown:
        head = f"top-{error[-1]}"
        columns += [
            Column(error, f"{head} error", "%", POINTS),
            Column(f"{error}_sd", f"{head} s.d.", "points", POINTS),
            Column(f"{error}_low", f"{head} from", "%", POINTS),
            Column(f"{error}_high", f"{head} to", "%", POINTS),
        ]
    return Table(
        name="errors",
        caption=f"Error on the validation pictures, profile {profile.name} ({found.source}). {profile.settings.note}",
        columns=columns,
        rows=rows,
        note=f"From and to: 95 % t interval of the mean over trainings. {_chance(found)} {_paper_note(bool(paper))}{_origin(profile)}",
    ).without_empty(*(f"{error}_{part}" for error in shown for part in ("sd", "low", "high")))


def _error_row(
    shown: list[str], what: str, kind: str, views: str, n: int | None, figures: dict[str, float], spread: Group | None = None
) -> Row:
    row: dict[str, Value] = {"what": what, "kind": kind, "views": views, "n": n}
    for error in shown:
        estimate = spread.errors.get(f"{views}.{error}") if spread else None
        row[error] = figures.get(f"{views}.{error}")
        row[f"{error}_sd"] = estimate.sd if estimate else None
        row[f"{error}_low"] = estimate.low if estimate else None
        row[f"{error}_high"] = estimate.high if estimate else None
    return row


def _chance(found: Results) -> str:
    """What guessing would give, derived from the number of classes."""
    classes = sorted({group.classes for group in found.groups.values()})
    said = []
    for number in classes:
        top1, top5 = chance(number, 1), chance(number, 5)
        if top5 is not None:
            said.append(f"With {number} classes chance is {top1:.4g} % top-1 and {top5:.4g} % top-5 error.")
        else:
            said.append(f"With {number} classes chance is {top1:.4g} % top-1 error; five answers of {number} would always be right, so top-5 is left out.")
    return " ".join(said)


def _paper_note(shown: bool) -> str:
    if not shown:
        return ""
    return f"The paper's figures are of {load('paper').classes} classes and its own pictures: beside ours, but not the same quantity. "


def ablations(profile: Profile) -> Table:
    """Each group against the baseline: the difference in error, what the paper says, the verdict."""
    found = data.results(profile)
    words = {verdict.id: verdict.verdict for verdict in data.verdicts(profile)}
    baseline = found.groups[found.baseline]
    rows: list[Row] = []
    notes = []
    for name, group in found.groups.items():
        network = load(group.network)
        difference = group.differences.get("ten.top1")
        top5 = group.differences.get("ten.top5")
        claims = [] if name == found.baseline else claims_on(group, baseline)
        rows.append(
            {
                "group": name,
                "change": _change(profile, group, baseline),
                "n": len(group.seeds),
                "top1": group.errors["ten.top1"].mean,
                "difference": difference.mean if difference else None,
                "low": difference.low if difference else None,
                "high": difference.high if difference else None,
                "top5": top5.mean if top5 else None,
                "paper": figure(claims),
                "verdict": "; ".join(dict.fromkeys(words[claim.id] for claim in claims if claim.id in words)) or None,
                "weight": "the baseline" if name == found.baseline else _weight(profile, group, baseline),
                "parameters": group.parameters,
                "macs": group.macs,
            }
        )
        if network.base:
            notes += [f"{name}: {note}" for note in network.notes]
        views = {claim.id: claim.measure_arguments["views"] for claim in claims}
        notes += [f"{name}: {claim} is judged on the {view} view." for claim, view in views.items() if view != "ten"]
    return Table(
        name="ablations",
        caption=(
            f"Every group of trainings against the baseline {found.baseline!r} (n = {len(baseline.seeds)}), top-1 error with "
            f"ten views, profile {profile.name} ({found.source}). {profile.settings.note}"
        ),
        columns=[
            Column("group", "group"),
            Column("change", "what is different"),
            Column("n", "n", "trainings", "d"),
            Column("top1", "top-1 error", "%", POINTS),
            Column("difference", "difference", "points", "+.2f"),
            Column("low", "from", "points", "+.2f"),
            Column("high", "to", "points", "+.2f"),
            Column("top5", "difference top-5", "points", "+.2f"),
            Column("paper", "the paper", "points top-1"),
            Column("verdict", "verdict"),
            Column("weight", "weight"),
            Column("parameters", "parameters", format=",d"),
            Column("macs", "MACs", "a view", ",d"),
        ],
        rows=rows,
        note=(
            "A positive difference means more errors than the baseline. From and to: Welch's 95 % interval, where both "
            f"sides have at least two trainings. {' '.join(notes)}{' ' if notes else ''}{_origin(profile)}"
        ),
    ).without_empty("low", "high", "top5", "paper", "verdict")


def _change(profile: Profile, group: Group, baseline: Group) -> str:
    """In words: what the group's network and run have that the baseline's have not."""
    said = []
    if group.network != baseline.network:
        said.append(load(group.network).title)
    if group.run != baseline.run:
        said.append(", ".join(_override(*one) for one in _flat(profile.settings.runs.get(group.run, {}))) or group.run)
    return "; ".join(said) or "the baseline"


def _flat(overrides: dict, above: str = "") -> list[tuple[str, Value]]:  # type: ignore[type-arg]
    flat = []
    for key, value in overrides.items():
        flat += _flat(value, f"{above}{key}.") if isinstance(value, dict) else [(above + key, value)]
    return flat


def _override(key: str, value: Value) -> str:
    return f"{key} {'on' if value else 'off'}" if isinstance(value, bool) else f"{key} {value}"


def _weight(profile: Profile, group: Group, baseline: Group) -> str:
    """How much a group can prove, by the seeds of the smaller side.

    A fixed schedule is called short: the paper's waits for a plateau.
    """
    n = min(len(group.seeds), len(baseline.seeds))
    side = " of the baseline" if n < len(group.seeds) else ""
    if n >= ENOUGH_SEEDS:
        return f"{n} seeds{side}"
    short = "short " if profile.settings.recipe.schedule.rule == "fixed" else ""
    return f"one {short}run{side}, no evidence" if n == 1 else f"{n} {short}runs{side}, no evidence"


def _origin(profile: Profile) -> str:
    return f"From reports/{profile.name}/results.json, made of the records of the trainings by `replicate compare`."
