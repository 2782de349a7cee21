import click

from replicate import files
from replicate.commands.options import open_profile, profile_option


@click.command()
@profile_option
def command(profile_name: str) -> None:
    """Check a profile's whole params.yaml, and that its pictures are there, before any work.

    The first stage of every pipeline: a wrong value stops it with file, key and reason while everything that was
    computed before is still in place.
    """
    profile = open_profile(profile_name)
    from replicate.pictures.sources import check_presence

    check_presence(profile)
    files.write_text(profile.state / profile.name / "params-valid", "checked\n")
    click.echo(f"{profile.params_file.relative_to(profile.root)}: {len(profile.settings.trainings)} trainings, all values valid")
