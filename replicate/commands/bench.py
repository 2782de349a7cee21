"""`replicate bench`."""

import shutil
from importlib.metadata import version
from pathlib import Path

import click

from replicate.commands.options import command_line, open_profile


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
    where seconds cannot.
    """
    profile = open_profile("imagenet")
    from replicate.measure.data import bench
    from replicate.report import writers
    from replicate.report.table import Column, Table

    lines, differences = bench(profile, pictures, most, rounds)
    versions = ", ".join(f"{name} {version(name)}" for name in ("simplejpeg", "torch", "torchvision", "Pillow", "numpy", "numba"))
    table = Table(
        name="bench",
        caption="How many times as fast, one thread or process against one; batches and training steps with all threads.",
        columns=[
            Column("what", "what"),
            Column("against", "against"),
            Column("ratio", "times as fast", format=".2f"),
            Column("low", "lowest", format=".2f"),
            Column("high", "highest", format=".2f"),
            Column("rate", "a second", format=",.1f"),
            Column("unit", "of"),
        ],
        rows=[vars(line) for line in lines],
        note=(
            f"Pictures: {profile.settings.pictures.side} pixels, {profile.settings.pictures.filter}; against Pillow's own resize they differ by {differences['mean']:.3f} grey levels on "
            f"average, {differences['worst']:.2f} in the worst picture, {differences['most']:.0f} at most. Medians of {rounds} "
            f"interleaved rounds or more, with their lowest and highest. {versions}."
        ),
    )
    click.echo(writers.text(table, shutil.get_terminal_size((110, 24)).columns), nl=False)


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
