"""A claim's page says what the claim says, how the value follows or was measured, and the verdict of the table."""

import json

import pytest

from replicate import settings
from replicate.errors import UserError
from replicate.evidence.measures import DERIVED
from replicate.evidence.measures_records import FOLDER
from replicate.paper import claims
from replicate.report import data
from replicate.report.explain import explain
from replicate.records import Contest, PerClass
from replicate.settings import Profile
from tests.conftest import ROOT
from tests.report.conftest import provenance, write


def words(text: str) -> str:
    """Without line breaks, which may be anywhere."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def verdicts(finished: Profile) -> dict[str, str]:
    return {one.id: one.verdict for one in data.verdicts(finished)}


@pytest.mark.parametrize("claim", claims().values(), ids=lambda claim: claim.id)
def test_a_page_for_every_claim(claim, finished, verdicts):
    page = explain(claim.id, finished)
    assert words(claim.says) in words(page) and f"Verdict: {verdicts[claim.id]}\n" in page
    assert all(len(line) <= 100 or " " not in line.strip("- ") for line in page.splitlines()), page
    if claim.measure_name in DERIVED:
        for step in DERIVED[claim.measure_name](**claim.measure_arguments).steps:
            assert words(step) in words(page)
    if claim.reason and claim.kind != "cited":
        assert words(claim.reason) in words(page)
    if claim.code_2012:
        assert words(claim.code_2012) in words(page)


def test_an_unknown_claim_is_an_error_with_the_nearest(finished):
    with pytest.raises(UserError, match="unknown claim 'fig2-neuron-1'; did you mean 'fig2-neurons-"):
        explain("fig2-neuron-1", finished)


def test_what_was_not_run_says_what_would_decide_it(finished):
    page = words(explain("lrn-gain", finished))
    assert "Evidence" not in page and "needs ilsvrc2012 or imagenette (direction only)" in page


def test_a_record_is_named_with_its_command_and_hashes(profile):
    spread = PerClass(least=1, median=1, mean=1, most=1)
    kit = Contest(classes=1, train_pictures=1, train_per_class=spread, val_pictures=claims()["val-50k"].value, val_per_class=spread,
                  test_pictures=None, sha256={"meta.mat": "ab" * 32}).model_dump()  # fmt: skip
    record = {"kind": "devkit", "profile": "none", "source": "ilsvrc2010", "values": kit, "provenance": provenance("replicate count-devkit KIT")}
    write(profile.root / FOLDER / "devkit.json", record)
    page = words(explain("val-50k", profile))
    assert "by `replicate count-devkit KIT`" in page and "ab" * 32 in page and "Verdict: agrees" in page


def test_numbers_over_seeds_come_with_interval_spread_and_n():
    profile = settings.load_from(ROOT, "imagenette")
    if not data.has_results(profile):
        pytest.skip("no committed results")
    page = words(explain("ten-views-gain", profile))
    group = json.loads((profile.reports / "results.json").read_text())["groups"][profile.settings.baseline]
    assert "95 % interval" in page and f"{len(group['seeds'])} seeds" in page
    assert f"s.d. {group['errors']['ten.top1']['sd']:.2f} points" in page
    assert all(training in page for training in group["trainings"])
