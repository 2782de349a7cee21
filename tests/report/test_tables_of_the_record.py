"""Tables beside the claims: text against code, the 2012 runs, ensembles, reproductions, folklore, memory, receptive fields."""

import pytest

from replicate.evidence import side_by_side
from replicate.networks import count, load, totals
from replicate.paper import claims
from replicate.paper.comparison import CODE, COLUMNS, TEXT, items
from replicate.paper.ensembles import ensembles
from replicate.paper.folklore import tales
from replicate.paper.reproductions import reproductions
from replicate.paper.runs import pairs, runs
from replicate.report import tables, tables_record
from replicate.report.table import Table
from replicate.report.writers import text
from tests.report.test_tables import imported

NAMES = ["text-vs-code", "code-2012", "runs-2012", "ensembles", "reproductions", "folklore", "memory", "receptive-fields"]


def where(table: Table, **wanted: object) -> list[dict]:
    return [row for row in table.rows if all(row[key] == value for key, value in wanted.items())]


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_terminal_of_110_columns(name):
    assert max(map(len, text(tables.build(name), 110).splitlines())) <= 110


@pytest.mark.parametrize("name", NAMES)
def test_it_imports_nothing_heavy(name):
    assert imported(name, {"torch", "torchvision", "numba", "scipy", "matplotlib", "pandas", "numpy", "jinja2"}) == "[]"


def test_text_and_code_stand_beside_the_networks_of_that_name(monkeypatch):
    before = tables.build("text-vs-code")
    assert [column.key for column in before.columns] == ["item", *COLUMNS]
    caffe = load("caffe")
    layers = [one.model_copy(update={"k": 7.0}) if one.kind == "lrn" else one for one in caffe.layers]
    changed = caffe.model_copy(update={"layers": layers})
    monkeypatch.setattr(side_by_side, "load", lambda name: changed if name == "caffe" else load(name))
    after = tables.build("text-vs-code")
    assert [a["item"] for a, b in zip(after.rows, before.rows, strict=True) if a != b] == ["LRN, k"]


def test_what_the_code_does_otherwise_has_its_evidence():
    rows = tables.build("code-2012").rows
    differ = {item.item for item in items() if side_by_side.cells(item)[TEXT] != side_by_side.cells(item)[CODE]}
    assert differ <= {row["item"] for row in rows} and all(row["evidence"] for row in rows)
    assert not where(tables.build("code-2012"), item="momentum")  # the same in both


def test_every_item_is_in_one_table_at_least():
    shown = {row["item"] for name in ("text-vs-code", "code-2012") for row in tables.build(name).rows}
    assert shown == {item.item for item in items()}


def test_runs_have_the_parameters_of_their_network(monkeypatch):
    row = where(tables.build("runs-2012"), run="147")[0]
    assert row["parameters"] == totals(count(load("code147"))).parameters
    halved = load("code147").model_copy(update={"layers": load("code145-half").layers})
    monkeypatch.setattr(tables_record, "load", lambda name: halved if name == "code147" else load(name))
    assert where(tables.build("runs-2012"), run="147")[0]["parameters"] < row["parameters"]
    assert where(tables.build("runs-2012"), run="131")[0]["parameters"] == runs()["131"].parameters


def test_every_run_and_result_has_a_row():
    rows = tables.build("runs-2012").rows
    assert {row["run"] for row in rows} == {*runs(), *(pair.name for pair in pairs())}
    assert sum(row["top1"] is not None for row in rows) == sum(len(run.results) for run in runs().values()) + len(pairs())


def test_what_stands_behind_a_figure_of_the_paper_comes_first_and_says_how_far_it_is():
    rows = tables.build("runs-2012").rows
    beside = [row["paper"] for row in rows]
    assert all(beside[: beside.index(None)]) and not any(beside[beside.index(None) :])
    row = next(row for row in rows if row["paper"].startswith("lrn-gain"))
    printed = claims()["lrn-gain"].value
    assert row["paper"].endswith(f"the log −{printed['top1'] - row['top1']:.2f} and −{printed['top5'] - row['top5']:.2f}")


