"""`replicate plan`."""

import os
import shutil
from typing import TYPE_CHECKING

import click

from replicate.commands.options import command_line, open_profile, profile_option
from replicate.report.table import Column, Row, Table

if TYPE_CHECKING:
    from replicate.measure.plan import Plan
    from replicate.settings import Profile

UNITS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "h"), (2 * 60, 60, "min"), (0, 1, "s"))  # from so many seconds on
CLOSE = 25  # percent: as near as a plan is meant to come


@click.command()
@profile_option
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Devices that share a training.")
@click.option("--compare", is_flag=True, help="Set beside the last plan what the stages have taken since; measures nothing.")
def plan(profile_name: str, devices: int, compare: bool) -> None:
    """Estimate what a pipeline will take, before days are spent on it.

    Times a few training steps of each of the profile's networks on this machine, and a small part of every other stage, and
    works out time, memory and disk of each stage; with --devices also the bytes that cross between them. All of it is an
    estimate, and says what it follows from. Trains nothing and changes no result.

    Writes reports/plans/PROFILE.json. With --compare, after `dvc repro` ran in one go, it sets the times of the stages
    beside it.
    """
    profile = open_profile(profile_name)
    from replicate import files
    from replicate.measure import plan as measured
    from replicate.report import writers

    record = measured.compare(profile) if compare else measured.plan(profile, devices, command_line())
    where = measured.path(profile).relative_to(profile.root)
    planned = files.parse(measured.Plan, record.values, str(where))
    tables = [_took(profile, planned)] if compare else [_stages(profile, planned), _speeds(planned)]
    if devices > 1:
        tables.append(_exchanges(planned))
    for table in tables:
        click.echo(writers.text(table, shutil.get_terminal_size((110, 24)).columns))
    click.echo(f"measured in {record.provenance.seconds:.0f} s on {record.provenance.machine}; written: {where}")


command = plan


def _stages(profile: "Profile", planned: "Plan") -> Table:
    """A row a stage; the trainings of a group, which differ in nothing but the seed, together."""
    groups, rows = profile.settings.groups(), {}
    for stage in planned.stages:
        kind, _, name = stage.stage.partition(" ")
        group = name.rsplit("-", 1)[0]
        times = len(groups[group]) if name else 1
        rows[kind, group] = {
            "stage": f"{kind} {group}".strip(),
            "times": times,
            "each": lasting(stage.seconds),
            "all": lasting(None if stage.seconds is None else times * stage.seconds),
            "disk": times * stage.disk / 1e6,
            "passing": stage.passing / 1e6,
            "follows": stage.follows,
        }
    train, val = planned.train_pictures, planned.val_pictures
    pictures = f"{train:,} training and {val:,} validation pictures: from {planned.counted}"
    return Table(
        name="plan",
        caption=f"Estimates for profile {profile.name} on one device ({planned.device}) of this machine.",
        columns=[
            Column("stage", "stage"),
            Column("times", "times", format="d"),
            Column("each", "each"),
            Column("all", "all"),
            Column("disk", "disk", "MB", ",.0f"),
            Column("passing", "and while it runs", "MB", ",.0f"),
            Column("follows", "follows from"),
        ],
        rows=[*rows.values(), _all(planned, list(rows.values()))],
        note=(
            f"{pictures if train else 'How many pictures is unknown: run `replicate prepare`'}. Every stage with the start of its process "
            f"{'and what DVC takes for it' if planned.dvc_start is not None else '(no pipeline for DVC here)'}. While a training "
            f"runs, its checkpoints take disk. {_busy(planned)}"
        ),
    )


def _all(planned: "Plan", rows: list[Row]) -> Row:
    known = [stage.seconds for stage in planned.stages if stage.seconds is not None]
    total = lasting(sum(known) + (planned.dvc_start or 0))
    return {
        "stage": "all, one after the other",
        "times": len(planned.stages),
        "each": "",
        "all": total if len(known) == len(planned.stages) else f"unknown; those that are known {total}",
        "disk": sum(row["disk"] for row in rows),
        "passing": max(row["passing"] for row in rows),
        "follows": "",
    }


def _busy(planned: "Plan") -> str:
    """Other programs make everything slower than it would be without them."""
    if planned.busy is None:
        return ""
    return f"Before it was measured, {planned.busy:.1f} programs were at work on {os.cpu_count()} cores: it holds as long as that does."


