"""Tables of what was trained and measured: errors, ablations, trainings, where every number comes from."""

from replicate.evidence.results import Group, Results
from replicate.networks import load
from replicate.records import Evaluation
from replicate.report import data
from replicate.report.paper_says import claims_on, errors_of_paper, figure
from replicate.report.tables_pictures import store_record
from replicate.report.table import Column, Row, Table, Value
from replicate.settings import Profile

VIEWS = {"centre": "centre", "ten": "ten"}
POINTS = ".2f"
ENOUGH_SEEDS = 3  # below that an interval says little and a verdict nothing


def errors(profile: Profile) -> Table:
    """Top-1 and top-5 error of every training, group and ensemble."""
    found = data.results(profile)
    rows: list[Row] = []
    for name, group in found.groups.items():
        for index, training in enumerate(group.trainings):
            one = {key: estimate.values[index] for key, estimate in group.errors.items()}
            rows += [_error_row(training, "one training", views, 1, one) for views in VIEWS]
        if len(group.seeds) > 1:
            mean = {key: estimate.mean for key, estimate in group.errors.items()}
            rows += [_error_row(name, "mean of trainings", views, len(group.seeds), mean, group) for views in VIEWS]
            rows += [_error_row(name, "ensemble", views, len(group.seeds), group.ensemble) for views in VIEWS]
    paper = errors_of_paper()
    rows += [_error_row("the paper", f"{place} ({claim})", views, None, figures) for claim, place, views, figures in paper]
    columns = [
        Column("what", "training or group"),
        Column("kind", "what it is"),
        Column("views", "views"),
        Column("n", "n", "trainings", "d"),
    ]
    for key in ("top1", "top5"):
        head = f"top-{key[-1]}"
        columns += [
            Column(key, f"{head} error", "%", POINTS),
            Column(f"{key}_sd", f"{head} s.d.", "points", POINTS),
            Column(f"{key}_low", f"{head} from", "%", POINTS),
            Column(f"{key}_high", f"{head} to", "%", POINTS),
        ]
    table = Table(
        name="errors",
        caption=f"Error on the validation pictures, profile {profile.name} ({found.source}). {profile.settings.note}",
        columns=columns,
        rows=rows,
        note=f"From and to: 95 % t interval of the mean over trainings. {_chance(found)} {_paper_note(bool(paper))}{_origin(profile)}",
    )
    ours = [row for row in rows if row["what"] != "the paper"]
    if all(row["top5"] is None for row in ours):  # five classes or fewer
        rows = [{key: value for key, value in row.items() if not key.startswith("top5")} for row in rows]
        table = Table(table.name, table.caption, [c for c in columns if not c.key.startswith("top5")], rows, table.note)
    return table.without_empty("top1_sd", "top1_low", "top1_high", "top5_sd", "top5_low", "top5_high")


def _error_row(
    what: str, kind: str, views: str, n: int | None, figures: dict[str, float], spread: Group | None = None
) -> Row:
    row: dict[str, Value] = {"what": what, "kind": kind, "views": VIEWS.get(views, views), "n": n}
    for key in ("top1", "top5"):
        estimate = spread.errors.get(f"{views}.{key}") if spread else None
        row[key] = figures.get(f"{views}.{key}")
        row[f"{key}_sd"] = estimate.sd if estimate else None
        row[f"{key}_low"] = estimate.low if estimate else None
        row[f"{key}_high"] = estimate.high if estimate else None
    return row


def _chance(found: Results) -> str:
    """What guessing would give, derived from the number of classes."""
    classes = sorted({group.classes for group in found.groups.values()})
    said = []
    for number in classes:
        top1, top5 = 100 * (1 - 1 / number), 100 * (1 - 5 / number)
        if number > 5:
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
                "weight": "the baseline" if name == found.baseline else _weight(profile, len(group.seeds)),
                "parameters": group.parameters,
                "macs": group.macs,
            }
        )
        if network.base:
            notes += [f"{name}: {note}" for note in network.notes]
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


def _weight(profile: Profile, n: int) -> str:
    """How much a group of `n` seeds can prove. A fixed schedule is a short one: the paper's waits for a plateau."""
    if n >= ENOUGH_SEEDS:
        return f"{n} seeds"
    short = "short " if profile.settings.recipe.schedule.rule == "fixed" else ""
    return f"one {short}run, no evidence" if n == 1 else f"{n} {short}runs, no evidence"


