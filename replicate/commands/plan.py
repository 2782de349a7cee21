"""`replicate plan`."""

import os
import shutil
from typing import TYPE_CHECKING

import click

from replicate.commands.options import command_line, open_profile, profile_option

if TYPE_CHECKING:
    from replicate.measure.plan import Plan
    from replicate.report.table import Table
    from replicate.settings import Profile

UNITS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "h"), (2 * 60, 60, "min"), (0, 1, "s"))  # from so many seconds on
CLOSE = 25  # percent: as near as a plan is meant to come


@click.command()
@profile_option
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Devices that a training is to be divided between.")
@click.option("--compare", is_flag=True, help="Set beside the last plan what the stages have taken since; measures nothing.")
def plan(profile_name: str, devices: int, compare: bool) -> None:
    """Estimate what a pipeline will take, before days are spent on it.

    Times a few training steps of each of the profile's networks on this machine, and a small part of every other stage, and
    works out time, memory and disk of each stage; with --devices also the bytes that cross between them. All of it is an
    estimate, and says what it follows from. Trains nothing and changes no result.

    Writes reports/plans/PROFILE.json. With --compare, after `dvc repro` ran in one go, it sets the times of the stages beside it.
    """
    profile = open_profile(profile_name)
    from replicate import files
    from replicate.measure import plan as measured
    from replicate.report import writers

    record = measured.compare(profile) if compare else measured.plan(profile, devices, command_line())
    planned = files.parse(measured.Plan, record.values, str(measured.path(profile)))
    tables = [_took(profile, planned)] if compare else [_stages(profile, planned), _speeds(planned)] + ([_exchanges(planned)] if devices > 1 else [])
    for table in tables:
        click.echo(writers.text(table, shutil.get_terminal_size((110, 24)).columns))
    click.echo(f"measured in {record.provenance.seconds:.0f} s on {record.provenance.machine}; written: {measured.path(profile).relative_to(profile.root)}")


command = plan


def _stages(profile: "Profile", planned: "Plan") -> "Table":
    from replicate.report.table import Column, Table

    groups = profile.settings.groups()
    rows, seen = [], set()
    for stage in planned.stages:
        kind, _, name = stage.stage.partition(" ")
        group = name.rsplit("-", 1)[0]
        if (kind, group) in seen:
            continue
        seen.add((kind, group))
        times = len(groups[group]) if name else 1
        every = None if stage.seconds is None else times * stage.seconds
        rows.append(
            {
                "stage": f"{kind} {group}".strip(), "times": times, "each": lasting(stage.seconds), "all": lasting(every),
                "disk": times * stage.disk / 1e6, "passing": stage.passing / 1e6, "follows": stage.follows,
            }
        )  # fmt: skip
    known = [stage.seconds for stage in planned.stages if stage.seconds is not None]
    total = lasting(sum(known) + (planned.dvc_start or 0))
    if len(known) < len(planned.stages):
        total = f"unknown, {total} without those"
    rows.append(
        {
            "stage": "all, one after the other", "times": len(planned.stages), "each": "", "all": total,
            "disk": sum(row["disk"] for row in rows), "passing": max(row["passing"] for row in rows), "follows": "",
        }
    )  # fmt: skip
    pictures = f"{planned.train_pictures:,} training and {planned.val_pictures:,} validation pictures: from {planned.counted}"
    return Table(
        name="plan",
        caption=f"Estimates for profile {profile.name} on one device ({planned.device}) of this machine.",
        columns=[
            Column("stage", "stage"), Column("times", "times", format="d"), Column("each", "each"), Column("all", "all"),
            Column("disk", "disk", "MB", ",.0f"), Column("passing", "and while it runs", "MB", ",.0f"), Column("follows", "follows from"),
        ],
        rows=rows,
        note=(
            f"{pictures if planned.train_pictures else 'How many pictures is unknown: run `replicate prepare`'}. Every stage with the start of its process "
            f"{'and what DVC takes for it' if planned.dvc_start is not None else '(no pipeline for DVC here)'}. While a training runs, its checkpoints take "
            f"disk. {_busy(planned)}"
        ),
    )  # fmt: skip


def _busy(planned: "Plan") -> str:
    """Other programs make everything slower than it would be without them."""
    return "" if planned.busy is None else f"Before it was measured, {planned.busy:.1f} programs were at work on {os.cpu_count()} cores: it holds as long as that does."