def _speeds(planned: "Plan") -> Table:
    shown = {"network", "crop", "batch_size", "precision", "median", "lowest", "highest", "steps"}
    return Table(
        name="plan-speeds",
        caption="Measured: whole training steps, their pictures cut and fed, and the most memory that the process had.",
        columns=[
            Column("group", "trainings"),
            Column("network", "network"),
            Column("crop", "pixels", format="d"),
            Column("batch_size", "batch", format="d"),
            Column("precision", "precision"),
            Column("median", "pictures a second", format=",.1f"),
            Column("lowest", "lowest", format=",.1f"),
            Column("highest", "highest", format=",.1f"),
            Column("steps", "steps", format="d"),
            Column("memory", "memory", "MB", ",.0f"),
            Column("gpu", "on the GPU", "MB", ",.0f"),
        ],
        rows=[
            {"group": group, "memory": speed.memory / 1e6, "gpu": speed.gpu_memory / 1e6 or None} | speed.model_dump(include=shown)
            for group, speed in planned.speeds.items()
        ],
        note=(
            f"Read: {'; '.join(sorted({speed.pictures for speed in planned.speeds.values()}))}. Trainings of one network, crop, "
            "batch and precision are timed once. Times above are by the mean of the steps."
        ),
    ).without_empty("gpu")


def _exchanges(planned: "Plan") -> Table:
    return Table(
        name="plan-exchanges",
        caption=f"Computed: what each of {planned.devices} devices receives of the others.",
        columns=[
            Column("group", "trainings"),
            Column("network", "network"),
            Column("towers", "towers", format="d"),
            Column("parts", "parts of a batch", format="d"),
            Column("picture", "maps and units, a picture", "kB", ",.1f"),
            Column("step", "a step", "MB", ",.2f"),
            Column("gradients", "gradients, a step", "MB", ",.2f"),
        ],
        rows=[
            {
                "group": group,
                "network": one.network,
                "towers": one.towers,
                "parts": one.parts,
                "picture": one.a_picture / 1e3,
                "step": one.a_step / 1e6,
                "gradients": one.gradients_a_step / 1e6,
            }
            for group, one in planned.exchanges.items()
        ],
        note=(
            f"How long that takes is unknown until it is run on {planned.devices} devices; were it free and the work divided "
            f"evenly, a training would take 1/{planned.devices} of the time on one."
        ),
    )


def _took(profile: "Profile", planned: "Plan") -> Table:
    """By kind of stage, those that have ended since."""
    seconds = {stage.stage: stage.seconds for stage in planned.stages}
    bounds = {stage.stage.partition(" ")[0] for stage in planned.stages if stage.bound}
    compared = [stage for stage in planned.took if seconds[stage] is not None]
    kinds: dict[str, list[str]] = {}
    for stage in compared:
        kinds.setdefault(stage.partition(" ")[0], []).append(stage)
    rows = []
    for kind, names in (kinds | {"all": compared}).items():
        estimate, took = sum(seconds[name] for name in names), sum(planned.took[name] for name in names)
        off = 100 * (estimate / took - 1)
        close = "yes" if abs(off) <= CLOSE else "at least so long: yes" if kind in bounds and off < 0 else "no"
        rows.append({"stages": kind, "times": len(names), "planned": estimate, "took": took, "off": off, "close": close})
    left = [stage for stage in seconds if stage not in compared]
    return Table(
        name="plan-compared",
        caption=f"What profile {profile.name} was planned to take, and took.",
        columns=[
            Column("stages", "stages"),
            Column("times", "times", format="d"),
            Column("planned", "planned", "s", ",.1f"),
            Column("took", "took", "s", ",.1f"),
            Column("off", "planned is off by", "%", "+.0f"),
            Column("close", f"within {CLOSE} %"),
        ],
        rows=rows,
        note=(
            "From the end of the stage before to its own, by the times of their files: true of one run without a pause, a stage "
            f"after the other. {'Not compared: ' + ', '.join(left) + '.' if left else ''}"
        ),
    )


def lasting(seconds: float | None) -> str:
    """A time in the unit that suits it."""
    if seconds is None:
        return "unknown"
    _, unit, name = next(one for one in UNITS if seconds >= one[0])
    return f"{seconds / unit:.1f} {name}"
