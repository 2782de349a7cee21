"""The demo's pipeline as a user runs it, on few pictures: everything once, then nothing, then only what changed."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, small_params

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str, ok: bool = True) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not ok or done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone of what git tracks (and what it will), with the small demo's parameters, committed."""
    folder = tmp_path_factory.mktemp("repro") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start")
    return folder


@pytest.fixture(scope="module")
def reproduced(clone) -> Path:
    assert {"check", "prepare", "train@base-1", "evaluate@lrn-off-1", "report"} <= ran(run(clone, "dvc", "repro"))
    return clone


def test_the_report_is_there_and_git_sees_nothing_but_the_lock(reproduced):
    for name in ("report.html", "README.md", "results.json", "verdicts.json", "metrics.json", "records/base-1.json"):
        assert (reproduced / "reports" / "demo" / name).stat().st_size > 0, name
    assert run(reproduced, "git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_a_second_repro_does_nothing(reproduced):
    output = run(reproduced, "dvc", "repro")
    assert ran(output) == set() and "up to date" in output


def test_metrics_params_and_plots_can_be_read(reproduced):
    assert "base" in run(reproduced, "dvc", "metrics", "show")
    run(reproduced, "dvc", "params", "diff")
    assert "index.html" in run(reproduced, "dvc", "plots", "show")
    assert list((reproduced / "dvc_plots").rglob("*.svg"))


def test_every_training_s_numbers_are_in_a_record(reproduced):
    reports = reproduced / "reports" / "demo"
    results = json.loads((reports / "results.json").read_text())
    for group in results["groups"].values():
        for key, estimate in group["errors"].items():
            view, error = key.split(".")
            records = [json.loads((reports / "records" / f"{t}.json").read_text()) for t in group["trainings"]]
            assert estimate["values"] == [record["values"]["errors"][view][error] for record in records]


def documented() -> list[str]:
    """The commands in the code blocks of every README, without comments."""
    found = []
    for path in (ROOT / "README.md", *ROOT.glob("pipelines/*/README.md")):
        for line in path.read_text().splitlines():
            command = line.split("#")[0].strip()
            if line.startswith("    ") and command.startswith(("replicate ", "dvc ")):
                found.append(command)
    return found


def test_the_readmes_have_commands():
    assert len(documented()) > 10


@pytest.mark.parametrize("command", sorted(set(documented())))
def test_every_documented_command_runs(command, reproduced):
    """Of pipelines on pictures that are not here, the stages that the command names must exist."""
    if match := re.search(r"(pipelines/\w+)/dvc.yaml(?::([\w@-]+))?", command):
        stages = run(reproduced / match[1], "dvc", "stage", "list", "--name-only").split()
        assert match[2] is None or match[2] in stages
    elif "--profile imagenette" in command and not (ROOT / "reports/imagenette/results.json").exists():
        pytest.skip("no committed results of imagenette")
    else:
        assert run(reproduced, "bash", "-c", command).strip()


def test_completion_as_documented(reproduced):
    assert "_REPLICATE_COMPLETE=bash_source replicate" in (ROOT / "README.md").read_text()
    assert "complete" in run(reproduced, "bash", "-c", "_REPLICATE_COMPLETE=bash_source replicate")


def test_one_network_s_file_re_runs_its_trainings_only(reproduced):
    path = reproduced / "replicate" / "networks" / "demo-no-lrn.yaml"
    before = path.read_text()
    path.write_text(before + "# touched\n")
    again = ran(run(reproduced, "dvc", "repro"))
    path.write_text(before)
    assert {s for s in again if "@" in s} <= {"train@lrn-off-1", "evaluate@lrn-off-1"} and "train@lrn-off-1" in again
    assert not again & {"check", "source", "prepare", "pca"}
    run(reproduced, "dvc", "repro")


def test_one_ablation_s_parameter_re_runs_only_what_depends_on_it(reproduced):
    path = reproduced / "params.yaml"
    before = path.read_text()
    params = yaml.safe_load(before)
    params["trainings"]["lrn-off-1"]["run"] = "no-crops"
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    again = ran(run(reproduced, "dvc", "repro"))
    path.write_text(before)
    assert {s for s in again if "@" in s} == {"train@lrn-off-1", "evaluate@lrn-off-1"}
    assert {"compare", "report"} <= again and not again & {"source", "prepare", "pca"}
    assert not ran(run(reproduced, "dvc", "repro")) & {"source", "prepare", "pca", "train@base-1"}


def test_a_wrong_value_is_refused_and_nothing_is_lost(reproduced):
    path = reproduced / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("momentum: 0.9", "momentum: 1.9"))
    output = run(reproduced, "dvc", "repro", ok=False)
    path.write_text(before)
    assert re.search(r"Error: params.yaml: recipe.momentum: must be below 1, is 1\.9", output)
    assert (reproduced / "data" / "demo" / "store" / "manifest.json").exists()
    assert (reproduced / "models" / "demo" / "base-1" / "weights.safetensors").exists()


def test_killed_in_the_middle_repro_goes_on(reproduced):
    """`kill -9` of a trainer whose checkpoint is there: the next `dvc repro` says that it goes on."""
    path = reproduced / "params.yaml"
    before = path.read_text()
    params = yaml.safe_load(before)
    params["recipe"]["schedule"]["epochs"] = 60
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    repro = subprocess.Popen(
        ["dvc", "repro", "train@base-2"], cwd=reproduced, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    checkpoint = reproduced / ".replicate" / "checkpoints" / "demo" / "base-2" / "checkpoint.safetensors"
    end = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(repro.pid, signal.SIGKILL)
    repro.wait()
    assert checkpoint.exists()
    output = run(reproduced, "dvc", "repro", "train@base-2")
    assert "base-2: goes on after epoch" in output and not checkpoint.exists()
    path.write_text(before)


def test_a_dead_dvc_s_trainer_is_not_joined_by_a_second(reproduced):
    """Killing `dvc` leaves its trainer running: the next one is refused in one line."""
    path = reproduced / "params.yaml"
    before = path.read_text()
    params = yaml.safe_load(before)
    params["recipe"]["schedule"]["epochs"] = 5000
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    trainer = subprocess.Popen(
        ["replicate", "train", "base-1"], cwd=reproduced, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert "epoch 1" in trainer.stdout.readline()
    output = run(reproduced, "dvc", "repro", "train@base-1", ok=False)
    trainer.kill()
    trainer.wait()
    path.write_text(before)
    shutil.rmtree(reproduced / ".replicate" / "checkpoints")
    assert "already running" in output and "Traceback" not in output


@pytest.mark.skipif(not (ROOT / "dvc.lock").exists(), reason="no dvc.lock committed yet")
def test_drawing_store_and_pca_are_the_same_on_every_machine(tmp_path, clone):
    """The committed dvc.lock holds their hashes; here they are made anew with the demo's own parameters."""
    folder = tmp_path / "whole"
    shutil.copytree(clone, folder, ignore=shutil.ignore_patterns("data", "models", "reports", ".replicate", "cache", "tmp"))
    shutil.copy(ROOT / "params.yaml", folder)
    run(folder, "dvc", "repro", "pca")
    here, committed = (yaml.safe_load((at / "dvc.lock").read_text())["stages"] for at in (folder, ROOT))
    for stage in ("source", "prepare", "pca"):
        assert here[stage]["outs"] == committed[stage]["outs"], stage
