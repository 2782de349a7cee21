from pathlib import Path

import click

from replicate.commands.options import open_profile, profile_option


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--training", required=True, metavar="NAME", help="The trained network that is asked, for example base-1.")
@profile_option
def command(picture: Path, training: str, profile_name: str) -> None:
    """Print the five most probable classes of PICTURE with their probabilities, by a trained network.

    The picture is resized and cropped like the training pictures (section 2) and seen in ten views (section 4.1).
    """
    profile = open_profile(profile_name)
    profile.training(training)
    from replicate.evaluation.predict import classify

    for name, percent in classify(profile, training, picture)[:5]:
        click.echo(f"{percent:5.1f} %  {name}")