def test_the_printed_figures_are_the_claims_and_the_log_rounds_to_them():
    """Every single net and gain that the paper prints is within rounding (0.05 points) of its run."""
    found = 0
    for run in runs().values():
        for one in run.results:
            if one.claim and one.claim != "fall2009-error":  # those nets lack the sixth layer
                printed = tables_record.figure(claims()[one.claim], "top1", one.split)
                assert printed is None or abs(printed - one.percent("top1")) <= 0.05, run.run
                found += printed is not None
    assert found >= 4


def test_ensembles_list_the_members_of_the_record():
    table = tables.build("ensembles")
    for one in ensembles():
        rows = where(table, row=one.name)
        assert rows[0]["source"] == "the paper"
        assert len([row for row in rows if row["source"].startswith("run ")]) == len(one.members)
    five = {row["source"]: row for row in where(table, row="five nets")}
    assert five["averaging gains"]["top1_val"] == pytest.approx(
        five["mean of the members"]["top1_val"] - claims()["table2-5cnn"].value["top1_val"]
    )
    assert five["the record"]["top5_test"] == pytest.approx(claims()["table2-5cnn"].value["top5_test"], abs=0.05)


def test_reproductions_are_errors_with_views_apart():
    table = tables.build("reproductions")
    paper = claims()["table2-1cnn"].value
    assert (table.rows[0]["ten1"], table.rows[0]["ten5"], table.rows[0]["centre1"]) == (paper["top1"], paper["top5"], None)
    printed = {one.who: one for one in reproductions()}
    for row in table.rows:
        figures = [row[key] for key in ("centre1", "centre5", "ten1", "ten5")]
        assert any(figure is not None for figure in figures) or "views not stated" in row["source"]
        one = printed.get(row["who"])
        if one and one.reported == "accuracy" and one.centre:
            assert row["centre1"] + one.centre.top1 == pytest.approx(100)


def test_the_log_s_range_is_of_its_other_runs():
    rows = {row["who"]: row for row in tables.build("reproductions").rows if row["network"] == CODE}
    lowest, highest = (next(row for who, row in rows.items() if word in who) for word in ("lowest", "highest"))
    errors = [one.percent("top1") for run in runs().values() if run.network == CODE for one in run.results
              if one.data == "ILSVRC-2012" and one.views == "centre"]  # fmt: skip
    assert (lowest["centre1"], highest["centre1"]) == (min(errors), max(errors))


def test_folklore_shows_every_account_with_its_evidence():
    table = tables.build("folklore")
    assert [row["says"] for row in table.rows] == [tale.says for tale in tales()]
    assert all(row["shown"] for row in table.rows)
    assert f"{len(tales())} statements" in table.caption


def test_memory_is_of_the_paper_s_batch_and_card():
    table = tables.build("memory", "paper")
    assert f"{claims()['batch-size'].value} pictures" in table.caption
    whole, tower = where(table, layer="all")[0], table.rows[-1]
    layers = table.rows[:-2]
    assert whole["all"] == pytest.approx(sum(row["all"] for row in layers))
    assert whole["share"] == pytest.approx(100 * whole["all"] / (1024 * claims()["gpu-3gb"].value))
    assert whole["all"] / 2 < tower["all"] < whole["all"]
    assert len(where(tables.build("memory", "torchvision"), layer="one of 2 towers")) == 0


def test_receptive_fields_reach_beyond_the_edge_as_far_as_the_padding():
    rows = {row["layer"]: row for row in tables.build("receptive-fields", "torchvision").rows}
    padding = load("torchvision").layer("conv1").padding
    assert rows["conv1"]["before"] == padding and rows["conv1"]["after"] < padding
    assert rows["fc6"]["size"] is None
