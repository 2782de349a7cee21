import click

from replicate.commands.options import command_line, open_profile, profile_option


@click.command()
@click.argument("training")
@profile_option
def command(training: str, profile_name: str) -> None:
    """Measure the error of TRAINING on the validation pictures.

    Top-1: the right class is not the most probable one. Top-5: it is not among the five most probable (left out
    with five classes or fewer). Both for the centre view and for the mean of the softmax outputs of ten views:
    four corners, the centre, and their reflections (section 4.1).

    Writes what the network answered for each picture to models/PROFILE/TRAINING/predictions.npz and the error
    rates to reports/PROFILE/records/TRAINING.json.
    """
    profile = open_profile(profile_name)
    profile.training(training)
    from replicate.evaluation.predict import evaluate
    from replicate.evidence.statistics import chance

    record = evaluate(profile, training, command_line())
    guessing = chance(record.values["classes"], 5)
    for view, errors in record.values["errors"].items():
        top5 = "" if errors["top5"] is None else f", top-5 {errors['top5']:.1f} % (chance {guessing:.4g} %)"
        click.echo(f"{training}, {view} view{'s' if view == 'ten' else ''}: top-1 error {errors['top1']:.1f} %{top5}")
