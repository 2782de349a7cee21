"""`replicate bench`."""

import shutil
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from replicate import networks
from replicate.commands.options import command_line, open_profile
from replicate.records import Towers
from replicate.training import processes

if TYPE_CHECKING:
    from replicate.measure.train import Bench
    from replicate.report.table import Table


@click.group()
def command() -> None:
    """Measure how fast this machine is, side by side with the obvious ways."""


@command.command()
@click.argument("pictures", type=click.Path(exists=True, path_type=Path))
@click.option("--most", type=click.IntRange(10), default=100, show_default=True, help="Pictures to read at most.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Interleaved rounds of each comparison.")
def data(pictures: Path, most: int, rounds: int) -> None:
    """Time how photographs are decoded, resized, summed and cut into batches.

    PICTURES is a folder or a tar of photographs at full resolution, read and fed as in the profile imagenet. Each line is
    a ratio measured side by side in this run: the machine's other work hits both sides alike, so ratios can be compared
    where seconds cannot. Beside it stand the suite's own target, and whether this run meets it.
    """
    profile = open_profile("imagenet")
    from replicate.measure.data import bench
    from replicate.report import writers
    from replicate.report.table import Column, Table

    lines, differences = bench(profile, pictures, most, rounds)
    versions = ", ".join(f"{name} {version(name)}" for name in ("simplejpeg", "torch", "torchvision", "Pillow", "numpy", "numba"))
    table = Table(
        name="bench",
        caption=(
            "How many times as fast (speed), or how many times the time (time); one thread or process against one, batches and "
            "training steps with all threads."
        ),
        columns=[
            Column("what", "what"),
            Column("against", "against"),
            Column("of", "ratio of"),
            Column("ratio", "ratio", format=".2f"),
            Column("low", "lowest", format=".2f"),
            Column("high", "highest", format=".2f"),
            Column("target", "target"),
            Column("met", "met"),
            Column("rate", "a second", format=",.1f"),
            Column("unit", "unit"),
        ],
        rows=[vars(line) for line in lines],
        note=(
            f"Pictures: {profile.settings.pictures.side} pixels, {profile.settings.pictures.filter}; against Pillow's own resize they differ by {differences['mean']:.3f} grey levels on "
            f"average, {differences['worst']:.2f} in the worst picture, {differences['most']:.0f} at most. Medians of {rounds} "
            f"interleaved rounds or more, with their lowest and highest. Met: by every round of this run, or by none (no); where some "
            f"meet it, the target lies within its spread. {versions}."
        ),
    )
    click.echo(writers.text(table, shutil.get_terminal_size((110, 24)).columns), nl=False)


@command.command()
@click.option("--batch", type=click.IntRange(1), help="Pictures a step.  [default: as in the profile imagenet]")
@click.option("--side", type=click.IntRange(64), help="Pixels of the network's input.  [default: as in the profile imagenet]")
@click.option("--classes", type=click.IntRange(2), help="Classes.  [default: the network's own]")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Interleaved rounds.")
def train(batch: int | None, side: int | None, classes: int | None, rounds: int) -> None:
    """Time whole training steps, and what in them takes the time.

    The network of the profile imagenet on random pictures, in float32 and, where something multiplies such matrices, in
    bfloat16; beside it the same function of torch's own modules (plain), also in a process that has none of our settings, and
    torchvision's alexnet. All rounds are interleaved: the machine's other work hits all alike, so ratios can be compared where
    seconds cannot.
    """
    profile = open_profile("imagenet")
    from replicate.measure.limits import limit, targets
    from replicate.measure.train import Case, bench
    from replicate.report import writers

    found = bench(Case.of(profile, batch, side, classes), rounds)
    width = shutil.get_terminal_size((110, 24)).columns
    for table in (_speeds(found), _parts(found)):
        click.echo(writers.text(table, width))
    for line in [*(limit(found, precision) for precision in found.parts), *targets(found)]:
        click.echo(f"- {line}")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "numpy", "numba"))
    click.echo(f"{found.hardware}; {found.threads} threads; {versions}.")


