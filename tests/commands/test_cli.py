"""The command line: what a user can get wrong is one line that says what to do, and a non-zero exit."""

import subprocess
import sys

import pytest
import yaml

from replicate.commands.main import COMMANDS
from tests.conftest import ROOT


def replicate(*arguments: str, cwd=ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "replicate", *arguments], cwd=cwd, capture_output=True, text=True)


def refused(*arguments: str, cwd=ROOT) -> str:
    """The one line of an error that a user caused."""
    done = replicate(*arguments, cwd=cwd)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert len([row for row in done.stderr.splitlines() if row.startswith("Error")]) == 1
    return line


def test_version():
    assert "replicate, version" in replicate("--version").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    text = replicate(command, "--help").stdout
    assert text.startswith(f"Usage: replicate {command}") and len(text) > 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "base-9"], "unknown training of profile 'demo' 'base-9'"),
        (["train", "base-1", "--profile", "imagnet"], "did you mean 'imagenet'"),
        (["report", "--table", "parms"], "did you mean 'params'"),
        (["report", "--table", "params", "--network", "papre"], "did you mean 'paper'"),
        (["check", "shapes", "--network", "alexnet"], "unknown network 'alexnet'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(arguments, said):
    assert said in refused(*arguments)


def test_outside_a_clone(tmp_path):
    assert "not inside a clone" in refused("train", "base-1", cwd=tmp_path)


def test_tables_of_networks_need_no_clone(tmp_path):
    assert "fc6" in replicate("report", "--table", "params", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("recipe.momentum", 1.5, "recipe.momentum"),
        ("recipe.momentun", 0.9, "recipe.momentun: unknown key"),
        ("recipe.crop", 500, "larger than pictures.side"),
        ("recipe.crop", 8, "network 'demo'"),
        ("pictures.filter", "nearest", "pictures.filter"),
        ("baseline", "bass", "no training is called bass"),
        ("runs.base", {"momentum": 0.5}, "'base' must be there and empty"),
        ("runs.no-crops", {"crops": "diagonal"}, "runs.no-crops.crops: "),
        ("runs.no-crops", {"momentun": 0.5}, "runs.no-crops.momentun: unknown key"),
        ("runs.no-crops", {"crop": 60}, "runs.no-crops: crop 60 is larger than pictures.side"),
        ("trainings.base-1", {"run": "bse", "network": "demo", "seed": 1}, "no run 'bse'"),
        ("trainings.lrn-off-1", {"run": "base", "network": "dmo", "seed": 1}, "unknown network 'dmo'; did you mean 'demo'"),
        ("trainings.base-1", {"run": "base", "network": "demo", "seed": 2}, "ends in its seed"),
    ],
)
@pytest.mark.parametrize("stage", [["check", "params"], ["train", "base-1"]])
def test_every_stage_checks_the_whole_file_first(stage, key, value, said, tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    *path, last = key.split(".")
    at = params
    for part in path:
        at = at[part]
    at[last] = value
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    line = refused(*stage, cwd=tmp_path)
    assert said in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ["params.yaml", "pipelines"]


def test_stages_say_what_must_come_first(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    assert "replicate prepare" in refused("train", "base-1", cwd=tmp_path)
    assert "replicate prepare" in refused("evaluate", "base-1", cwd=tmp_path)
    assert "replicate evaluate" in refused("compare", cwd=tmp_path) or "dvc repro" in refused("compare", cwd=tmp_path)
    assert "dvc repro" in refused("report", cwd=tmp_path)
    assert "dvc repro" in refused("report", "--table", "errors", cwd=tmp_path)
