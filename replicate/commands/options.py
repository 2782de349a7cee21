"""What several commands share: the option --profile, and the check that comes before any work."""

import shlex
import sys

import click

from replicate import networks, settings
from replicate.settings import Profile

profile_option = click.option(
    "--profile", "profile_name", default="demo", show_default=True, metavar="NAME",
    help="The pipeline whose parameters are read: demo is params.yaml, others are pipelines/NAME/params.yaml.",
)  # fmt: skip


def open_profile(name: str) -> Profile:
    """The profile, its whole parameter file checked: types and ranges, and that every network exists and fits the crop."""
    profile = settings.load(name)
    for training in profile.settings.trainings.values():
        networks.count(networks.load(training.network), side=profile.settings.recipe_of(training.run).crop)
    return profile


def command_line() -> str:
    """The command as it was typed, for the record."""
    return shlex.join(["replicate", *sys.argv[1:]])