def trainings(profile: Profile) -> Table:
    """What was run: every training with its size, machine and time. What all have in common stands in the note."""
    done = data.evaluations(profile)
    rows = [
        _training_row(profile, name, done[name][0]) if name in done else _not_run(profile, name)
        for name in profile.settings.trainings
    ]
    columns = [
        Column("training", "training"),
        Column("run", "run"),
        Column("network", "network"),
        Column("seed", "seed", format="d"),
        Column("input_side", "input", "pixels", "d"),
        Column("train_pictures", "trained on", "pictures", ",d"),
        Column("pictures", "judged on", "pictures", ",d"),
        Column("epochs", "epochs", format="d"),
        Column("updates", "updates", format=",d"),
        Column("seconds", "time", "s", ",.0f"),
        Column("device", "device"),
        Column("machine", "machine"),
        Column("commit", "commit"),
        Column("method", "method"),
    ]
    common = {key: rows[0][key] for key in ("device", "machine", "commit", "method") if len({row[key] for row in rows}) == 1}
    return Table(
        name="trainings",
        caption=f"What was trained, profile {profile.name}. {profile.settings.note}",
        columns=[column for column in columns if column.key not in common],
        rows=[{key: value for key, value in row.items() if key not in common} for row in rows],
        note=(
            f"{'In all: ' if common else ''}{'; '.join(f'{key} {value}' for key, value in common.items())}{'. ' if common else ''}"
            f"Time is that of the training alone. From reports/{profile.name}/records/TRAINING.json."
        ),
    )


def _training_row(profile: Profile, name: str, found: Evaluation) -> Row:
    old = found.trained.method < profile.settings.method
    return {
        "training": name,
        "run": found.run,
        "network": found.network,
        "seed": found.seed,
        "input_side": found.input_side,
        "train_pictures": found.train_pictures,
        "pictures": found.pictures,
        "epochs": found.epochs,
        "updates": found.updates,
        "seconds": found.trained.seconds,
        "device": f"{found.trained.device}, {found.trained.threads} threads",
        "machine": found.trained.machine,
        "commit": short(found.trained.commit),
        "method": f"{found.trained.method} (older than the profile's {profile.settings.method})" if old else str(found.trained.method),
    }


def _not_run(profile: Profile, name: str) -> Row:
    planned = profile.settings.trainings[name]
    blank: Row = dict.fromkeys(("input_side", "train_pictures", "pictures", "epochs", "updates", "seconds", "machine", "commit", "method"))
    return blank | {
        "training": name, "run": planned.run, "network": planned.network, "seed": planned.seed,
        "device": f"not run: `{profile.repro}`",
    }  # fmt: skip


def provenance(profile: Profile) -> Table:
    """Where every number comes from: record by record, what would make it again."""
    rows: list[Row] = []
    for name, record in data.records(profile).items():
        seed, store = record.values.get("seed"), record.values.get("store_identity")
        trained = record.values.get("trained") or {}
        older = min(record.provenance.method, trained.get("method", record.provenance.method)) < profile.settings.method
        rows.append(
            {
                "record": f"{name}.json",
                "kind": record.kind,
                "command": "; ".join(filter(None, (trained.get("command"), record.provenance.command))),
                "seed": seed if isinstance(seed, int) else None,
                "commit": short(record.provenance.commit),
                "method": f"{record.provenance.method}{' (some of it older)' if older else ''}",
                "store": store[:12] if isinstance(store, str) else None,
                "started": record.provenance.started[:16].replace("T", " "),
            }
        )
    if not rows:
        raise data.missing(profile, "records")
    for name, stage in (("store", "prepare"), ("pca", "pca")):  # exact: any commit and machine gives the same
        if profile.record(name).is_file():
            rows.append(_exact(profile, name, stage))
    return Table(
        name="provenance",
        caption=f"Where every number of profile {profile.name} comes from: its records.",
        columns=[
            Column("record", "record"),
            Column("kind", "kind"),
            Column("command", "commands"),
            Column("seed", "seed", format="d"),
            Column("commit", "commit"),
            Column("method", "method"),
            Column("store", "store identity"),
            Column("started", "started", "UTC"),
        ],
        rows=rows,
        note=(
            "The store's identity is a hash of its pictures and labels (its first 12 digits); a commit ending in +changes "
            "had uncommitted code. Records of the pictures are exact and the same on every machine, so they name no commit. "
            f"The profile's method is {profile.settings.method}. From reports/{profile.name}/records/*.json, "
            "where all versions and hashes stand in full."
        ),
    )


def _exact(profile: Profile, name: str, stage: str) -> Row:
    option = "" if profile.name == "demo" else f" --profile {profile.name}"
    blank: Row = dict.fromkeys(("seed", "commit", "method", "started"), None)
    return blank | {
        "record": f"{name}.json", "kind": name,
        "command": f"replicate {stage}{option}", "store": store_record(profile).identity[:12],
    }  # fmt: skip


def short(commit: str) -> str:
    """A commit as people write it, keeping the mark of uncommitted changes."""
    head, plus, _ = commit.partition("+")
    return head[:10] + ("+changes" if plus else "")


def _origin(profile: Profile) -> str:
    return f"From reports/{profile.name}/results.json, made of the records of the trainings by `replicate compare`."
