"""Tables of what was run, and of where every number comes from."""

from replicate.records import Evaluation
from replicate.report import data
from replicate.report.table import Column, Row, Table
from replicate.report.tables_pictures import store_record
from replicate.settings import Profile


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
            identity = store_record(profile).identity if name == "store" else None  # pca.json names no store
            rows.append(_exact(profile, name, stage, identity))
    return Table(
        name="provenance",
        caption=f"Where every number of profile {profile.name} comes from: its records. {profile.settings.note}",
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
            "had uncommitted code. Records of the pictures are exact and the same on every machine, so they name no commit; that of the PCA names no store. "
            f"The profile's method is {profile.settings.method}. From reports/{profile.name}/records/*.json, "
            "where all versions and hashes stand in full."
        ),
    )


def _exact(profile: Profile, name: str, stage: str, store: str | None) -> Row:
    option = "" if profile.name == "demo" else f" --profile {profile.name}"
    blank: Row = dict.fromkeys(("seed", "commit", "method", "started"), None)
    return blank | {
        "record": f"{name}.json", "kind": name,
        "command": f"replicate {stage}{option}", "store": store and store[:12],
    }  # fmt: skip


def short(commit: str) -> str:
    """A commit as people write it, keeping the mark of uncommitted changes."""
    head, plus, _ = commit.partition("+")
    return head[:10] + ("+changes" if plus else "")
