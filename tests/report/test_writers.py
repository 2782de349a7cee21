import csv
import io
import json

import pandas
import pytest

from replicate.report import writers
from replicate.report.table import Column, Table


@pytest.fixture
def table() -> Table:
    return Table(
        name="odd",
        caption="Shares of 100 % in odd_names # one, two.",
        columns=[Column("name", "name"), Column("count", "count", format=",d"), Column("share", "share", "%", ".1f"), Column("says", "says")],
        rows=[
            {"name": "a_b & c", "count": 1234567, "share": 12.345, "says": "50 % | α × β # not a comment"},
            {"name": "", "count": None, "share": None, "says": None},
        ],
        note="From nowhere, 100 % made up.",
    )


def test_csv_is_read_back_by_pandas_with_raw_numbers(table: Table) -> None:
    read = pandas.read_csv(io.StringIO(writers.csv(table)), comment="#")
    assert list(read.columns) == ["name", "count", "share (%)", "says"]
    assert read["count"][0] == 1234567 and read["share (%)"][0] == 12.345
    assert read["says"][0] == "50 % | α × β # not a comment"
    assert pandas.isna(read["count"][1])


def test_csv_writes_whole_numbers_without_a_point(table: Table) -> None:
    rows = list(csv.reader(line for line in writers.csv(table).splitlines() if not line.startswith("#")))
    assert rows[1][1] == "1234567"


def test_json_is_read_back(table: Table) -> None:
    read = json.loads(writers.json(table))
    assert read["rows"] == table.rows
    assert read["columns"][2] == {"key": "share", "head": "share", "unit": "%"}


def test_latex_escapes_what_latex_would_read(table: Table) -> None:
    text = writers.latex(table)
    assert r"a\_b \& c" in text and r"50 \% | $\alpha$ $\times$ $\beta$ \# not a comment" in text
    assert r"odd\_names \# one" in text
    body = text.replace(r"\%", "").replace(r"\_", "").split("\n", 1)[1]
    assert "%" not in body and "_" not in body


def test_markdown_keeps_its_columns(table: Table) -> None:
    rows = [line for line in writers.markdown(table).splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
    assert "1,234,567" in rows[2]


def test_text_fits_its_width_and_aligns_numbers(table: Table) -> None:
    lines = writers.text(table, 50).splitlines()
    assert max(map(len, lines)) <= 50
    head = next(line for line in lines if line.startswith("name"))
    row = next(line for line in lines if line.startswith("a_b"))
    assert head.index("count") + len("count") == row.index("1,234,567") + len("1,234,567")


@pytest.mark.parametrize("name", writers.WRITERS)
def test_every_format_carries_caption_and_note(name: str, table: Table) -> None:
    text = " ".join(writers.WRITERS[name](table).replace("\\", "").split())
    assert "Shares of 100 % in" in text and "100 % made up." in text


@pytest.mark.parametrize("name", writers.WRITERS)
def test_every_format_writes_a_table_without_rows(name: str, table: Table) -> None:
    assert "Nothing" in writers.WRITERS[name](Table("empty", "Nothing.", table.columns, [], "Nowhere."))


def test_a_row_that_does_not_fit_the_columns_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="a row has"):
        Table("t", "", table.columns, [{"name": "x"}], "")
    with pytest.raises(ValueError, match="same key or head"):
        Table("t", "", [Column("a", "x"), Column("b", "x")], [], "")
