"""The table of trainings paired by seed: before they were run, with their results, with what it decides."""

from pathlib import Path

import pytest
import yaml

from replicate import settings
from replicate.evidence.precision import MARGIN, pairs
from replicate.evidence.results import Group, Results
from replicate.evidence.statistics import estimate
from replicate.report import tables
from replicate.report.sections import sections
from replicate.report.table import Table
from tests.report.conftest import provenance, write

BASE = [40.0, 42.0, 44.0, 46.0, 48.0]
NEAR = [40.5, 41.8, 44.1, 46.4, 47.9]
FAR = [value + 3 for value in NEAR]


@pytest.fixture
def paired_clone(clone: Path) -> Path:
    """The profile photos trains five seeds in bfloat16 too, under another name; demo does not."""
    path = clone / "pipelines" / "photos" / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["source"] = {"kind": "folder", "name": "photos"}
    params["runs"]["narrow"] = {"precision": "bfloat16"}
    params["trainings"] = {
        f"{run}-{seed}": {"run": run, "network": "demo", "seed": seed} for run in ("base", "narrow") for seed in range(1, 6)
    }
    path.write_text(yaml.safe_dump(params))
    return clone


def results(errors: list[float], seeds: tuple[int, ...] = (1, 2, 3, 4, 5), measured: bool = True) -> Results:
    """Leaves the results of such trainings; without `measured` as a version would that did not look at the precision."""
    profile = settings.load("photos")
    groups = {name: _group(name, values, own) for name, values, own in (("base", BASE, range(1, 6)), ("narrow", errors, seeds))}
    found = Results(
        profile="photos", source="photos", baseline="base", groups=groups, provenance=provenance("replicate compare"),
        precision=pairs(profile.settings, groups) if measured else {},
    )  # fmt: skip
    write(profile.reports / "results.json", found.model_dump())
    return found


def _group(name: str, errors: list[float], seeds: range | tuple[int, ...]) -> Group:
    by_error = {"ten.top1": errors, "centre.top1": [value + 1 for value in errors]}
    return Group(
        run=name, network="demo", seeds=list(seeds), trainings=[f"{name}-{seed}" for seed in seeds], classes=10, pictures=600,
        parameters=1, macs=1, input_side=48, epochs=[1] * len(errors), ensemble={}, view_gain={}, differences={},
        errors={key: estimate(values) for key, values in by_error.items()},
    )  # fmt: skip


def means(table: Table) -> list[dict]:
    return [row for row in table.rows if str(row["seed"]).startswith("mean")]


def test_a_profile_without_such_trainings_says_which_has_them(paired_clone: Path) -> None:
    [row] = tables.build("precision").rows
    assert row["group"] == "none" and row["outcome"].startswith("not run: no training of this profile")
    assert row["outcome"].endswith("profile photos has: `dvc repro pipelines/photos/dvc.yaml`")


def test_nobody_has_them(clone: Path) -> None:
    [row] = tables.build("precision").rows
    assert row["outcome"] == "not run: no training of this profile departs in its precision only"


@pytest.mark.parametrize("older", [False, True])
def test_trainings_without_results_say_how_to_get_them(paired_clone: Path, older: bool) -> None:
    if older:
        results(NEAR, measured=False)
    table = tables.build("precision", profile="photos")
    assert table.rows == [{"group": "narrow", "outcome": "not run: `dvc repro pipelines/photos/dvc.yaml`"}]
    assert "results.json" not in table.note and "default of runs" not in table.note


def test_trainings_of_other_seeds_ask_for_more(paired_clone: Path) -> None:
    results(NEAR, seeds=(6, 7, 8, 9, 10))
    [row] = tables.build("precision", profile="photos").rows
    assert row["outcome"] == "not run: shares no seed with base; add trainings to pipelines/photos/params.yaml"


def test_every_pair_then_the_mean_with_its_interval(paired_clone: Path) -> None:
    found = results(NEAR).precision["narrow"].differences
    table = tables.build("precision", profile="photos")
    assert [row["seed"] for row in table.rows] == ["1", "2", "3", "4", "5", "mean of 5"] * 2
    ten = [row for row in table.rows if row["views"] == "ten"]
    assert [(row["error"], row["baseline"]) for row in ten[:5]] == list(zip(NEAR, BASE, strict=True))
    assert [row["difference"] for row in ten] == pytest.approx([a - b for a, b in zip(NEAR, BASE, strict=True)] + [0.14])
    for row in means(table):
        one = found[f"{row['views']}.top1"]
        assert (row["low"], row["high"], row["least"]) == (one.low, one.high, one.least) and one.least > 0
        assert row["outcome"] == f"within ±{MARGIN:g} points"
    assert "Group narrow: bfloat16 against float32; default of runs that are judged: bfloat16 (every interval" in table.note


def test_a_difference_beyond_the_margin_leaves_float32(paired_clone: Path) -> None:
    results(FAR)
    table = tables.build("precision", profile="photos")
    assert {row["outcome"] for row in means(table)} == {f"not within ±{MARGIN:g} points"}
    assert "default of runs that are judged: float32 (2 of 2 intervals" in table.note


def test_too_few_pairs_are_shown_and_decide_nothing(paired_clone: Path) -> None:
    results(NEAR[:3], seeds=(1, 2, 3))
    table = tables.build("precision", profile="photos")
    assert "float32 (3 pairs of trainings" in table.note and means(table)[0]["seed"] == "mean of 3"


def test_one_pair_has_no_interval(paired_clone: Path) -> None:
    results(NEAR[:1], seeds=(1,))
    table = tables.build("precision", profile="photos")
    assert "low" not in table.rows[0] and means(table)[0]["outcome"].startswith("no spread")


def test_the_page_has_it_where_there_are_such_trainings(finished: settings.Profile) -> None:
    runs = finished.settings.runs | {"narrow": {"precision": "bfloat16"}}
    more = {"narrow-1": settings.Training(run="narrow", network="demo", seed=1)}
    changed = finished.settings.model_copy(update={"runs": runs, "trainings": finished.settings.trainings | more})
    narrow = settings.Profile(finished.name, finished.root, changed)
    for profile, shown in ((finished, False), (narrow, True)):
        found = [table.name for section in sections(profile) for table in section.tables]
        assert ("precision" in found) == shown
