import click

from replicate import networks
from replicate.commands.options import command_line, open_profile, profile_option
from replicate.training import processes


@click.command()
@click.argument("training")
@profile_option
@click.option(
    "--devices",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    envvar="REPLICATE_DEVICES",
    help="Devices of this machine to train on, a process each.",
)
def command(training: str, profile_name: str, devices: int) -> None:
    """Train TRAINING, one of the profile's `trainings` (a run, a network and a seed).

    Section 5 of the paper: stochastic gradient descent with momentum and weight decay, the rate divided when the
    error on pictures held out from training stops falling; crops, reflections and colour noise of section 4.1,
    dropout of section 4.2. Everything is set in the profile's params.yaml.

    Writes models/PROFILE/TRAINING/weights.safetensors and reports/PROFILE/logs/TRAINING.csv. A training that was
    stopped or killed goes on from its last checkpoint when the same command is given again, on as many devices as then
    asked for. Checkpoints are written at the end of an epoch, unless that would take more than 3 % of the time, and every two
    minutes if the disk is fast enough. A second trainer of the same training is refused.

    With --devices 2, each device holds one of the two towers (section 3.2); with 4, 6, … the batch is divided between
    pairs. REPLICATE_DEVICES says the same to trainings that `dvc repro` starts. On several machines:
    torchrun --nnodes … -m replicate train TRAINING.
    """
    profile = open_profile(profile_name)
    network = networks.load(profile.training(training).network)
    if devices > 1 and processes() == 1:
        from replicate.training.devices import check
        from replicate.training.launch import launch

        check(network, devices, devices)
        launch(devices, training, "; the same command goes on from the last checkpoint, or starts anew if there was none yet")
    else:
        from replicate.training.loop import train

        if path := train(profile, training, command_line()):
            click.echo(f"{training}: weights in {path.relative_to(profile.root)}")
