import json
import shutil
import sys
from contextlib import redirect_stdout

import click

from replicate.report import writers
from replicate.report.table import Column, Table


@click.command()
@click.argument("model")
@click.option("--network", metavar="NAME", help="Hold the model against this network.  [default: find the nearest]")
@click.option("--input", "shape", metavar="CxHxW", help="The model's input.  [default: the network's, 3x224x224, 3x227x227]")
@click.option(
    "--classes", type=click.IntRange(2), metavar="N", help="Read the networks for N classes instead of their own number."
)
@click.option(
    "--format", "format_name", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)
def command(model: str, network: str | None, shape: str | None, classes: int | None, format_name: str) -> None:
    """Tell which AlexNet MODEL is, and layer by layer how it differs from a network.

    MODEL is package.module:factory or file.py:factory, where factory is an nn.Module, a class or a function without
    arguments that makes one; or weights.safetensors. Importing a model runs its module, as a test runner does; a file
    of weights runs nothing, and shows kernels, groups and counts only.

    The model is run on the meta device, without values, in evaluation and in training, and what it calls is compared:
    kernels, groups, stride, zeros read, pooling, normalisation and its constants, order, dropout, counts. Layers that
    torch has no name for are told by trying them. Two forms of the same function are no difference.

    Dropout counts with its rescaling: nn.Dropout, and so every ordinary PyTorch model, divides by 1-p in training, where
    the paper and the 2012 nets multiply by 1-p at test, so it differs from them by that much.

    Without --network the nearest is named, with status 0; with it any difference ends with status 1. JSON has verdict,
    same, differences (layer, about, what, here, there, words), layers (here and there) and notes.
    """
    from replicate.modules.tell import words
    from replicate.modules.tell.ask import ask, parsed

    with redirect_stdout(sys.stderr):  # what the model's own code prints
        look, comparisons = ask(model, network, parsed(shape) if shape else None, classes)
    if format_name == "json":
        click.echo(json.dumps(words.as_data(look, comparisons, network is not None), indent=1, ensure_ascii=False))
    else:
        first = comparisons[0]
        columns = [
            Column("layer", "layer"), Column("here", "here"), Column("count", "parameters", format=",d"),
            Column("there", first.network.name), Column("difference", "difference"),
        ]  # fmt: skip
        notes = " ".join(words.notes(look, first))
        table = Table("model", words.verdict(look, comparisons, network is not None), columns, words.rows(first), notes)
        click.echo(writers.text(table, max(shutil.get_terminal_size((120, 24)).columns, 60)), nl=False)
    sys.exit(bool(network and comparisons[0].differences))
