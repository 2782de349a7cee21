"""`replicate store`."""

from pathlib import Path

import click

from replicate.commands.options import open_profile, profile_option

split_option = click.option("--split", type=click.Choice(["train", "val"]), default="train", show_default=True, help="Which pictures.")


@click.group()
def command() -> None:
    """Look at a profile's store of decoded pictures, or check it."""


@command.command()
@profile_option
def info(profile_name: str) -> None:
    """Print what is in the store: pictures, classes, bytes, what was converted or left out."""
    from replicate.pictures.inspection import describe
    from replicate.pictures.store import open_store

    for what, value in describe(open_store(open_profile(profile_name).store)):
        click.echo(f"{what:<24} {value}")


@command.command()
@profile_option
@click.option("--full", is_flag=True, help="Read every file and compare its hash, not its size only.")
def verify(profile_name: str, full: bool) -> None:
    """Check that no file of the store is missing or altered: by its size, or with --full by its hash.

    Ends with status 1 and names the files that are not as they should be; `replicate prepare` makes those again.
    """
    from replicate.pictures.inspection import checked

    profile = open_profile(profile_name)
    count, faults = checked(profile.store, full)
    for fault in faults:
        click.echo(fault)
    if faults:
        click.echo(f"{len(faults)} of {count} files; to make them again: replicate prepare --profile {profile_name}")
        raise SystemExit(1)
    click.echo(f"{count} files, all {'as their hashes say' if full else 'there with their size'}")


@command.command()
@profile_option
@split_option
@click.option("--index", type=click.IntRange(0), required=True, help="The picture's place in the store, from 0.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to write it; the suffix says the format.")
def show(profile_name: str, split: str, index: int, save: Path) -> None:
    """Write one picture of the store to a file, and print its name and class."""
    from replicate.pictures.inspection import save_picture
    from replicate.pictures.listing import escaped
    from replicate.pictures.store import open_store

    name, label = save_picture(open_store(open_profile(profile_name).store), split, index, save)
    click.echo(f"{save}: {split} picture {index}, {escaped(name)}, class {escaped(label)}")
