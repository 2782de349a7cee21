"""`replicate demo-data`."""

from pathlib import Path

import click


@click.command("demo-data")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=2012, show_default=True)
@click.option("--train-per-class", type=click.IntRange(1, 100_000), default=240, show_default=True)
@click.option("--val-per-class", type=click.IntRange(1, 100_000), default=60, show_default=True)
def demo_data(folder: Path, seed: int, train_per_class: int, val_per_class: int) -> None:
    """Draw a data set of ten classes into FOLDER, in ILSVRC's layout {train,val}/CLASS/PICTURE.

    The classes are five shapes in two textures, each around a hue of its own. The same seed gives the same bytes on
    every machine. Drawn pictures test the machinery and say nothing about the paper.
    """
    from replicate.pictures.draw import draw

    draw(folder, seed, train_per_class, val_per_class)
    click.echo(f"Drew {10 * (train_per_class + val_per_class)} pictures: {folder}")


command = demo_data
