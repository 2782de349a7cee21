"""The errata are the verdicts', and the claims can be cut down to a section or a status."""

import pytest

from replicate.errors import UserError
from replicate.evidence.measures import DERIVED
from replicate.paper import claims
from replicate.report import data, tables
from replicate.report.tables_errata import DONE, ITSELF


def test_every_statement_that_is_off_is_a_row_and_no_other(finished):
    rows = {row["claim"]: row for row in tables.build("errata", profile=finished).rows}
    verdicts = {one.id: one for one in data.verdicts(finished)}
    off = {name for name, one in verdicts.items() if one.verdict in ("paper is off", "differs")}
    otherwise = {claim.id for claim in claims().values() if (claim.status_2012 or "").endswith("differs")}
    assert set(rows) == off | otherwise
    for name, row in rows.items():
        assert (row["kind"] == ITSELF) == (verdicts[name].verdict == "paper is off")
        assert (row["kind"] == DONE) == (name not in off)
        if row["kind"] == ITSELF:
            claim = claims()[name]
            assert row["correct"] == verdicts[name].measured
            assert all(step in row["how"] for step in DERIVED[claim.measure_name](**claim.measure_arguments).steps)
        elif row["kind"] == DONE:
            assert row["correct"] is None and row["code_2012"]


def test_the_known_slips_are_there(finished):
    rows = {row["claim"]: row for row in tables.build("errata", profile=finished).rows}
    for name in ("fig2-neurons-1", "each-conv-at-most-1pct", "augmentation-2048", "relu-every-layer", "colour-pca-formula"):
        assert rows[name]["kind"] == ITSELF
    assert "differs" in claims()["lrn-formula-sum"].status_2012 and rows["lrn-formula-sum"]["kind"] == DONE


def ids(finished, **chosen):
    return [row["id"] for row in tables.build("claims", profile=finished, **chosen).rows]


def test_claims_of_a_section_and_its_parts(finished):
    whole = ids(finished, section="3")
    for part in ("3.1", "3.2", "3.3", "3.4", "3.5"):
        own = ids(finished, section=part)
        assert own and set(own) < set(whole)
    assert "lrn-gain" in ids(finished, section="3.3") and "pool-gain" not in ids(finished, section="3.3")
    assert "lrn-over-all-kernels" in ids(finished, section="3.2")  # 3.3 against 3.2
    assert all("fig. 2" in claims()[name].place for name in ids(finished, section="fig. 2"))
    assert not set(ids(finished, section="1")) & set(ids(finished, section="footnote 2"))


def test_claims_with_a_status(finished):
    assert set(ids(finished, status="paper is off")) == {
        one.id for one in data.verdicts(finished) if one.verdict == "paper is off"
    }
    of_2012 = ids(finished, status="log agrees")
    assert of_2012 and all(claims()[name].status_2012 == "log agrees" for name in of_2012)
    assert ids(finished, status="paper is off", section="4.1") == ["augmentation-2048", "colour-pca-formula"]
    assert "section 4.1, status 'paper is off'" in tables.build("claims", profile=finished, status="paper is off", section="4.1").caption


def test_an_unknown_section_names_the_known_ones(finished):
    with pytest.raises(UserError, match=r"no statement stands in section '8'; known: 1, 2, 3, 3\.1"):
        tables.build("claims", profile=finished, section="8")


def test_other_tables_cannot_be_cut_down(finished):
    with pytest.raises(UserError, match="--section goes with --table claims"):
        tables.build("score", profile=finished, section="3")
