"""Tables of what a network takes and sees: memory of a training step, receptive fields."""

from replicate.networks import Network, receptive
from replicate.networks.memory import COPIES, NUMBER, Held, held, of_one_tower
from replicate.networks.receptive import Field
from replicate.paper import claims
from replicate.report.table import Column, Row, Table
from replicate.report.tables_networks import shape

KIB, MIB, GIB = 2**10, 2**20, 2**30  # bytes
BATCH, CARD = "batch-size", "gpu-3gb"  # the statements that give the paper's batch and the memory of its card


def memory(network: Network) -> Table:
    """Bytes that a training step keeps, layer by layer, on the paper's batch, beside the memory of the paper's card."""
    pictures, card = claims()[BATCH].value, claims()[CARD].value
    layers = held(network)
    rows = [_memory_row(one, pictures, card) for one in [*layers, _sum(layers)]]
    if network.towers > 1:
        rows.append(_memory_row(of_one_tower(network), pictures, card) | {"layer": f"one of {network.towers} towers"})
    return Table(
        name="memory",
        caption=(
            f"Memory of one training step of the network {network.name} on {pictures} pictures of {network.input.side} pixels, "
            f"beside the {card} GB of the paper's card (section 3.2)."
        ),
        columns=[
            Column("layer", "layer"),
            Column("output", "output", "maps×rows×columns"),
            Column("picture", "a picture", "KiB", ",.1f"),
            Column("activations", "activations", "MiB", ",.1f"),
            Column("gradients", "their gradients", "MiB", ",.1f"),
            Column("marks", "LRN, dropout", "MiB", ",.1f"),
            Column("parameters", f"parameters ×{COPIES}", "MiB", ",.1f"),
            Column("all", "all", "MiB", ",.1f"),
            Column("share", f"of {card} GB", "%", ".1f"),
        ],
        rows=rows,
        note=(
            f"Numbers of {NUMBER} bytes (float32). A picture: what each picture of the batch adds. LRN, dropout: denominators and "
            f"masks kept for the way back. Parameters ×{COPIES}: weights and biases, their gradients, their velocity. "
            f"Nonlinearities and dropout work in place. Not counted: work space of convolutions, the library, a second batch "
            f"on its way. A GB is 1,024 MiB.{_towers_note(network)} {_origin(network)}"
        ),
    )


def _origin(network: Network) -> str:
    return f"Derived from replicate/networks/{network.name}.yaml; nothing was measured."


def _towers_note(network: Network) -> str:
    if network.towers == 1:
        return ""
    return (
        " One tower: its share of every layer, the whole pictures, and copies of what it reads of the other tower, with "
        "their gradients; the last layer is taken as shared out, too."
    )


def _sum(layers: list[Held]) -> Held:
    keys = ("parameters", "activations", "gradients", "marks")
    return Held("all", (), **{key: sum(getattr(one, key) for one in layers) for key in keys})


def _memory_row(one: Held, pictures: int, card: float) -> Row:
    whole = one.bytes(pictures)
    return {
        "layer": one.name,
        "output": shape(one.output),
        "picture": (one.bytes(1) - one.bytes(0)) / KIB,
        "activations": NUMBER * pictures * one.activations / MIB,
        "gradients": NUMBER * pictures * one.gradients / MIB,
        "marks": NUMBER * pictures * one.marks / MIB,
        "parameters": one.bytes(0) / MIB,
        "all": whole / MIB,
        "share": 100 * whole / (card * GIB),
    }


def receptive_fields(network: Network) -> Table:
    """What part of the picture a unit of each layer sees."""
    side = network.input.side
    return Table(
        name="receptive-fields",
        caption=f"What a unit of each layer of the network {network.name} sees of a picture of {side}×{side} pixels.",
        columns=[
            Column("layer", "layer"),
            Column("output", "output", "maps×rows×columns"),
            Column("size", "sees", "pixels a side", "d"),
            Column("share", "of the side", "%", ".1f"),
            Column("stride", "next unit", "pixels on", "d"),
            Column("first", "first begins at", "pixel", "d"),
            Column("end", "last ends before", "pixel", "d"),
            Column("before", "beyond the left edge", "pixels", "d"),
            Column("after", "beyond the right edge", "pixels", "d"),
        ],
        rows=[_field_row(one, side) for one in receptive.fields(network)],
        note=(
            "The square of pixels that can change a unit, by kernel sizes, strides and paddings; the picture's pixels are "
            f"0 to {side - 1} along each side, so what lies beyond an edge is zeros (of a pooling window: nothing). Layers "
            f"that see what the one before sees are left out; from the first fully connected layer or mean of whole maps on, "
            f"every unit sees everything (–). {_origin(network)}"
        ),
    )


def _field_row(one: Field, side: int) -> Row:
    whole = one.size is None
    return {
        "layer": one.name,
        "output": shape(one.output),
        "size": one.size,
        "share": None if whole else 100 * one.size / side,
        "stride": one.stride,
        "first": one.first,
        "end": one.end,
        "before": None if whole else max(0, -one.first),
        "after": None if whole else max(0, one.end - side),
    }
