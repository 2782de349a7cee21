"""Tables that need nothing but a network's description: parameters, MACs, shapes, all networks side by side."""

from collections.abc import Callable

from replicate.networks import Network, Row, count, load, names, totals
from replicate.networks.description import aliases
from replicate.report.table import Column, Table
from replicate.report.table import Row as Cells

INTEGER, SHARE = ",d", ".3f"


def params(network: Network) -> Table:
    """Weights and biases of every layer that learns."""
    rows = [row for row in count(network) if row.parameters]
    sums = totals(rows)

    def line(layer: str, output: str, members: list[Row]) -> Cells:
        parameters = sum(row.parameters for row in members)
        return {
            "layer": layer,
            "output": output,
            "weights": sum(row.weights for row in members),
            "biases": sum(row.biases for row in members),
            "parameters": parameters,
            "share": 100 * parameters / sums.parameters,
        }

    return Table(
        name="params",
        caption=f"Parameters of the network {network.name}: weights and biases per layer.",
        columns=[
            Column("layer", "layer"),
            Column("output", "output", "maps×rows×columns"),
            Column("weights", "weights", format=INTEGER),
            Column("biases", "biases", format=INTEGER),
            Column("parameters", "parameters", format=INTEGER),
            Column("share", "share", "%", SHARE),
        ],
        rows=[line(row.name, shape(row.output), [row]) for row in rows] + _split(rows, line),
        note=_origin(network),
    )


def flops(network: Network) -> Table:
    """Multiply-accumulates and FLOPs of one forward pass of one view."""
    rows = [row for row in count(network) if row.learned]
    sums = totals(rows)

    def line(layer: str, output: str, members: list[Row]) -> Cells:
        macs = sum(row.macs for row in members)
        return {
            "layer": layer,
            "output": output,
            "macs": macs,
            "flops": 2 * macs,
            "share": 100 * macs / sums.macs,
        }

    return Table(
        name="flops",
        caption=f"Arithmetic of one forward pass of one view of {network.input.side} pixels through the network {network.name}.",
        columns=[
            Column("layer", "layer"),
            Column("output", "output", "maps×rows×columns"),
            Column("macs", "MACs", format=INTEGER),
            Column("flops", "FLOPs", "2 a MAC", INTEGER),
            Column("share", "share", "%", SHARE),
        ],
        rows=[line(row.name, shape(row.output), [row]) for row in rows] + _split(rows, line),
        note=f"Layers with weights only; adding a bias counts as nothing. {_origin(network)}",
    )


PARTS = {"convolutional": ("conv",), "locally connected": ("local",), "normalisation": ("batch_norm",), "fully connected": ("linear",)}


def _split(rows: list[Row], line: Callable[[str, str, list[Row]], Cells]) -> list[Cells]:
    """A line for each kind of layer that is there, and one for all."""
    parts = {part: [row for row in rows if row.kind in kinds] for part, kinds in PARTS.items()}
    return [*(line(part, "", members) for part, members in parts.items() if members), line("all", "", rows)]


def shapes(network: Network) -> Table:
    """Geometry of every layer that has a kernel, learns or changes the shape."""
    rows = [row for row in count(network) if row.kernel_size or row.learned or row.input != row.output]
    return Table(
        name="shapes",
        caption=f"Shapes in the network {network.name} on input of {network.input.side}×{network.input.side} pixels.",
        columns=[
            Column("layer", "layer"),
            Column("kernel_size", "kernel", "pixels", "d"),
            Column("stride", "stride", "pixels", "d"),
            Column("padding", "padding", "pixels", "d"),
            Column("groups", "groups", format="d"),
            Column("input", "input", "maps×rows×columns"),
            Column("output", "output", "maps×rows×columns"),
            Column("neurons", "neurons", format=INTEGER),
            Column("excess", "beyond the edge", "pixels", "d"),
        ],
        rows=[
            {
                "layer": row.name,
                "kernel_size": row.kernel_size,
                "stride": row.stride,
                "padding": row.padding,
                "groups": row.groups,
                "input": shape(row.input),
                "output": shape(row.output),
                "neurons": row.neurons if row.learned else None,
                "excess": row.excess if row.kernel_size else None,
            }
            for row in rows
        ],
        note=(
            "Beyond the edge: rows and columns past the right and lower edge that the last windows reach into; a "
            "convolution reads zeros there, a pooling window is clipped. Neurons are the outputs of layers with weights. "
            f"{_origin(network)}"
        ),
    )


def networks() -> Table:
    """Every network that has a description, side by side."""
    rows: list[Cells] = []
    for name in names():
        network = load(name)
        sums = totals(count(network))
        rows.append(
            {
                "network": name,
                "title": network.title,
                "relation": _relation(network),
                "side": network.input.side,
                "towers": network.towers,
                "classes": network.classes,
                "parameters": sums.parameters,
                "macs": sums.macs,
                "neurons": sums.neurons,
            }
        )
    return Table(
        name="networks",
        caption="Every network of the suite, at its own input side and number of classes.",
        columns=[
            Column("network", "network"),
            Column("title", "what it is"),
            Column("relation", "relation"),
            Column("side", "input", "pixels", "d"),
            Column("towers", "towers", format="d"),
            Column("classes", "classes", format=INTEGER),
            Column("parameters", "parameters", format=INTEGER),
            Column("macs", "MACs", format=INTEGER),
            Column("neurons", "neurons", format=INTEGER),
        ],
        rows=rows,
        note=(
            "Derived from replicate/networks/*.yaml, which also say where each network comes from. The tables params and "
            "flops give the shares of the convolutional layers; MACs are of one view."
        ),
    )


def _relation(network: Network) -> str:
    """The net that it is a change of, and its other names."""
    called = [f"also called {alias}" for alias, name in aliases().items() if name == network.name]
    return "; ".join([f"changes {network.base}"] * bool(network.base) + called)


def shape(value: tuple[int, ...]) -> str:
    return "×".join(map(str, value))


def _origin(network: Network) -> str:
    return f"Derived from replicate/networks/{network.name}.yaml ({network.source}); nothing was measured."