def _speeds(planned: "Plan") -> "Table":
    from replicate.report.table import Column, Table

    return Table(
        name="plan-speeds",
        caption="Measured: whole training steps, their pictures cut and fed, and the most memory that the process had.",
        columns=[
            Column("group", "trainings"), Column("network", "network"), Column("crop", "pixels", format="d"),
            Column("batch_size", "batch", format="d"), Column("precision", "precision"), Column("median", "pictures a second", format=",.1f"),
            Column("lowest", "lowest", format=",.1f"), Column("highest", "highest", format=",.1f"), Column("steps", "steps", format="d"),
            Column("memory", "memory", "MB", ",.0f"),
        ],
        rows=[
            {"group": group, "memory": one.memory / 1e6} | one.model_dump(include={"network", "crop", "batch_size", "precision", "median", "lowest", "highest", "steps"})
            for group, one in planned.speeds.items()
        ],
        note=f"Read: {'; '.join(sorted({one.pictures for one in planned.speeds.values()}))}. Trainings of one network, crop, batch and precision are timed once.",
    )  # fmt: skip


def _exchanges(planned: "Plan") -> "Table":
    from replicate.report.table import Column, Table

    return Table(
        name="plan-exchanges",
        caption=f"Computed: what each of {planned.devices} devices receives of the others.",
        columns=[
            Column("group", "trainings"), Column("network", "network"), Column("towers", "towers", format="d"), Column("parts", "parts of a batch", format="d"),
            Column("picture", "of maps and units a picture", "kB", ",.1f"), Column("step", "a step", "MB", ",.2f"),
            Column("gradients", "of gradients a step", "MB", ",.2f"),
        ],
        rows=[
            {
                "group": group, "network": one.network, "towers": one.towers, "parts": one.parts,
                "picture": one.a_picture / 1e3, "step": one.a_step / 1e6, "gradients": one.gradients_a_step / 1e6,
            }
            for group, one in planned.exchanges.items()
        ],
        note=(
            f"How long that takes is unknown until it is run on {planned.devices} devices; were it free and the work divided evenly, a training "
            f"would take 1/{planned.devices} of the time on one."
        ),
    )  # fmt: skip


def _took(profile: "Profile", planned: "Plan") -> "Table":
    """By kind of stage, those that have ended since."""
    from replicate.report.table import Column, Table

    of = {stage.stage: stage.seconds for stage in planned.stages}
    kinds = dict.fromkeys(stage.partition(" ")[0] for stage in of if stage in planned.took)
    rows = [_row(kind, [stage for stage in planned.took if stage.partition(" ")[0] == kind], of, planned.took) for kind in kinds]
    rows.append(_row("all", list(planned.took), of, planned.took))
    left = [stage for stage in of if stage not in planned.took]
    return Table(
        name="plan-compared",
        caption=f"What profile {profile.name} was planned to take and took, in seconds.",
        columns=[
            Column("stages", "stages"), Column("times", "times", format="d"), Column("planned", "planned", "s", ",.1f"),
            Column("took", "took", "s", ",.1f"), Column("off", "planned is off by", "%", "+.0f"), Column("close", f"within {CLOSE} %"),
        ],
        rows=rows,
        note=(
            "From the end of the stage before to its own, by the times of their files: true of one run without a pause, a stage after the other. "
            f"{'Not compared: ' + ', '.join(left) + '.' if left else ''}"
        ),
    )  # fmt: skip


def _row(kind: str, stages: list[str], of: dict[str, float | None], took: dict[str, float]) -> dict:
    """Stages without an estimate are left out of both sums."""
    stages = [stage for stage in stages if of[stage] is not None]
    planned, spent = sum(of[stage] for stage in stages), sum(took[stage] for stage in stages)
    off = 100 * (planned / spent - 1) if spent else None
    return {
        "stages": kind, "times": len(stages), "planned": planned, "took": spent, "off": off,
        "close": "" if off is None else "yes" if abs(off) <= CLOSE else "no",
    }  # fmt: skip


def lasting(seconds: float | None) -> str:
    """A time in the unit that suits it."""
    if seconds is None:
        return "unknown"
    _, unit, name = next(one for one in UNITS if seconds >= one[0])
    return f"{seconds / unit:.1f} {name}"
