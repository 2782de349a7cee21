"""`replicate prepare`."""

import click


@click.command()
@click.option("--profile", default="demo", show_default=True, help="Which pipeline.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes; one per core if not given.")
def prepare(profile: str, workers: int | None) -> None:
    """Turn photographs into the store that trainings read (section 2).

    Each picture is resized so that its shorter side is `pictures.side` (256 in the paper), and its central square
    is kept, as 8-bit RGB; the mean of the training pictures is computed with it. Pictures that cannot be read are
    listed, and stop it unless `pictures.skip_broken` is true. It goes on where it was interrupted, and makes only
    those parts of a store again that are missing or altered.
    """
    from replicate import settings
    from replicate.pictures import prepare as stage

    click.echo(stage.prepare(settings.load(profile), workers))


command = prepare
