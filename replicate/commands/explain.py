import click

from replicate.commands.options import profile_option


@click.command()
@click.argument("claim_id", metavar="CLAIM-ID")
@profile_option
def command(claim_id: str, profile_name: str) -> None:
    """Explain one statement of the paper: what it says, what follows or was measured, step by step, and the verdict.

    CLAIM-ID is a name of `replicate report --table claims`. What does not need trainings reads the same in every profile.
    """
    from replicate import settings
    from replicate.report.explain import explain

    click.echo(explain(claim_id, settings.load(profile_name)), nl=False)
