"""`plan`: estimates follow from what was measured, changes nothing, and is held against what followed; no test asserts a time."""

import os
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from replicate import networks, records, settings
from replicate.commands.plan import lasting
from replicate.commands.plan import plan as command
from replicate.errors import UserError
from replicate.measure import plan, stages
from replicate.measure.exchange import exchange
from replicate.measure.stages import Dvc
from replicate.measure.trial import Trial
from replicate.networks.traffic import traffic
from replicate.paper import claims
from tests.conftest import ROOT
from tests.measure.conftest import profile_of

IMAGENET = claims()["train-images-1.2m"].value

TRIAL = Trial(
    set_up=2.0, first=1.0, steps=[0.5, 1.5], draw=0.25, held_out=0.125, checkpoint=100.0, weights=3.0, evaluate=0.5, sha256=1e-6, md5=2e-6,
    memory=10**9, gpu_memory=0, compiled=False, device="cpu", threads=1, pictures="made up",
)  # fmt: skip


@pytest.fixture
def quick(monkeypatch):
    """Nothing is measured: made-up numbers in place of all that would take a process."""
    asked = []
    monkeypatch.setattr(plan, "tried", lambda profile, *arguments: asked.append(arguments) or TRIAL)
    monkeypatch.setattr(stages, "begin", lambda profile, stage: 10.0)
    monkeypatch.setattr(stages, "source", lambda *arguments: (20.0, "made up"))
    monkeypatch.setattr(stages, "prepare", lambda profile, found: (0.5 * (found.train + found.val), "made up"))
    monkeypatch.setattr(stages, "pca", lambda side: 0.25)
    monkeypatch.setattr(stages, "neighbours", lambda *arguments: 7.0)
    monkeypatch.setattr(stages, "score", lambda classes: 0.0625)
    monkeypatch.setattr(stages, "dvc", lambda profile: Dvc(start=5.0, each=1.0, before=0.03125, after=0.015625))
    monkeypatch.setattr(stages, "left_to_prepare", lambda *arguments: (1000, 10**6))
    return asked


def test_what_is_measured_is_written_and_nothing_else_changes(small_profile, monkeypatch):
    monkeypatch.setattr(stages, "begin", lambda profile, stage: 1.0)

    def seen():
        return {path: path.read_bytes() for path in small_profile.root.rglob("*") if path.is_file()}

    before = seen()
    found = plan.plan(small_profile, 2, "replicate plan --devices 2")
    after = seen()
    written = small_profile.root / "reports/plans/demo.json"
    assert after.keys() - before.keys() == {written} and before.items() <= after.items()
    assert records.read(written) == found and found.provenance.command == "replicate plan --devices 2"
    values = plan.Plan.model_validate(found.values)
    trainings = [f"{stage} {name}" for stage in ("train", "evaluate") for name in small_profile.settings.trainings]
    assert [one.stage for one in values.stages] == ["check", "source", "prepare", "pca", *trainings, "compare", "report"]
    assert all(one.seconds >= 1 for one in values.stages) and values.dvc_start is None  # there is no dvc.yaml
    assert (values.train_pictures, values.val_pictures, values.counted) == (200, 80, "the store")
    assert set(values.speeds) == set(values.exchanges) == {"base", "lrn-off"}
    for speed in values.speeds.values():
        assert 0 < speed.lowest <= speed.median <= speed.highest and speed.memory > 10**8 and speed.pictures == "pictures of the store"


