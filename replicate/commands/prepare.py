"""`replicate prepare`."""

import click

from replicate.commands.options import open_profile, profile_option


@click.command()
@profile_option
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes, or threads for a few shards; one per core if not given.")
def prepare(profile_name: str, workers: int | None) -> None:
    """Turn photographs into the store that trainings read (section 2).

    Each picture is resized so that its shorter side is `pictures.side`, and its central square
    is kept, as 8-bit RGB; the mean of the training pictures is computed with it. Pictures that cannot be read are
    listed, and stop it unless `pictures.skip_broken` is true. It goes on where it was interrupted, and makes only
    those parts of a store again that are missing or altered. Which pictures: replicate source --help.
    """
    from replicate.pictures import prepare as stage

    click.echo(stage.prepare(open_profile(profile_name), workers))


command = prepare
