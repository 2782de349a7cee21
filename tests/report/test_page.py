import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from replicate import settings
from replicate.commands import check_shapes
from replicate.commands.report import command
from replicate.errors import UserError
from replicate.networks import arithmetic, description
from replicate.report import page
from replicate.settings import Profile


class Reader(HTMLParser):
    """Tables of a page as rows of cells, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.loads: list[str] = []
        self._rows: list[list[str]] | None = None
        self._in_cell = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.loads += [v or "" for k, v in attributes if k in ("src", "href", "xlink:href", "srcset", "data")]
        if tag in ("script", "link", "iframe", "object", "embed"):
            self.loads.append(tag)
        if tag == "table":
            self._rows = self.tables[str(values["id"]).removeprefix("table-")] = []
        if tag == "tr" and self._rows is not None:
            self._rows.append([])
        if tag == "td" and self._rows is not None:
            self._rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False
        if tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._in_cell and self._rows is not None:
            self._rows[-1][-1] += data


@pytest.fixture
def reader(built: Path) -> Reader:
    read = Reader()
    read.feed(built.read_text())
    return read


def test_the_page_loads_nothing(built: Path, reader: Reader) -> None:
    assert [load for load in reader.loads if not load.startswith(("#", "data:image/png;base64,"))] == []
    assert not re.search(r"url\(\s*['\"]?(?!#)", built.read_text())
    assert "@import" not in built.read_text()


def test_the_twin_has_the_same_tables(built: Path, reader: Reader) -> None:
    twin = (built.parent / "README.md").read_text()
    grids = re.findall(r"(?:^\|.*\n)+", twin, flags=re.MULTILINE)
    assert len(grids) == len(reader.tables) >= 12
    for grid, (name, rows) in zip(grids, reader.tables.items(), strict=True):
        cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in grid.splitlines()[2:]]
        expected = [[cell.replace("\n", " ") for cell in row] for row in rows if row]
        plain = [[c.replace("\\|", "|").replace("`", "") for c in row] for row in cells]
        assert plain == expected, name


def test_tables_and_figures_are_files_too(built: Path, reader: Reader) -> None:
    folder = built.parent
    assert {path.stem for path in (folder / "tables").glob("*.csv")} == set(reader.tables)
    assert {path.stem for path in (folder / "tables").glob("*.md")} == set(reader.tables)
    linked = set(re.findall(r"\(figures/(.+?)\)", (folder / "README.md").read_text()))
    assert linked == {path.name for path in (folder / "figures").iterdir()} >= {"error-curves.svg", "kernels.svg", "ablations.svg"}


def test_the_note_is_in_every_part(built: Path) -> None:
    note = "Drawn pictures test the machinery and say nothing about the paper."
    parts = built.read_text().split("<section ")
    assert len(parts) == 14
    assert note in parts[0] and all(note in part for part in parts[2:])


def test_what_records_hold_is_escaped(built: Path) -> None:
    text = built.read_text()
    assert "a &lt;machine&gt; of two cores" in text and "<machine>" not in text


def test_only_agreement_is_green(built: Path) -> None:
    text = built.read_text()
    assert 'class="verdict not-run"' in text and 'class="verdict agrees"' in text
    assert re.findall(r"\.verdict\.([a-z-]+) \{ color: var\(--good\)", text) == ["agrees"]


def test_the_same_records_give_the_same_bytes_and_what_is_old_goes(built: Path, profile: Profile) -> None:
    old = profile.reports / "tables" / "older.csv"
    old.parent.mkdir()
    old.write_text("")
    page.build(profile)
    made, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (built.parent, profile.reports)
    )
    assert made == again


def test_without_predictions_the_kernels_are_said_to_be_missing(profile: Profile) -> None:
    profile.predictions("base-1").unlink()
    text = page.build(profile).read_text()
    assert "predictions of base-1 are not here" in text and "figure-kernels" not in text


def test_without_predictions_a_figure_that_git_kept_is_shown_again(profile: Profile) -> None:
    page.build(profile)
    drawn = profile.reports / "figures" / "kernels.svg"
    before = drawn.read_bytes()
    profile.predictions("base-1").unlink()
    text = page.build(profile).read_text()
    assert drawn.read_bytes() == before
    part = next(one for one in text.split("<section ") if "What the first layer learned" in one and "<svg" in one)
    assert "Mid-grey is a weight of zero" in part and "predictions of base-1 are not here" in part
    assert "16 kernels" not in part and "reports/demo/figures/kernels.svg" in part  # what was not read is not said
    assert "(figures/kernels.svg)" in (profile.reports / "README.md").read_text()


def test_a_missing_log_leaves_nothing_half_written(profile: Profile) -> None:
    profile.log("base-1").unlink()
    with pytest.raises(UserError, match="no log of 'base-1' yet; run `dvc repro`"):
        page.build(profile)
    assert not (profile.reports / "report.html").exists() and not (profile.reports / "tables").exists()


def test_the_command_builds_the_page(profile: Profile) -> None:
    done = CliRunner().invoke(command, [])
    assert done.output == "Report: reports/demo/report.html\n" and done.exit_code == 0


def test_the_command_prints_tables(clone: Path) -> None:
    done = CliRunner().invoke(command, ["--table", "params", "--network", "one-gpu", "--format", "json"])
    assert '"Parameters of the network one-gpu' in done.output
    assert "errors" in CliRunner().invoke(command, ["--list"]).output


def test_options_without_a_table_are_refused(clone: Path) -> None:
    done = CliRunner().invoke(command, ["--format", "csv"])
    assert isinstance(done.exception, UserError) and "--format goes with --table" in str(done.exception)


def test_without_results_there_is_no_page(clone: Path) -> None:
    done = CliRunner().invoke(command, [])
    assert isinstance(done.exception, UserError) and "run `dvc repro`" in str(done.exception)
    assert not (settings.load("demo").reports / "report.html").exists()


def test_check_shapes_passes_on_what_is_published() -> None:
    done = CliRunner().invoke(check_shapes.command, [])
    assert done.exit_code == 0, done.output
    assert "paper: 60,965,224 parameters" in done.output and "the paper is off" in done.output


def test_check_shapes_names_the_layer_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = description.load("paper")
    wrong = [layer.model_copy(update={"out": 380}) if layer.name == "conv3" else layer for layer in paper.layers]
    monkeypatch.setattr("replicate.networks.load", lambda name: paper.model_copy(update={"layers": wrong}))
    done = CliRunner().invoke(check_shapes.command, ["--network", "paper"])
    assert done.exit_code == 1 and "paper: OFF: conv3: output 380×13×13, published 384×13×13" in done.output
    assert arithmetic.faults(paper) == []