def test_a_training_is_the_sum_of_its_parts(quick, tmp_path):
    profile = profile_of(tmp_path, lambda params: params["recipe"]["schedule"].update(max_epochs=10))
    values = plan.plan(profile, 1, "").values
    found = {one["stage"]: one for one in values["stages"]}
    train, val = values["train_pictures"], values["val_pictures"]
    held, batch, side, recipe = train // 50, 128, 256, profile.settings.recipe
    learning = 0.25 + (train - held) // batch * 1.0 + held * 0.125
    epoch = learning * 1.03  # checkpoints take no more, however long one takes
    weights = 4 * networks.totals(networks.count(networks.load("paper"), recipe.crop, 1000)).parameters
    hashed = 1e-6 * train * side**2 * 3
    expected = 10 + hashed + 2 + 1 + 10 * epoch + 3 + 1  # begin … write the weights, DVC
    assert found["train base-1"]["seconds"] == pytest.approx(expected, abs=0.01)
    assert found["train base-1"]["follows"].startswith("at most 10 epochs")
    assert found["train base-1"]["disk"] == weights and found["train base-1"]["passing"] == 3 * 2 * weights
    answers = 2 * 4 * val * 1000
    *_, left = (one["disk"] for one in values["stages"] if one["stage"].startswith("train "))
    expected = 10 + 2 + 1 + 1e-6 * (val * side**2 * 3 + weights) + val * 0.5 + 7 + 1 + left * 2e-6  # which DVC hashes before it
    assert found["evaluate base-1"]["seconds"] == pytest.approx(expected, abs=0.01) and found["evaluate base-1"]["disk"] == answers
    stored = (train + val) * side**2 * 3
    assert found["prepare"]["disk"] == stored
    assert found["source"]["disk"] == 10**6
    dvc = 1 + 1000 * 0.03125 + 10**6 * 2e-6  # looks at the pictures, and hashes them
    assert found["prepare"]["seconds"] == pytest.approx(10 + (train + val) * 0.5 + dvc, abs=0.01)
    dvc = 1 + 1000 * 0.015625 + stored * 2e-6
    assert found["pca"]["seconds"] == pytest.approx(10 + train * 0.25 + dvc, abs=0.01)
    assert found["train half-epochs-1"]["follows"].startswith("at most 45 epochs")


def test_short_checkpoints_cost_what_they_cost():
    recipe = settings.load_from(ROOT, "demo").settings.recipe
    quick = replace(TRIAL, checkpoint=0.001, draw=0.0)
    held = 2400 // round(1 / recipe.held_out)
    learning = (2400 - held) // recipe.batch_size * 1.0 + held * 0.125
    assert learning < plan.SECONDS and plan._epoch(recipe, 2400, quick) == pytest.approx(learning + 0.001)
    longer = replace(quick, steps=[100.0])
    learning = (2400 - held) // recipe.batch_size * 100.0 + held * 0.125
    assert plan._epoch(recipe, 2400, longer) == pytest.approx(learning + learning / plan.SECONDS * 0.001)


def test_every_kind_of_training_is_tried_once(quick, tmp_path):
    profile = profile_of(tmp_path)
    plan.plan(profile, 1, "")
    tried = [name for name, _, _ in quick]
    kinds = {(t.network, profile.settings.recipe_of(t.run).precision) for t in profile.settings.trainings.values()}
    assert len(tried) == len(kinds) and len(set(tried)) == len(tried)
    assert all(rest == [IMAGENET["images"], IMAGENET["classes"]] for _, *rest in quick)


def test_pictures_that_nobody_counted_have_no_time(quick, tmp_path, monkeypatch):
    profile = profile_of(tmp_path, lambda params: params.update(source={"kind": "folder", "name": "mine"}))
    monkeypatch.setattr(stages, "prepare", lambda *arguments: (None, "unknown"))
    values = plan.plan(profile, 1, "").values
    found = {one["stage"]: one["seconds"] for one in values["stages"]}
    assert found["prepare"] is found["pca"] is found["train base-1"] is found["evaluate base-1"] is None
    monkeypatch.chdir(tmp_path)
    shown = " ".join(CliRunner().invoke(command, ["--profile", "imagenet"], catch_exceptions=False).output.split())
    assert "How many pictures is unknown" in shown and "unknown" in shown


