"""What crosses between devices that hold a tower each: computed from the description, and counted at run time."""

from statistics import median

from replicate.errors import UserError
from replicate.evidence.measures_records import FOLDER, recorded
from replicate.files import parse
from replicate.networks import Network, count
from replicate.networks.memory import NUMBER
from replicate.networks.traffic import Crossing, reads_all, traffic
from replicate.paper import claims
from replicate.records import Received, Record, Towers
from replicate.report.table import Column, Row, Table
from replicate.report.tables_memory import BATCH, MIB
from replicate.report.tables_networks import shape

RECORD, COMMAND = "towers", "replicate bench towers"
HALF = 2  # bytes of a bfloat16


def towers(network: Network) -> Table:
    """What each device receives of the others, layer by layer; where a count of the network is there, at its side and classes."""
    record = recorded().get(RECORD)
    counted = parse(Towers, record.values, f"{FOLDER}/{RECORD}.json") if record else None
    own = counted if counted and counted.network == network.name else None
    side, classes = (own.side, own.classes) if own else (network.input.side, network.classes)
    crossing = traffic(network, side, classes)
    if not crossing:
        raise UserError(f"network {network.name!r} has one tower, which one device holds: no maps cross between devices")
    pictures = claims()[BATCH].value
    found = {row.layer: row for row in own.rows} if own else None
    rows = [_row(one, found, pictures) for one in crossing]
    return Table(
        name="towers",
        caption=(
            f"What crosses between {network.towers} devices that hold a tower each of the network {network.name} (section 3.2), "
            f"on pictures of {side} pixels and {classes:,} classes: what each device receives of the others."
        ),
        columns=[
            Column("layer", "before layer"),
            Column("reads", "which reads", "maps×rows×columns"),
            Column("forward", "forward, computed", "numbers a picture", ",d"),
            Column("forward_counted", "forward, counted", "numbers a picture", ",d"),
            Column("backward", "backward, computed", "numbers a picture", ",d"),
            Column("backward_counted", "backward, counted", "numbers a picture", ",d"),
            Column("step", "a step, float32", "MiB", ",.2f"),
            Column("step_half", "a step, bfloat16", "MiB", ",.2f"),
        ],
        rows=[*rows, _sum(rows)],
        note=(
            f"A step: both directions for {pictures} pictures ({BATCH}), computed; autocast sends bfloat16. "
            f"{_silent(network, side, classes)}Forward: the maps, units or class scores of the other towers. Backward: what they found of the "
            "gradient of those that are held here; of the class scores' every device knows its own part. "
            f"{_origin(network)} {_counted(network, crossing, counted, record)}"
        ),
    )


def _row(one: Crossing, found: dict[str, Received] | None, pictures: int) -> Row:
    received = None if found is None else found.get(one.layer, Received(layer=one.layer, forward_values=0, backward_values=0))
    numbers = pictures * (one.forward + one.backward)
    return {
        "layer": one.layer,
        "reads": shape(one.reads),
        "forward": one.forward,
        "forward_counted": received.forward_values if received else None,
        "backward": one.backward,
        "backward_counted": received.backward_values if received else None,
        "step": NUMBER * numbers / MIB,
        "step_half": HALF * numbers / MIB,
    }


def _sum(rows: list[Row]) -> Row:
    keys = [key for key in rows[0] if key not in ("layer", "reads")]
    return {"layer": "all", "reads": ""} | {key: None if rows[0][key] is None else sum(row[key] for row in rows) for key in keys}


def _silent(network: Network, side: int, classes: int) -> str:
    """The layers with weights before which nothing crosses."""
    first, *others = [row for row in count(network, side, classes) if row.learned]
    apart = [row.name for row in others if not reads_all(row)]
    own = f"; {', '.join(apart)}: its own tower's maps or units only" if apart else ""
    return f"{first.name} reads the picture, which every device has{own}. "


def _origin(network: Network) -> str:
    return f"Computed from replicate/networks/{network.name}.yaml."


def _counted(network: Network, crossing: list[Crossing], counted: Towers | None, record: Record | None) -> str:
    """Where the count comes from, whether it is what was computed, and how long the exchange takes; or what makes it."""
    if counted is None or record is None:
        return f"Counted: not run: run `{COMMAND}`."
    if counted.network != network.name:
        return f"Counted: not run for this network; {FOLDER}/{RECORD}.json is of the network {counted.network}."
    computed = {one.layer: (one.forward, one.backward) for one in crossing}
    seen = {row.layer: (row.forward_values, row.backward_values) for row in counted.rows}
    apart = [layer for layer in dict.fromkeys([*computed, *seen]) if computed.get(layer, (0, 0)) != seen.get(layer, (0, 0))]
    found = f"other than computed before {', '.join(apart)}" if apart else "as computed"
    return (
        f"Counted in {counted.steps} steps of {counted.batch_size} pictures in {counted.dtype} on {counted.devices} devices by "
        f"`{record.provenance.command}` ({FOLDER}/{RECORD}.json): {found}.{_timed(counted)}"
    )


def _timed(counted: Towers) -> str:
    said = []
    for words, seconds in (("one process", counted.one_process_seconds), (f"{counted.devices} processes", counted.two_rank_seconds)):
        if seconds:
            said.append(f"a step takes {words} {median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})")
    if counted.exchange_share is not None:
        said.append(f"the exchange takes {100 * counted.exchange_share:.1f} % of it, waiting for the slower process apart")
    if counted.bytes_per_second is not None:
        said.append(f"a device receives {counted.bytes_per_second / 1e6:,.0f} MB/s")
    return f" Measured: {'; '.join(said)}." if said else ""
