"""The lists beside the claims: loaders refuse what would make a table say less than it seems to; every name in them exists."""

import pytest
import yaml

from replicate.errors import UserError
from replicate.networks import load, names
from replicate.networks.description import aliases
from replicate.paper import claims, comparison, ensembles, folklore, reproductions, runs
from replicate.paper.entries import entries

RESULT = {"data": "ILSVRC-2012", "split": "validation", "views": "ten", "top1": 0.4, "top5": 0.2}
RUN = {"run": "a", "what": "b", "file": "c"}
LISTS = [  # the model, the key that must be unique, an entry that it takes
    (runs.Run, "run", RUN | {"results": [RESULT]}),
    (runs.Pair, "what", {"what": "a", "run": "145", "less": "148", "data": "ILSVRC-2012", "split": "validation", "views": ["ten", "ten"]}),
    (ensembles.Ensemble, "name", {"name": "a", "claim": "table2-1cnn", "members": [{"run": "145"}]}),
    (reproductions.Reproduction, "who", {"who": "a", "reported": "error", "centre": {"top1": 40.0}, "source": "b"}),
    (comparison.Item, "item", {"item": "a", "read": {"kernels": {}}, "evidence": "b"}),
    (folklore.Tale, "says", {"says": "a", "verdict": "wrong", "right": "b", "shown_by": {"citation": {"source": "c"}}}),
]  # fmt: skip
ENTRIES = {model.__name__: (model, key, entry) for model, key, entry in LISTS}


def loaded(tmp_path, model, key, *listed):
    file = tmp_path / "list.yaml"
    file.write_text(yaml.safe_dump(list(listed)))
    return entries(file, model, key)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_plain_entry_is_read_and_an_unknown_key_or_a_second_one_of_that_name_refused(tmp_path, name):
    model, key, entry = ENTRIES[name]
    assert len(loaded(tmp_path, model, key, entry)) == 1
    with pytest.raises(UserError, match="colour: unknown key"):
        loaded(tmp_path, model, key, entry | {"colour": "red"})
    with pytest.raises(UserError, match="twice"):
        loaded(tmp_path, model, key, entry, entry)
    with pytest.raises(UserError, match=f"{key}: missing"):
        loaded(tmp_path, model, key, {k: v for k, v in entry.items() if k != key})


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("Run", {"network": "code145", "parameters": 5}, "must not be typed"),
        ("Run", {"results": [RESULT, RESULT]}, "same pictures and views"),
        ("Run", {"results": [RESULT | {"top1": 40.0}]}, "top1"),  # a percentage where logs have shares
        ("Run", {"results": [RESULT | {"claim": "table2-one"}]}, "no claim has this id"),
        ("Ensemble", {"claim": "table3"}, "no claim has this id"),
        ("Ensemble", {"members": [{"run": "999"}]}, "no such run"),
        ("Ensemble", {"file": "preds-145-148.txt", "members": [{"run": "131", "as": "131"}]}, "does not have '131'"),
        ("Ensemble", {"file": "preds-145f.txt", "members": [{"run": "145", "as": "145"}]}, "does not have '145'"),
        ("Reproduction", {"reported": "hearsay"}, "reported"),
        ("Reproduction", {"centre": None}, "give centre, ten or unstated"),
        ("Reproduction", {"centre": {"top1": 140.0}}, "centre.top1"),
        ("Item", {"values": {"paper": "a"}}, "either read or values"),
        ("Item", {"read": None}, "either read or values"),
        ("Item", {"read": None, "values": {"paper": "128 pictures"}}, "name the claim"),
        ("Item", {"read": None, "values": {"paper": {"claim": "batch-size", "words": "128"}}}, "the claim has the number"),
        ("Item", {"read": None, "values": {"paper": {"claim": "batches"}}}, "no claim has this id"),
        ("Item", {"read": None, "values": {"code145": {"stopped": ["149"]}}}, "does not say when run '149' stopped"),
        ("Item", {"read": None, "values": {"alexnet": "a"}}, "alexnet"),
        ("Tale", {"verdict": "false"}, "verdict"),
        ("Tale", {"shown_by": {}}, "shown_by"),
    ],
)
def test_a_faulty_entry_is_one_line_with_file_and_entry(tmp_path, name, change, fault):
    model, key, entry = ENTRIES[name]
    with pytest.raises(UserError, match=r"^list\.yaml: a: ") as error:
        loaded(tmp_path, model, key, entry | change)
    assert fault in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    file = tmp_path / "list.yaml"
    file.write_text("a: b\n")
    with pytest.raises(UserError, match=r"list\.yaml: must be a list"):
        entries(file, folklore.Tale, "says")


def test_every_network_that_is_named_exists():
    known = {*names(), *aliases()}
    named = {run.network for run in runs.runs().values()} | {one.network for one in reproductions.reproductions()}
    assert named - {None} <= known
    assert set(comparison.COLUMNS) <= known


def test_errors_with_ten_views_are_whole_numbers_of_pictures():
    pictures = {
        ("ILSVRC-2010", "test"): claims()["test-150k"].value,
        ("ILSVRC-2010", "validation"): claims()["val-50k"].value,
        ("ILSVRC-2012", "validation"): claims()["val-50k"].value,
    }
    checked = 0
    for run in runs.runs().values():
        for one in run.results:
            if one.views == "ten":
                n = pictures[one.data, one.split]
                for error in (one.top1, one.top5):
                    assert round(error * n) / n == pytest.approx(error, abs=6e-7), run.run
                checked += 1
    assert checked > 20


def test_only_nets_that_no_list_of_layers_describes_have_typed_counts():
    """Five convolutions or six, 1000 classes or 10,184: what the low-resolution branch changes is the same everywhere."""
    typed = {run.parameters for run in runs.runs().values() if run.parameters}
    assert not typed & {load(name).published.parameters for name in names() if load(name).published}
    six, five = runs.runs()["141"].parameters, runs.runs()["137"].parameters
    described = {name: load(name).published.parameters for name in ("code145", "code146")}
    assert six - five == described["code146"] - described["code145"]


def test_differences_are_of_runs_on_the_same_pictures():
    for pair in runs.pairs():
        top1, top5 = runs.difference(pair)
        assert abs(top1) < 5 and abs(top5) < 5, pair.name
        assert (pair.run, pair.views[0]) != (pair.less, pair.views[1])


def test_an_accuracy_becomes_an_error():
    entry = {"who": "a", "source": "b", "centre": {"top1": 57.1}}
    accuracy, error = (reproductions.Reproduction(reported=word, **entry) for word in ("accuracy", "error"))
    assert accuracy.error("centre", "top1") == 42.9 and error.error("centre", "top1") == 57.1
    assert accuracy.error("centre", "top5") is None and accuracy.error("ten", "top1") is None
