import json
import subprocess
import sys
from pathlib import Path

import pytest

from replicate import settings
from replicate.errors import UserError
from replicate.networks import count, load, names, totals
from replicate.paper import claims
from replicate.report import tables, writers
from replicate.report.table import Table
from replicate.settings import Profile
from tests.report.conftest import run, write


def row(table: Table, **wanted: object) -> dict:
    return next(r for r in table.rows if all(r[key] == value for key, value in wanted.items()))


@pytest.mark.parametrize("name", tables.TABLES)
def test_every_table_is_built_and_written(name: str, finished: Profile) -> None:
    table = tables.build(name, profile=finished)
    assert table.name == name and table.rows and table.caption and table.note
    for writer in writers.WRITERS.values():
        assert table.caption.split()[0] in writer(table)


@pytest.mark.parametrize("name", [n for n, entry in tables.TABLES.items() if entry.needs == "profile"])
def test_what_depends_on_a_profile_names_it_and_carries_its_note(name: str, finished: Profile) -> None:
    caption = tables.build(name, profile=finished).caption
    assert "profile demo" in caption and finished.settings.note in caption


@pytest.mark.parametrize("network", names())
def test_network_tables_add_up(network: str) -> None:
    sums = totals(count(load(network)))
    params, flops = tables.build("params", network), tables.build("flops", network)
    layers = [r for r in params.rows if r["output"]]
    parts = [r for r in params.rows if not r["output"] and r["layer"] != "all"]
    for lines in (layers, parts):
        assert row(params, layer="all")["parameters"] == sums.parameters == sum(r["parameters"] for r in lines)
    assert row(flops, layer="all")["macs"] == sums.macs == row(flops, layer="all")["flops"] / 2
    assert sum(r["share"] for r in parts) == pytest.approx(100)
    assert row(tables.build("networks"), network=network)["parameters"] == sums.parameters


def test_shapes_say_how_many_zeros_the_last_windows_read() -> None:
    conv1 = row(tables.build("shapes", "paper"), layer="conv1")
    assert (conv1["input"], conv1["output"], conv1["excess"]) == ("3×224×224", "96×55×55", 3)


def test_readings_of_the_first_layer_differ_in_what_they_give() -> None:
    table = tables.build("arithmetic")
    assert {r["agrees"] for r in table.rows} == {"yes", "no"}
    assert row(table, reading="rounded-up")["agrees"] == "yes" and row(table, reading="as-printed")["agrees"] == "no"


def test_errors_are_those_of_the_records(profile: Profile) -> None:
    table = tables.build("errors")
    for training in profile.settings.trainings:
        measured = json.loads(profile.record(training).read_text())["values"]["errors"]
        for views in ("centre", "ten"):
            shown = row(table, what=training, views=views)
            assert (shown["top1"], shown["top5"]) == (measured[views]["top1"], measured[views]["top5"])
    group = json.loads((profile.reports / "results.json").read_text())["groups"]["base"]
    mean = row(table, what="base", kind="mean of trainings", views="ten")
    assert (mean["top1"], mean["top1_low"], mean["n"]) == (group["errors"]["ten.top1"]["mean"], group["errors"]["ten.top1"]["low"], 3)
    assert row(table, what="base", kind="ensemble", views="ten")["top1"] == group["ensemble"]["ten.top1"]


def test_ten_classes_carry_the_chance_of_top5(profile: Profile) -> None:
    assert "With 10 classes chance is 90 % top-1 and 50 % top-5 error." in tables.build("errors").note


@pytest.mark.parametrize("classes", [2, 5])
def test_few_classes_leave_top5_out(classes: int, clone: Path) -> None:
    run(settings.load("demo"), classes=classes)
    for name in ("errors", "ablations"):
        table = tables.build(name)
        assert not [column.key for column in table.columns if column.key.startswith("top5")]
    assert "top-5 is left out" in tables.build("errors").note


def test_the_papers_errors_stand_beside_ours(profile: Profile) -> None:
    of_one_net = [c for c in claims().values() if c.measure_name == "errors" and c.measure_arguments["network"] == "paper"]
    printed = {(c.value["top1"], c.value["top5"]) for c in of_one_net}
    assert {(r["top1"], r["top5"]) for r in tables.build("errors").rows if r["what"] == "the paper"} == printed


def test_ablations_say_difference_weight_and_verdict(profile: Profile) -> None:
    table = tables.build("ablations")
    lrn, conv3, crops = (row(table, group=name) for name in ("lrn-off", "no-conv3", "no-crops"))
    difference = json.loads((profile.reports / "results.json").read_text())["groups"]["lrn-off"]["differences"]["ten.top1"]
    assert (lrn["difference"], lrn["low"], lrn["high"]) == (difference["mean"], difference["low"], difference["high"])
    assert lrn["verdict"] == "not run" and lrn["weight"] == "3 seeds"  # drawn pictures
    assert conv3["weight"] == crops["weight"] == "one short run, no evidence"
    assert conv3["low"] is None and conv3["parameters"] == totals(count(load("demo-no-conv3"))).parameters
    assert crops["change"] == "crops centre, reflections off"
    assert "no-conv3: With conv3 goes the only convolution that reads both towers; they meet in fc6 only." in table.note
    assert "no-crops: without-crops-overfits is judged on the centre view." in table.note


