import click

from replicate.commands.options import command_line, open_profile, profile_option


@click.command()
@profile_option
def command(profile_name: str) -> None:
    """Set what was measured beside what the paper says.

    Reads the records and predictions of the trainings in the parameters. Takes the mean of each error over the
    seeds with its 95 % interval, the difference from the baseline, and the error of the seeds' averaged
    probabilities (an ensemble, as in table 2). Then a rule gives every claim of the paper a verdict.

    agrees, differs: a number over at least 3 seeds on the paper's data. paper is off: the claim contradicts the
    paper's own definitions. same direction at smaller scale, opposite direction: the sign of an effect on fewer
    pictures. undecided: too few seeds, an interval that covers zero, or other settings than the paper's on its
    pictures. built as stated: a setting that is
    followed, which is no evidence. not run: with what it needs. Drawn pictures decide arithmetic only.

    Writes results.json, verdicts.json and metrics.json to reports/PROFILE.
    """
    profile = open_profile(profile_name)
    from replicate.evidence.compare import compare, tally

    results, verdicts = compare(profile, command_line())
    seeds = sum(len(group.seeds) for group in results.groups.values())
    click.echo(f"{seeds} trainings in {len(results.groups)} groups, {len(verdicts.verdicts)} claims:")
    for word, number in tally(verdicts.verdicts).items():
        click.echo(f"{number:5d}  {word}")
    click.echo(f"written: results.json, verdicts.json, metrics.json in {profile.reports.relative_to(profile.root)}")
