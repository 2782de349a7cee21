import click

from replicate.commands.options import command_line, open_profile, profile_option


@click.command()
@click.argument("training")
@profile_option
def command(training: str, profile_name: str) -> None:
    """Train TRAINING, one of the profile's `trainings` (a run, a network and a seed).

    Section 5 of the paper: stochastic gradient descent with momentum and weight decay, the rate divided when the
    error on pictures held out from training stops falling; crops, reflections and colour noise of section 4.1,
    dropout of section 4.2. Everything is set in the profile's params.yaml.

    Writes models/PROFILE/TRAINING/weights.safetensors and reports/PROFILE/logs/TRAINING.csv. A training that was
    stopped or killed goes on from its last checkpoint (every epoch, at least every two minutes) when the same
    command is given again; a second trainer of the same training is refused.
    """
    profile = open_profile(profile_name)
    profile.training(training)
    from replicate.training.loop import train

    path = train(profile, training, command_line())
    click.echo(f"{training}: weights in {path.relative_to(profile.root)}")