def test_the_weight_is_that_of_the_smaller_side(profile: Profile) -> None:
    found = json.loads((profile.reports / "results.json").read_text())
    base = found["groups"]["base"]
    for kept, weight in ((1, "one short run of the baseline, no evidence"), (2, "2 short runs of the baseline, no evidence")):
        base["seeds"] = list(range(kept))
        write(profile.reports / "results.json", found)
        table = tables.build("ablations")
        assert row(table, group="lrn-off")["weight"] == weight
        assert row(table, group="no-crops")["weight"].startswith("one short run")


def test_the_papers_figure_is_found_through_the_claims_measure(profile: Profile) -> None:
    assert row(tables.build("ablations"), group="lrn-off")["paper"] == f"{claims()['lrn-gain'].value['top1']:g}"


def test_score_counts_settings_apart(profile: Profile) -> None:
    table = tables.build("score")
    assert row(table, verdict="agrees")["claims"] > 0
    assert row(table, verdict="built as stated")["counts"] == "counted apart"
    assert row(table, verdict="not run")["counts"] == "no evidence"
    assert sum(r["claims"] for r in table.rows) == len(claims())


def test_verdicts_are_those_of_the_results_and_the_claims_of_today(profile: Profile) -> None:
    write(profile.reports / "verdicts.json", {"an export": "of an older version"})
    table = tables.build("claims")
    assert [r["id"] for r in table.rows] == list(claims())
    assert "verdicts judged from reports/demo/results.json" in table.note
    (profile.reports / "results.json").unlink()
    assert "judged without results (profile demo has none yet: `dvc repro`)" in tables.build("claims").note


def test_the_pca_names_no_store(profile: Profile) -> None:
    table = tables.build("provenance")
    assert row(table, record="store.json")["store"] == "b" * 12
    assert row(table, record="pca.json")["store"] is None


def test_an_older_method_is_marked(clone: Path) -> None:
    profile = settings.load("demo")
    run(profile, method=1)
    table = tables.build("trainings")
    assert f"older than the profile's {profile.settings.method}" in writers.text(table)


def test_a_training_that_was_not_run_is_listed_as_such(profile: Profile) -> None:
    profile.record("no-crops-1").unlink()
    assert row(tables.build("trainings"), training="no-crops-1")["device"] == "not run: `dvc repro`"


def test_data_says_what_was_left_out(profile: Profile) -> None:
    table = tables.build("data")
    assert row(table, split="training")["left_out"] == 1 and "train/c0/x.jpg (truncated)" in table.note


def test_pca_gives_each_axis_its_own_vector(profile: Profile) -> None:
    first = row(tables.build("pca"), whose="demo", axis=1)
    assert (first["red"], first["green"], first["blue"]) == (0.56, 0.71, 0.42)


def test_pca_sets_the_published_axes_beside_ours(profile: Profile) -> None:
    rows = tables.build("pca").rows
    shipped = [r for r in rows if r["whose"] == "cuda-convnet2"]
    copied = [r for r in rows if r["whose"] == "the copied constants"]
    assert [r["axis"] for r in shipped] == [r["axis"] for r in copied] == [1, 2, 3]
    for a, b in zip(shipped, copied, strict=True):  # two computations of the same pixels: alike, whatever their unit
        assert a["unit"] == pytest.approx(b["unit"], rel=0.4) and a["red"] * b["red"] > 0
    assert all(r["copied"] < r["noise"] for r in copied)


@pytest.mark.parametrize("name", ["errors", "ablations", "trainings", "provenance", "data", "pca"])
def test_missing_results_say_how_to_get_them_and_who_has_some(name: str, clone: Path) -> None:
    with pytest.raises(UserError, match="profile 'demo' has no .* yet; run `dvc repro`$"):
        tables.build(name)
    run(settings.load("photos"))
    with pytest.raises(UserError, match="committed results: --profile photos"):
        tables.build(name)
    with pytest.raises(UserError, match="unknown profile 'photo'; did you mean 'photos'"):
        tables.build(name, profile="photo")


@pytest.mark.parametrize("name", ["claims", "score", "departures"])
def test_statements_need_no_results(name: str, clone: Path) -> None:
    assert tables.build(name).rows


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown table 'param'; did you mean 'params'"):
        tables.build("param")
    with pytest.raises(UserError, match="unknown network 'papers'; did you mean 'paper'"):
        tables.build("params", network="papers")
    with pytest.raises(UserError, match="not of one network"):
        tables.build("networks", network="paper")


@pytest.mark.parametrize("name", ["claims", "score", "precision"])
def test_statements_import_no_heavy_library_with_results_either(name: str, profile: Profile) -> None:
    heavy = {"torch", "torchvision", "numba", "scipy", "matplotlib", "pandas", "jinja2"}
    assert imported(name, heavy) == "[]"


@pytest.mark.parametrize("name", ["params", "flops", "shapes", "arithmetic", "networks", "towers"])
def test_a_cheap_table_imports_nothing_heavy(name: str) -> None:
    heavy = {"torch", "torchvision", "numba", "scipy", "matplotlib", "pandas", "jinja2", "numpy"}
    assert imported(name, heavy) == "[]"


def imported(table: str, of: set[str]) -> str:
    """Which of these modules printing the table imports, as a printed list."""
    code = f"import sys; sys.argv = ['replicate', 'report', '--table', {table!r}]; from replicate.commands.main import cli; cli(standalone_mode=False)"
    code += f"; print(sorted({of!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]