def test_exchange_between_towers_and_parts_of_a_batch():
    network, recipe = networks.load("paper"), settings.load_from(ROOT, "imagenet").settings.recipe
    numbers = sum(one.forward + one.backward for one in traffic(network, 224, 1000))
    two, four = exchange(network, recipe, 2, 1000), exchange(network, recipe, 4, 1000)
    assert (two.towers, two.parts, two.gradients_a_step) == (2, 1, 0)
    assert two.a_picture == 4 * numbers and two.a_step == 128 * two.a_picture
    weights = networks.totals(networks.count(network)).parameters
    assert four.a_step == two.a_step // 2 and four.gradients_a_step == 2 * (4 * weights // 2) // 2
    half = exchange(network, recipe.model_copy(update={"precision": "bfloat16"}), 2, 1000)
    assert half.a_picture == two.a_picture // 2
    one = exchange(networks.load("one-gpu"), recipe, 2, 1000)
    assert (one.towers, one.parts, one.a_picture) == (1, 2, 0) and one.gradients_a_step > 0
    with pytest.raises(UserError, match="'paper' has 2 towers .* 3 devices"):
        exchange(network, recipe, 3, 1000)


def at(path, time: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time, time))


def test_what_the_stages_took_is_set_beside_the_plan(quick, small_profile):
    profile = small_profile
    begun = plan.plan(profile, 1, "").provenance
    end = plan.datetime.fromisoformat(begun.started).timestamp() + begun.seconds + 60
    with pytest.raises(UserError, match="no stages ended since .* dvc repro"):
        at(profile.record("store"), end - 3600)
        for file in profile.pictures.rglob("*"):
            os.utime(file, (end - 3600, end - 3600))
        at(profile.record("pca"), end - 3600)
        plan.compare(profile)
    at(profile.state / "demo" / "params-valid", end)
    at(profile.record("store"), end + 5)
    at(profile.log("base-1"), end + 25)
    at(profile.log("base-2"), end + 30)
    at(profile.record("base-1"), end + 37)
    took = {"prepare": 5.0, "train base-1": 20.0, "train base-2": 5.0, "evaluate base-1": 7.0}  # source and pca were not run again
    assert plan.compare(profile).values["took"] == took
    assert records.read(plan.path(profile)).values["took"] == took
    shown = CliRunner().invoke(command, ["--compare"], catch_exceptions=False).output
    planned = {one["stage"]: one["seconds"] for one in records.read(plan.path(profile)).values["stages"]}
    both = planned["train base-1"] + planned["train base-2"]
    off = 100 * (both / 25 - 1)
    assert re.search(rf"train +2 +{both:.1f} +25.0 +{re.escape(f'{off:+.0f}')} +{'yes' if abs(off) <= 25 else 'no'}", shown)
    assert re.search(r"all +4 ", shown) and "Not compared: check, source, pca, train lrn-off-1" in shown


@pytest.mark.parametrize(("took", "said"), [(1000, "at least so long: yes"), (0.01, "no")])
def test_a_lower_bound_is_held_against_what_followed_as_one(quick, small_profile, took, said):
    begun = plan.plan(small_profile, 1, "").provenance
    end = plan.datetime.fromisoformat(begun.started).timestamp() + begun.seconds + 60
    at(small_profile.record("base-1"), end)
    at(small_profile.reports / "results.json", end + took)
    shown = CliRunner().invoke(command, ["--compare"], catch_exceptions=False).output
    assert re.search(rf"compare +1 .* {said}\n", shown)


def test_without_a_plan_there_is_nothing_to_compare(small_profile):
    with pytest.raises(UserError, match=r"reports/plans/demo.json: no plan; .* replicate plan --profile demo"):
        plan.compare(small_profile)


def test_the_command_says_what_it_all_follows_from(quick, tmp_path, monkeypatch):
    profile_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(command, ["--profile", "imagenet", "--devices", "2"], catch_exceptions=False).output
    for said in ("Estimates", "at most 90 epochs", "from the paper", f"{IMAGENET['images']:,}", "1/2 of the time on one", "unknown until it is run"):
        assert said in " ".join(shown.split()), said
    assert re.search(r"train base +5 ", shown) and re.search(r"train half-data +3 ", shown)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "unknown"), (1.24, "1.2 s"), (119, "119.0 s"), (120, "2.0 min"), (7200, "2.0 h"), (200000, "2.3 days")],
)
def test_a_time_is_said_in_the_unit_that_suits_it(seconds, said):
    assert lasting(seconds) == said
