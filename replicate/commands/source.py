"""`replicate source`."""

import click

from replicate.commands.options import open_profile, profile_option


@click.command()
@profile_option
def source(profile_name: str) -> None:
    """Provide the pictures of a profile (section 2): draw them, unpack them, or check a folder of yours.

    \b
    drawn       drawn by the suite into data/PROFILE/pictures
    imagenette  from data/PROFILE/source (a folder or link) or from the folder that the environment
                variable REPLICATE_DATA names: either holds imagenette2/ with train/ and val/, or the
                archives imagenette2-{train-1,train-2,val}.tar.xz; or first: replicate fetch imagenette
    folder      data/PROFILE/source, a folder or link with {train,val}/CLASS/PICTURE (ILSVRC's layout),
                is read where it is

    What you put at data/PROFILE/source is only ever read.
    """
    from replicate.pictures import sources

    click.echo(sources.provide(open_profile(profile_name)))


command = source
