from pathlib import Path

import click

from replicate.commands.options import command_line, open_profile, profile_option
from replicate.errors import UserError

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("training", required=False)
@profile_option
@click.option("--weights", type=FILE, help="Score these weights (safetensors) instead of a training's.")
@click.option("--network", metavar="NAME", help="The network that the weights are of; its file says how it reads pictures.")
@click.option("--pictures", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Score on this folder: CLASS/PICTURE.")
@click.option("--classes", type=FILE, help="The network's classes in order, one a line, named as the folders are.")
@click.option("--mean", type=FILE, help="The mean image (.npy, RGB) that a network with `mean: image` subtracts.")
@click.option("--resize", default=256, show_default=True, help="Shorter side of the pictures before views are cut.")
def command(training: str | None, profile_name: str, weights: Path | None, network: str | None, pictures: Path | None, **read) -> None:
    """Measure the error of TRAINING on the validation pictures, or of published weights on a folder.

    Top-1: the right class is not the most probable one. Top-5: it is not among the five most probable (left out
    with five classes or fewer). Both for the centre view and for the mean of the softmax outputs of ten views:
    four corners, the centre, and their reflections (section 4.1).

    With TRAINING it writes what the network answered for each picture to models/PROFILE/TRAINING/predictions.npz and
    the error rates to reports/PROFILE/records/TRAINING.json. With --weights, --network and --pictures it prints how
    the pictures were read, and the error rates; weights of other programs fit where their layers have the same shapes.
    """
    if weights or network or pictures:
        if training or not (weights and network and pictures):
            raise UserError("give a TRAINING, or all three of --weights FILE --network NAME --pictures FOLDER")
        _published(weights, network, pictures, **read)
        return
    if training is None:
        raise UserError("give a TRAINING (those of the profile are in its params.yaml), or --weights, --network and --pictures")
    profile = open_profile(profile_name)
    profile.training(training)
    from replicate.evaluation.predict import evaluate

    record = evaluate(profile, training, command_line())
    _print(training, record.values["errors"], record.values["classes"])


def _published(weights: Path, network: str, pictures: Path, **read) -> None:
    from replicate.evaluation.published import score

    scored = score(weights, network, pictures, **read)
    click.echo(f"Reading: {scored.reading}")
    for line in scored.broken:
        click.echo(f"Left out: {line}", err=True)
    left = f", {len(scored.broken)} left out" if scored.broken else ""
    click.echo(f"{weights.name} as {network}: {scored.pictures} pictures{left}")
    _print(network, scored.errors, scored.classes)


def _print(what: str, errors: dict, classes: int) -> None:
    from replicate.evidence.statistics import chance

    guessing = chance(classes, 5)
    for view, rates in errors.items():
        top5 = "" if rates["top5"] is None else f", top-5 {rates['top5']:.1f} % (chance {guessing:.4g} %)"
        click.echo(f"{what}, {view} view{'s' if view == 'ten' else ''}: top-1 error {rates['top1']:.1f} %{top5}")
