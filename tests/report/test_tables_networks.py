"""Tables of one network that hold for every network: shapes that follow each other, units that see the whole picture."""

import pytest

from replicate.networks import Network, load, names
from replicate.report import tables
from replicate.report.tables_memory import receptive_fields


@pytest.mark.parametrize("name", names())
def test_each_line_of_shapes_begins_where_the_one_before_ends(name: str) -> None:
    rows = tables.build("shapes", name).rows
    assert [row["input"] for row in rows[1:]] == [row["output"] for row in rows[:-1]]


def test_shapes_have_the_mean_of_whole_maps() -> None:
    row = next(row for row in tables.build("shapes", "global-pool").rows if row["layer"] == "global_pool")
    assert row["output"] == "256×1×1" and row["kernel_size"] is None


@pytest.fixture
def without_linear_layers() -> Network:
    """The paper's convolutions, one that gives the scores, and the mean of its maps."""
    said = load("paper").model_dump()
    maps = said["layers"][: [layer["name"] for layer in said["layers"]].index("fc6")]
    scores = next(layer for layer in maps if layer["name"] == "conv5") | {"name": "scores", "out": "classes", "groups": 1}
    layers = [*maps, scores, {"name": "mean", "kind": "global_pool"}]
    return Network.model_validate(said | {"layers": layers, "published": None})


def test_a_mean_of_whole_maps_sees_everything_and_the_note_says_so(without_linear_layers: Network) -> None:
    table = receptive_fields(without_linear_layers)
    assert [row["layer"] for row in table.rows if row["size"] is None] == ["mean"]
    assert "from the first fully connected layer or mean of whole maps on, every unit sees everything (–)" in table.note
