"""The table of what crosses between towers, without a count, with one that agrees, and with one that does not."""

from pathlib import Path

import pytest

from replicate.errors import UserError
from replicate.networks import load
from replicate.networks.traffic import traffic
from replicate.paper import claims
from replicate.records import Record
from replicate.report import tables
from tests.report.conftest import provenance, write

RECORD = Path("reports", "paper", "records", "towers.json")
MIB = 2**20


def counted(clone: Path, network: str = "paper", side: int = 96, classes: int = 10, **more: object) -> list[dict]:
    """Leaves the record of a count that agrees with what is computed, or with `more` said in it; its rows."""
    rows = [
        {"layer": one.layer, "forward_values": one.forward, "backward_values": one.backward}
        for one in traffic(load(network), side, classes)
    ]
    values = {"network": network, "side": side, "classes": classes, "batch_size": 16, "dtype": "float32", "devices": 2, "steps": 3}
    made = provenance("replicate bench towers --try")
    record = Record(kind="towers", profile="none", source="random", values=values | {"rows": rows} | more, provenance=made)
    write(clone / RECORD, record.model_dump())
    return rows


def test_without_a_count_it_says_what_makes_one(clone: Path) -> None:
    table = tables.build("towers")
    network = load("paper")
    assert [row["layer"] for row in table.rows] == [*(one.layer for one in traffic(network)), "all"]
    assert {row["forward_counted"] for row in table.rows} == {row["backward_counted"] for row in table.rows} == {None}
    assert table.note.endswith("Counted: not run: run `replicate bench towers`.")
    assert f"{network.input.side} pixels and {network.classes:,} classes" in table.caption


def test_the_last_row_is_the_sum_and_a_step_is_the_papers_batch(clone: Path) -> None:
    *rows, last = tables.build("towers", "code145").rows
    for key in ("forward", "backward", "step", "step_half"):
        assert last[key] == pytest.approx(sum(row[key] for row in rows))
    pictures = claims()["batch-size"].value
    assert last["step"] == pytest.approx(4 * pictures * (last["forward"] + last["backward"]) / MIB)
    assert last["step_half"] == pytest.approx(last["step"] / 2)


def test_what_was_counted_stands_beside_what_is_computed(clone: Path) -> None:
    counted(clone)
    table = tables.build("towers")
    assert all(row["forward"] == row["forward_counted"] and row["backward"] == row["backward_counted"] for row in table.rows)
    assert "96 pixels and 10 classes" in table.caption
    assert "in 3 steps of 16 pictures in float32 on 2 devices by `replicate bench towers --try`" in table.note
    assert table.note.endswith("towers.json): as computed.") and "Measured" not in table.note


def test_a_count_that_is_otherwise_is_said_to_be(clone: Path) -> None:
    rows = counted(clone)
    rows[0]["backward_values"] += 1
    gone = rows.pop(1)
    counted(clone, rows=[*rows, {"layer": "conv4", "forward_values": 8, "backward_values": 0}])
    table = tables.build("towers")
    assert "other than computed before conv3, fc6, conv4." in table.note
    missing = next(row for row in table.rows if row["layer"] == "fc6")
    assert (missing["forward"], missing["forward_counted"]) == (gone["forward_values"], 0)


def test_a_count_of_another_network_is_not_taken_for_this_one(clone: Path) -> None:
    counted(clone)
    table = tables.build("towers", "code145")
    assert f"{load('code145').input.side} pixels" in table.caption and table.rows[0]["forward_counted"] is None
    assert "not run for this network; reports/paper/records/towers.json is of the network paper" in table.note


def test_times_are_shown_where_they_were_measured(clone: Path) -> None:
    counted(clone, one_process_seconds=[3, 1, 2], two_rank_seconds=[2.5], exchange_share=0.0123, bytes_per_second=4.56e8)
    note = tables.build("towers").note
    assert "a step takes one process 2.000 s (1.000 to 3.000); a step takes 2 processes 2.500 s" in note
    assert "the exchange takes 1.2 % of it" in note and "456 MB/s" in note


def test_a_record_of_something_else_is_one_line(clone: Path) -> None:
    counted(clone, pictures=3)
    with pytest.raises(UserError, match=r"^reports/paper/records/towers.json: pictures: unknown key"):
        tables.build("towers")


def test_a_network_of_one_tower_has_no_such_table(clone: Path) -> None:
    with pytest.raises(UserError, match="'torchvision' has one tower"):
        tables.build("towers", "torchvision")
