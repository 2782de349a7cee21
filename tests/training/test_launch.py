"""`replicate train --devices 2` as a user meets it: the same weights, going on with another number of devices, and deaths."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from safetensors.torch import load_file

from replicate.errors import UserError
from replicate.networks import load
from replicate.training.devices import check

pytestmark = pytest.mark.slow
TRAIN = [sys.executable, "-m", "replicate", "train", "base-1"]


NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")


@pytest.fixture
def endless(small_clone):
    """A clone whose training takes longer than a test; whatever still trains is killed at the end."""
    text = (small_clone / "params.yaml").read_text().replace("epochs: 2 ", "epochs: 4000 ")
    (small_clone / "params.yaml").write_text(text)
    started: list[subprocess.Popen] = []

    def start(*options: str) -> subprocess.Popen:
        """A trainer that has reported `goes on` or an epoch."""
        trainer = subprocess.Popen([*TRAIN, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(trainer)
        trainer.first = trainer.stdout.readline()
        trainer.ranks = children(trainer)
        return trainer

    yield start
    for pid in [pid for trainer in started for pid in (trainer.pid, *trainer.ranks)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for trainer in started:
        trainer.communicate()


def children(trainer: subprocess.Popen) -> list[int]:
    """The processes that a trainer started, by rank: they are started in order."""
    listed = Path(f"/proc/{trainer.pid}/task/{trainer.pid}/children")
    found = listed.read_text().split() if listed.exists() else []
    return sorted(int(pid) for pid in found if "replicate" in Path(f"/proc/{pid}/cmdline").read_text())


def test_two_devices_end_with_the_weights_of_one(small_clone):
    """All epochs, checkpoints and the file included. The bound is what 20 updates in float32 may differ by."""
    path, ends = small_clone / "models/demo/base-1/weights.safetensors", []
    for options in ([], ["--devices", "2"]):
        done = subprocess.run([*TRAIN, *options], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("weights in") == 1, done.stderr
        ends.append(load_file(path))
        path.unlink()
    one, two = ends
    assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in two.items()}
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5


def test_what_two_devices_began_one_goes_on_with_and_back(endless):
    """SIGTERM keeps what was learned, in one line; the checkpoint is the whole network's, whatever wrote it."""
    for turn, devices in enumerate(("2", "1", "2")):
        trainer = endless("--devices", devices)
        assert ("goes on after epoch" in trainer.first) == (turn > 0)
        trainer.stdout.readline()
        trainer.terminate()
        _, error = trainer.communicate(timeout=120)
        assert trainer.returncode == 1 and error.count("\n") == 1 and "goes on from there" in error


@NEEDS_PROC
def test_a_process_that_dies_stops_the_others_and_is_named(endless):
    trainer = endless("--devices", "2")
    os.kill(trainer.ranks[1], signal.SIGKILL)
    died = time.monotonic()
    _, error = trainer.communicate(timeout=60)
    assert trainer.returncode == 1 and error.count("\n") == 1 and "process 1 was killed (SIGKILL)" in error
    assert time.monotonic() - died < 60


@NEEDS_PROC
def test_processes_that_outlive_their_starter_hold_the_lock(endless):
    """As when `dvc` is killed: what it started trains on, and a second trainer is refused in one line."""
    trainer = endless("--devices", "2")
    os.kill(trainer.pid, signal.SIGKILL)
    trainer.wait()
    second = subprocess.run(TRAIN, capture_output=True, text=True)
    assert second.returncode == 1 and second.stderr.count("\n") == 1
    assert "already running" in second.stderr and f"kill {trainer.ranks[0]}" in second.stderr


def test_networks_that_cannot_be_divided_are_refused():
    with pytest.raises(UserError, match="'demo' has 2 towers.* not 3"):
        check(load("demo"), 3, 3)
    demo = load("demo")
    across = [one.model_copy(update={"scope": "layer"}) if one.name == "lrn2" else one for one in demo.layers]
    with pytest.raises(UserError, match="lrn2 normalises across the towers"):
        check(demo.model_copy(update={"layers": across}), 2, 2)


def test_two_processes_on_one_gpu_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="2 processes on this machine and 1 GPU"):
        check(load("demo"), 2, 2)
    check(load("demo"), 2, 1)
