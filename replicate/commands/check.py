import click

from replicate.commands import check_model, check_params, check_shapes


@click.group()
def command() -> None:
    """Check a model of anybody's, layer shapes, or a profile's parameters."""


command.add_command(check_model.command, "model")
command.add_command(check_params.command, "params")
command.add_command(check_shapes.command, "shapes")
