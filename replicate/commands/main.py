"""The command `replicate`. A command's module is imported when it is called, so that each starts fast."""

import errno
import os
import sys
from importlib import import_module

import click

from replicate import __version__
from replicate.errors import UserError, unknown
from replicate.training import launched

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share of it, the largest file allowed

COMMANDS = {
    "prepare": "Resize and crop the pictures, store them, compute the mean image (section 2).",
    "pca": "Compute the principal components of all training pixels (section 4.1).",
    "train": "Train one network of a profile, or go on where it was stopped (section 5).",
    "evaluate": "Measure top-1 and top-5 error, centre view and ten views (section 4.1).",
    "compare": "Average seeds, compare with the baseline, judge the paper's claims.",
    "report": "Print a table, or build the report.",
    "check": "Say which AlexNet a model is; check layer shapes, or a profile's parameters.",
    "store": "Look at a profile's store of decoded pictures, or check it.",
    "bench": "Measure how fast this machine is, side by side with the obvious ways.",
    "plan": "Estimate time, memory and disk of a pipeline before it runs.",
    "classify": "Name what a picture shows, with a trained network.",
    "source": "Make a profile's pictures ready: draw them, unpack them, or look at the folder.",
    "demo-data": "Draw the demo's pictures into a folder.",
    "fetch": "Download a public set of pictures.",
    "explain": "Explain one statement of the paper: its derivation or evidence, and the verdict.",
    "count-devkit": "Count ILSVRC-2010's pictures from its official development kit (section 2).",
}


class Lazy(click.Group):
    """Finds a command's module by its name."""

    def list_commands(self, context):
        return list(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            raise click.UsageError(str(unknown("command", name, COMMANDS)))
        return import_module(f"replicate.commands.{name.replace('-', '_')}").command

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy)
@click.version_option(__version__, prog_name="replicate")
def cli() -> None:
    """Replicates Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks" (NIPS 2012): every stage of the pipeline is a command, every number of the report a record.

    `dvc repro` runs the stages in order. The commands that read a profile take --profile NAME; the default is the
    demo, on pictures that the suite draws itself.
    """


def main() -> None:
    """Runs the command; what a user can cause ends in one line and exit status 1."""
    # Torch's threads would wait for work by spinning, on cores that our own kernels or other programs could use.
    # Read when torch is first imported, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        cli.main(prog_name="replicate", standalone_mode=True)
    except UserError as error:
        _fail(error)
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(UserError(f"{where}{error.strerror}: no file was left half written; make room and run the same command again"))


def _fail(error: UserError) -> None:
    if launched():  # one of several processes of a training: the one that started them says it, once
        from replicate.training.launch import hand_over

        hand_over(error)
    else:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
    sys.exit(1)
