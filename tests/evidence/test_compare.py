"""The stage `compare` on made-up records and predictions in a folder of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from replicate import records
from replicate.errors import UserError
from replicate.evaluation import kernels
from replicate.evaluation.scores import error_rates, read_predictions
from replicate.evidence.compare import compare
from replicate.evidence.measures import RUNS, SAMPLES, SINGLES
from replicate.evidence.results import Results, Verdicts
from replicate.evidence.samples import members
from replicate.paper import claims
from replicate.settings import Profile, load

ROOT = Path(__file__).parents[2]
PICTURES, CLASSES = 200, 10
LOG = "epoch,train_loss,train_error,held_out_error\n"
NEAREST = [50.0, 40.0, 30.0]  # percent, of the 1, 2 and 3 nearest
PROVENANCE = records.Provenance(
    command="none", commit="none", method=1, started="2026-01-01T00:00:00+00:00", seconds=0, machine="", device="cpu",
    threads=1, versions={},
)  # fmt: skip


@pytest.fixture
def profile(tmp_path, settings_on):
    """Base with three seeds, LRN off with one, on drawn pictures."""
    settings = settings_on("drawn")
    kept = {name: one for name, one in settings.trainings.items() if name in ("base-1", "base-2", "base-3", "lrn-off-1")}
    made = Profile("made-up", tmp_path, settings.model_copy(update={"trainings": kept}))
    for name in kept:
        evaluate(made, name)
    return made


def evaluate(profile, name, store="a", seed=None, labels=None, **changes):
    """What the stage `evaluate` writes, from random answers that are right now and then."""
    training = profile.settings.trainings.get(name) or profile.settings.trainings["base-1"]
    random = np.random.default_rng(sum(name.encode()))
    labels = np.arange(PICTURES) % CLASSES if labels is None else labels
    answers = {}
    for view in ("centre", "ten"):
        logits = random.normal(size=(PICTURES, CLASSES)) + 1.5 * np.eye(CLASSES)[np.arange(PICTURES) % CLASSES]
        answers[view] = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    path = profile.predictions(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile.log(name).parent.mkdir(parents=True, exist_ok=True)
    profile.log(name).write_text(LOG + "".join(f"{e},{2.3 / e},{90 / e},{95 / e - len(name)}\n" for e in (1, 2)))
    np.savez(
        path, labels=labels, names=np.array([f"p{i}" for i in range(PICTURES)]), conv1=random.normal(size=(6, 3, 5, 5)),
        classes=np.array([f"c{i}" for i in range(CLASSES)]), training=np.array(name), network=np.array(training.network), **answers,
    )  # fmt: skip
    values = {
        "run": training.run, "network": training.network, "seed": training.seed if seed is None else seed,
        "classes": CLASSES, "pictures": PICTURES, "train_pictures": 100, "held_out_pictures": 5, "epochs": 2, "updates": 8,
        "parameters": 10, "macs": 20, "input_side": 224, "weights_sha256": "0", "store_identity": store,
        "errors": {view: error_rates(one, labels) for view, one in answers.items()}, "trained": PROVENANCE.model_dump(),
        "retrieval": {
            "queries": 50, "pixel_rank": [value + training.seed for value in NEAREST],
            "precision": {way: NEAREST for way in ("features", "pixels", "feature_codes", "pixel_codes")},
        },
    } | changes  # fmt: skip
    record = records.Record(
        kind="evaluation", profile=profile.name, source=profile.settings.source.name, training=name, values=values,
        provenance=PROVENANCE,
    )  # fmt: skip
    records.write(profile.record(name), record)
    return answers


def test_what_is_written_can_be_read_and_followed_back(profile):
    answers = {name: evaluate(profile, name) for name in profile.settings.trainings}
    results, verdicts = compare(profile, "replicate compare")
    assert Results.model_validate(json.loads((profile.reports / "results.json").read_text())) == results
    assert Verdicts.model_validate(json.loads((profile.reports / "verdicts.json").read_text())) == verdicts
    assert results.provenance.command == "replicate compare"

    labels = np.arange(PICTURES) % CLASSES
    base = results.groups["base"]
    tops = [100 * np.mean(answers[f"base-{seed}"]["ten"].argmax(1) != labels) for seed in (1, 2, 3)]
    assert base.seeds == [1, 2, 3] and base.differences == {}
    assert base.errors["ten.top1"].values == pytest.approx(tops)
    assert base.errors["ten.top1"].mean == pytest.approx(np.mean(tops))
    mean = np.mean([answers[f"base-{seed}"]["ten"] for seed in (1, 2, 3)], axis=0)
    assert base.ensemble["ten.top1"] == pytest.approx(100 * np.mean(mean.argmax(1) != labels))
    assert base.ensemble["ten.top1"] < min(tops)  # independent answers gain from averaging

    off = results.groups["lrn-off"]
    alone = 100 * np.mean(answers["lrn-off-1"]["ten"].argmax(1) != labels)
    assert off.ensemble == {} and off.errors["ten.top1"].sd is None
    assert off.differences["ten.top1"].mean == pytest.approx(alone - np.mean(tops))
    assert off.differences["ten.top1"].low is None
    centres = [100 * np.mean(answers[f"base-{seed}"]["centre"].argmax(1) != labels) for seed in (1, 2, 3)]
    assert base.view_gain["top1"].values == pytest.approx(np.subtract(centres, tops))
    assert off.view_gain["top1"].low is None


def test_curves_kernels_and_neighbours_are_gathered_seed_by_seed(profile):
    results, _ = compare(profile, "replicate compare")
    base = results.groups["base"]
    assert base.curves["train_error"] == [[90, 45]] * 3 and base.curves["train_loss"][0] == [2.3, 1.15]
    assert results.groups["lrn-off"].curves["held_out_error"] == [[95 - len("lrn-off-1"), 47.5 - len("lrn-off-1")]]
    own = [kernels.describe(read_predictions(profile.predictions(f"base-{seed}")).conv1, towers=2) for seed in (1, 2, 3)]
    assert base.kernels["colour"].values == pytest.approx([one["colour"] for one in own])
    assert base.kernels["tower_p"].values == pytest.approx([one["tower_p"] for one in own])
    assert [one.mean for one in base.retrieval.precision["features"]] == NEAREST
    assert base.retrieval.pixel_rank[1].values == [NEAREST[1] + seed for seed in (1, 2, 3)]


def test_records_of_a_version_that_did_not_look_for_neighbours_are_read(profile):
    evaluate(profile, "base-2", retrieval=None)
    results, _ = compare(profile, "replicate compare")
    assert results.groups["base"].retrieval is None and results.groups["lrn-off"].retrieval is not None


def test_the_ensembles_that_claims_ask_for_average_so_many_seeds(profile):
    many = {f"base-{seed}": profile.settings.trainings["base-1"].model_copy(update={"seed": seed}) for seed in range(1, 7)}
    profile.settings = profile.settings.model_copy(update={"trainings": profile.settings.trainings | many})
    answers = {name: evaluate(profile, name) for name in profile.settings.trainings}
    results, _ = compare(profile, "replicate compare")
    of = claims()["table2-5cnn"].measure_arguments["of"]
    five = np.mean([answers[f"base-{seed}"]["ten"] for seed in range(1, 6)], axis=0)
    assert set(results.ensembles) == {members(of)}  # the one with pre-trained nets is not to be had
    assert results.ensembles[members(of)]["ten.top1"] == pytest.approx(100 * np.mean(five.argmax(1) != np.arange(PICTURES) % CLASSES))
    assert results.ensembles[members(of)]["ten.top1"] != results.groups["base"].ensemble["ten.top1"]  # of all six


def test_metrics_are_small_and_named_for_readers(profile):
    results, verdicts = compare(profile, "replicate compare")
    metrics = json.loads((profile.reports / "metrics.json").read_text())
    assert list(metrics) == ["base", "lrn-off", "claims"]
    assert metrics["base"]["ten views"]["top-1 error %"] == round(results.groups["base"].errors["ten.top1"].mean, 2)
    assert list(metrics["base"]["centre view"]) == ["top-1 error %", "top-5 error % (chance 50)"]  # of ten classes
    assert sum(metrics["claims"].values()) == len(verdicts.verdicts)


def test_five_classes_have_no_top5(profile):
    for name in profile.settings.trainings:
        found = records.read(profile.record(name))
        with np.load(profile.predictions(name)) as file:
            arrays = dict(file)
        arrays |= {"labels": arrays["labels"] % 5, "classes": arrays["classes"][:5]}
        arrays |= {view: arrays[view][:, :5] for view in ("centre", "ten")}
        np.savez(profile.predictions(name), **arrays)
        errors = {view: error_rates(arrays[view], arrays["labels"]) for view in ("centre", "ten")}
        records.write(profile.record(name), found.model_copy(update={"values": found.values | {"errors": errors, "classes": 5}}))
    results, _ = compare(profile, "replicate compare")
    assert set(results.groups["base"].errors) == set(results.groups["base"].ensemble) == {"centre.top1", "ten.top1"}
    assert set(results.groups["base"].view_gain) == {"top1"}
    metrics = json.loads((profile.reports / "metrics.json").read_text())
    assert list(metrics["base"]["ten views"]) == ["top-1 error %"]


def test_records_of_other_trainings_are_left_alone(profile):
    evaluate(profile, "old-run-7", store="another")
    results, _ = compare(profile, "replicate compare")
    assert set(results.groups) == {"base", "lrn-off"}


def refused(profile, *parts):
    with pytest.raises(UserError) as error:
        compare(profile, "replicate compare")
    text = str(error.value)
    assert "\n" not in text and "run `" in text
    for part in parts:
        assert part in text
    assert not (profile.reports / "results.json").exists()


def test_a_missing_record_is_one_line(profile):
    profile.record("base-2").unlink()
    refused(profile, "records/base-2.json", "replicate evaluate base-2 --profile made-up")


def test_missing_predictions_are_one_line(profile):
    profile.predictions("lrn-off-1").unlink()
    refused(profile, "models/made-up/lrn-off-1/predictions.npz", "replicate evaluate lrn-off-1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "no log"),
        ("", "0 epochs, but the record of 'base-2' tells of 2"),
        (LOG + "1,2.3,90,95\n", "1 epochs, but the record of 'base-2' tells of 2"),
        (LOG + "1,2.3,90,95\n2,2.3,x,95\n", "not the log"),
        (LOG + "1,2.3,90,95\n2,2.3\n", "not the log"),
    ],
)
def test_a_log_that_is_missing_or_of_something_else_is_one_line(profile, text, fault):
    profile.log("base-2").unlink()
    if text is not None:
        profile.log("base-2").write_text(text)
    refused(profile, "logs/base-2.csv", fault, "replicate train base-2 --profile made-up")


def test_another_store_is_one_line(profile):
    evaluate(profile, "base-3", store="b")
    refused(profile, "base-1 and base-3", "stores")


def test_other_labels_are_one_line(profile):
    evaluate(profile, "base-3", labels=(np.arange(PICTURES) + 1) % CLASSES)
    refused(profile, "base-1 and base-3", "labels")


def test_another_seed_run_or_network_is_one_line(profile):
    for change in ({"seed": 9}, {"run": "no-crops"}, {"network": "tanh"}):
        evaluate(profile, "base-2", **change)
        refused(profile, "base-2.json", next(iter(change)))


def test_seeds_that_differ_in_more_than_the_seed_are_one_line(profile):
    evaluate(profile, "base-2", parameters=11)
    refused(profile, "parameters", "base-1, base-2, base-3")


def test_a_record_that_its_predictions_do_not_bear_out_is_one_line(profile):
    found = records.read(profile.record("base-2"))
    errors = found.values["errors"]
    errors["ten"]["top1"] -= 0.5  # one picture of 200
    records.write(profile.record("base-2"), found.model_copy(update={"values": found.values | {"errors": errors}}))
    refused(profile, "base-2", "not the predictions")


def test_a_record_of_another_profile_or_source_is_one_line(profile):
    found = records.read(profile.record("base-2"))
    for change in ({"source": "cifar10"}, {"profile": "demo"}, {"training": "base-1"}, {"kind": "bench"}):
        records.write(profile.record("base-2"), found.model_copy(update=change))
        refused(profile, "records/base-2.json")


def test_the_command_says_how_many_claims_got_which_verdict(tmp_path, monkeypatch):
    from replicate.commands.compare import command

    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["trainings"] = {name: params["trainings"][name] for name in ("base-1", "base-2")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in params["trainings"]:
        evaluate(load("demo"), name)
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0, done.output
    counts = json.loads((tmp_path / "reports" / "demo" / "metrics.json").read_text())["claims"]
    for word, number in counts.items():
        assert f"{number}  {word}" in done.output
    assert "agrees" in counts and "reports/demo" in done.output
    judged = {one["id"]: one["verdict"] for one in json.loads((tmp_path / "reports" / "demo" / "verdicts.json").read_text())["verdicts"]}
    of_trainings = [one.id for one in claims().values() if one.measure_name in SAMPLES | RUNS | SINGLES]
    drawn = {"agrees", "undecided", "same direction at smaller scale", "opposite direction"}
    assert of_trainings and not drawn & {judged[name] for name in of_trainings}
