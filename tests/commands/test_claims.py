"""The commands about the paper's claims: explain, the filters of report, count-devkit."""

import pytest
from click.testing import CliRunner

from replicate.commands.main import cli
from replicate.errors import UserError
from replicate.paper import claims
from tests.conftest import ROOT
from tests.pictures.test_devkit import kit, members


@pytest.fixture
def run(monkeypatch):
    """Runs a command in the clone; what it prints, with its exit status."""
    monkeypatch.chdir(ROOT)

    def invoked(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, arguments)
        if isinstance(done.exception, UserError):
            return 1, str(done.exception)
        return done.exit_code, done.output

    return invoked


def test_explain_prints_the_derivation(run):
    status, page = run("explain", "augmentation-2048")
    assert status == 0 and claims()["augmentation-2048"].says in page and "33×33×2" in page and "Verdict: paper is off" in page
    status, error = run("explain", "augmentation-2047")
    assert status == 1 and "did you mean 'augmentation-2048'" in error


def test_claims_are_chosen_by_status_and_section(run):
    status, table = run("report", "--table", "claims", "--status", "paper is off", "--section", "3.3", "--format", "csv")
    assert status == 0 and "lrn-over-all-kernels" in table and "lrn-gain" not in table and "fig2-sum" not in table


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--table", "claims", "--status", "off"), "'paper is off'"),
        (("--table", "claims", "--section", "8"), "known: 1, 2, 3"),
        (("--table", "score", "--section", "3"), "goes with --table claims"),
        (("--table", "folklore", "--profile", "nosuch"), "table 'folklore' is not of one profile; leave out --profile"),
        (("--table", "params", "--profile", "demo"), "leave out --profile"),
        (("--table", "score", "--profile", "imagenett"), "did you mean 'imagenet"),
        (("--section", "3"), "--section goes with --table NAME"),
    ],
)
def test_what_cannot_be_chosen_is_said(run, arguments, said):
    status, error = run("report", *arguments)
    assert status != 0 and said in error


def test_the_kit_is_counted_where_it_is(run, small_clone, tmp_path, monkeypatch):
    archive = kit(tmp_path / "kit.tar.gz", members())
    monkeypatch.chdir(small_clone)
    done = CliRunner().invoke(cli, ["count-devkit", str(archive)])
    assert done.exit_code == 0 and "train pictures: 24" in done.output and "test pictures: not in these files" in done.output
    assert str(tmp_path) not in (small_clone / "reports/paper/records/devkit.json").read_text()