def _speeds(found: "Bench") -> "Table":
    from replicate.report.table import Column, Table

    case, rounds = found.case, len(next(iter(found.seconds.values())))
    products = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {precision}" for precision, rate in found.products.items())
    return Table(
        name="bench-train",
        caption=f"Whole training steps of {case.batch} pictures in memory: {case.recipe.crop} pixels, {case.classes} classes, network {case.network.name}.",
        columns=[
            Column("what", "what"),
            Column("precision", "precision"),
            Column("rate", "pictures a second", format=",.1f"),
            Column("low", "lowest", format=",.1f"),
            Column("high", "highest", format=",.1f"),
            Column("times", "times plain", format=".2f"),
            Column("fraction", "of one product's rate", "%", format=".0f"),
        ],
        rows=found.rows(),
        note=(
            f"Medians of {rounds} interleaved rounds, with the lowest and highest. Plain: the same function of torch's own modules, with the "
            f"allocator's settings of ours if not said otherwise. A step's useful work is {case.flops / 1e9:,.0f} GFLOP, counted from the "
            f"description; one product of matrices of side {found.side} runs at {products}. Data alone: making the batches."
        ),
    )


def _parts(found: "Bench") -> "Table":
    from replicate.report.table import Column, Table

    names = next(iter(found.parts.values()))
    return Table(
        name="bench-train-parts",
        caption="What takes how much of our step, with its data.",
        columns=[Column("part", "part"), *(Column(precision, precision, "%", format=".1f") for precision in found.parts)],
        rows=[{"part": part} | {precision: of[part] for precision, of in found.parts.items()} for part in names],
        note="By torch's profiler, medians over steps; forward, backward and update together.",
    )


@command.command()
def augmentation() -> None:
    """Time crops, reflections and colours against a training step (section 4.1).

    The paper makes the next batch's pictures on the processor while the GPU trains, and calls that free. This times both on
    the machine at hand, which needs a GPU: batches and network as in the profile imagenet, on random pictures. The record
    decides the claim augmentation-free.
    """
    profile = open_profile("imagenet")
    from replicate.measure.augmentation import RECORD, time_augmentation

    values = time_augmentation(profile, command_line()).values
    for key in ("augmentation_seconds", "step_seconds"):
        seconds = sorted(values[key])
        click.echo(
            f"{key.split('_')[0]}: {1000 * seconds[0]:.1f} to {1000 * seconds[-1]:.1f} ms a batch of {values['batch_size']} "
            f"({len(seconds)} batches)"
        )
    click.echo(f"written: {RECORD}")


@command.command()
@click.option("--batch", type=click.IntRange(1), help="Pictures a step.  [default: as in the profile imagenet]")
@click.option("--side", type=click.IntRange(64), help="Pixels of the network's input.  [default: as in the profile imagenet]")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Interleaved rounds.")
def towers(batch: int | None, side: int | None, rounds: int) -> None:
    """Time two towers on two devices against one process, and count what crosses between them (section 3.2).

    The network of the profile imagenet, a process for each tower with one thread, against one process with two, on random
    pictures in float32. The record is what `replicate report --table towers` sets beside the computed traffic.
    """
    profile = open_profile("imagenet")
    network = networks.load(profile.settings.trainings[profile.settings.groups()[profile.settings.baseline][0]].network)
    if processes() == 1:
        from replicate.training.launch import launch

        launch(network.towers, "bench towers")
        return
    from replicate.measure.towers import RECORD, time_towers

    if record := time_towers(profile, command_line(), batch, side, rounds):
        values = Towers.model_validate(record.values)
        ratios = sorted(two / one for one, two in zip(values.one_process_seconds, values.two_rank_seconds, strict=True))
        click.echo(
            f"{values.devices} processes of one thread take {median(ratios):.2f} times as long as one of {values.devices} threads "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f} in {rounds} rounds); the exchange takes {100 * values.exchange_share:.1f} % of a step "
            f"beyond waiting for the slower one, at {values.bytes_per_second / 1e6:,.0f} MB/s"
        )
        click.echo(f"written: {RECORD}")
