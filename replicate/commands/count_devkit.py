from pathlib import Path

import click

from replicate.settings import clone_root


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option(
    "--test-labels", type=click.Path(path_type=Path), metavar="FILE", help="ILSVRC2010_test_ground_truth.txt, which came later."
)
def command(archive: Path, test_labels: Path | None) -> None:
    """Count the pictures of ILSVRC-2010, as its official development kit has them.

    ARCHIVE is ILSVRC2010_devkit-1.0.tar.gz; it is read where it is and not unpacked. The counts become a record, by which
    the paper's statements about the size of the contest's sets are judged (section 2). The kit does not say how many test
    pictures there were; the file of their labels does.
    """
    from replicate.pictures.devkit import RECORD, count

    named = f" --test-labels {test_labels.name}" if test_labels else ""
    root = clone_root()
    found = count(archive, test_labels, root, f"replicate count-devkit {archive.name}{named}").values
    for key in ("train_pictures", "val_pictures", "test_pictures"):
        click.echo(f"{key.replace('_', ' ')}: {'not in these files' if found[key] is None else f'{found[key]:,}'}")
    each = found["train_per_class"]
    click.echo(f"{found['classes']:,} classes of {each['least']:,} to {each['most']:,} training pictures, on average {each['mean']:,.1f}")
    click.echo(f"written: {RECORD}")
