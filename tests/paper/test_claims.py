"""The registry refuses what would make it say less than it seems to."""

import pytest
import yaml

from replicate.errors import UserError
from replicate.paper import claims, readings
from replicate.paper.claims import GONE, load

ENTRY = {
    "id": "a",
    "place": "3.1",
    "says": "Something.",
    "value": 2.0,
    "unit": "points",
    "kind": "arithmetic",
    "needs": ["nothing"],
    "tolerance": "exact",
    "measure": {"neurons": {"network": "paper"}},
}


def loaded(tmp_path, *entries):
    file = tmp_path / "claims.yaml"
    file.write_text(yaml.safe_dump(list(entries)))
    return load(file)


def test_a_plain_entry_is_read(tmp_path):
    assert loaded(tmp_path, ENTRY)["a"].tolerance.exact


@pytest.mark.parametrize(
    "change", [{"kind": "cited"}, {"needs": ["gtx580"]}, {"held_by": "tests/paper/test_claims.py::test_a_plain_entry_is_read"}]
)
def test_what_is_quoted_gone_or_held_by_a_test_needs_no_measure(tmp_path, change):
    assert loaded(tmp_path, ENTRY | {"measure": None} | change)["a"].measure_name is None


def test_a_place_is_several():
    claim = claims()["lrn-over-all-kernels"]
    assert claim.places == ["3.3", "3.2"]
    assert claim.stands_in("3") and claim.stands_in("3.2") and not claim.stands_in("3.1") and not claim.stands_in("2")
    assert {"6", "footnote 5", "table 1"} == set(claims()["ten-views-gain"].places)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"verdict": "holds"}, "a: verdict: unknown key"),
        ({"tolerance": {"rel": 0.1}}, "tolerance other than exact needs one"),
        ({"tolerance": {"rel": 0.1}, "reason": ""}, "tolerance other than exact needs one"),
        ({"tolerance": {"rel": 0.1, "abs": 1}, "reason": "two"}, "exactly one"),
        ({"tolerance": "about"}, "tolerance"),
        ({"tolerance": {"rel": -1}, "reason": "negative"}, "tolerance"),
        ({"tolerance": {"range": [2, 1]}, "reason": "reversed"}, "above the second"),
        ({"kind": "hearsay"}, "kind"),
        ({"needs": []}, "needs"),
        ({"needs": ["imagnet"]}, "needs"),
        ({"needs": ["nothing", "cifar10"]}, "needs"),
        ({"measure": {"parameters": {}, "neurons": {}}}, "measure"),
        ({"value": None}, "there is none"),
        ({"measure": None}, "nothing decides it"),
        ({"held_by": "tests/test_a.py::test_b"}, "there is a measure"),
        ({"measure": None, "held_by": "tests/test_a.py"}, "held_by"),
        ({"status_2012": "code differs"}, "code_2012 must say"),
        ({"code_2012": "Otherwise.", "status_2012": "wrong"}, "status_2012"),
        ({"value": float("nan")}, "not a number"),
        ({"says": ""}, "says"),
    ],
)
def test_a_faulty_entry_is_one_line(tmp_path, change, fault):
    with pytest.raises(UserError, match=r"^claims\.yaml: ") as error:
        loaded(tmp_path, ENTRY | change)
    assert fault in str(error.value) and "\n" not in str(error.value)


def test_an_id_given_twice_is_an_error(tmp_path):
    with pytest.raises(UserError, match="'a' twice"):
        loaded(tmp_path, ENTRY, ENTRY)


def test_a_key_given_twice_is_an_error(tmp_path):
    file = tmp_path / "claims.yaml"
    file.write_text("- id: a\n  value: 1\n  value: 2\n")
    with pytest.raises(UserError, match="twice"):
        load(file)


def test_the_registry_covers_the_paper():
    found = claims()
    assert len(found) >= 150
    places = {place for claim in found.values() for place in claim.places}
    for place in (
        "abstract",
        "3.1",
        "3.2",
        "3.3",
        "3.4",
        "3.5",
        "4.1",
        "4.2",
        "table 1",
        "table 2",
        "fig. 1",
        "fig. 2",
        "fig. 3",
        "fig. 4",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "6.1",
        "7",
    ):
        assert place in places
    assert {claim.kind for claim in found.values()} == {
        "exact",
        "arithmetic",
        "timing",
        "statistical",
        "qualitative",
        "cited",
    }


def test_statistical_claims_say_which_data_they_need():
    for claim in claims().values():
        if claim.kind == "statistical" and not set(claim.needs) & set(GONE):
            assert claim.full_scale or "imagenette" in claim.needs, claim.id


def test_readings_of_the_first_layer_have_names_of_their_own():
    assert len({reading.id for reading in readings()}) == len(readings()) >= 5
