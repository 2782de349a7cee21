"""`replicate train --devices 2` as a user meets it: the same weights, going on with another number of devices, and deaths."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from replicate.errors import UserError
from replicate.modules.cpu import set_threads
from replicate.modules.towers import LostRank
from replicate.modules.weights import read
from replicate.networks import load
from replicate.training import LAUNCHED, devices
from replicate.training.devices import check, joined
from replicate.training.launch import said
from tests.conftest import free_port

pytestmark = pytest.mark.slow
CLOSE = 1e-5  # float32: towers and parts of a batch add the same numbers in another order
EQUAL = 1e-12  # the same in float64
WEIGHTS = Path("models", "demo", "base-1", "weights.safetensors")
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


def weights(clone: Path) -> dict:
    """Of the finished training, which is made anew by the next command."""
    path = clone / WEIGHTS
    tensors = {name: value.clone() for name, value in load_file(path).items()}
    path.unlink()
    return tensors


def apart(ours: dict, theirs: dict) -> float:
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def test_two_devices_end_with_the_weights_of_one(small_clone, monkeypatch):
    """All epochs, held-out pictures, checkpoints and the file included."""
    subprocess.run(TRAIN, check=True, capture_output=True)
    one = weights(small_clone)
    monkeypatch.setenv("REPLICATE_DEVICES", "2")  # what `dvc repro` hands on
    done = subprocess.run(TRAIN, check=True, capture_output=True, text=True)
    assert done.stdout.count("weights in") == 1
    assert apart(one, weights(small_clone)) < CLOSE


def test_begun_on_one_device_it_ends_on_four_with_the_same_weights(small_clone):
    """SIGTERM keeps what was learned, in one line; the checkpoint is the whole network's; one device evaluates the end."""
    text = (small_clone / "params.yaml").read_text().replace("epochs: 2 ", "epochs: 12 ")
    (small_clone / "params.yaml").write_text(text)
    train = [str(Path(__file__).with_name("float64.py")), "train", "base-1"]
    subprocess.run([sys.executable, *train], check=True, capture_output=True)
    whole = weights(small_clone)
    trainer = subprocess.Popen([sys.executable, *train], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    trainer.stdout.readline()
    trainer.terminate()
    _, error = trainer.communicate(timeout=120)
    assert trainer.returncode == 1 and error.count("\n") == 1 and "goes on from there" in error
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    rest = subprocess.run([*torchrun, *train], check=True, capture_output=True, text=True)
    assert "goes on after epoch" in rest.stdout
    subprocess.run([sys.executable, "-m", "replicate", "evaluate", "base-1"], check=True, capture_output=True)
    _, header = read(small_clone / WEIGHTS)
    device, ended = header["trained"]["device"], weights(small_clone)
    assert {tensor.dtype for tensor in ended.values()} == {torch.float64}
    assert device == "cpu, then 4 x cpu (towers 2, parts of the batch 2)"
    assert apart(whole, ended) < EQUAL


def test_two_devices_that_are_stopped_keep_what_was_learned(endless):
    for turn in range(2):
        trainer = endless("--devices", "2")
        assert ("goes on after epoch" in trainer.first) == (turn > 0)
        trainer.terminate()
        _, error = trainer.communicate(timeout=120)
        assert trainer.returncode == 1 and error.count("\n") == 1 and "what was learned is kept" in error


@NEEDS_PROC
def test_a_process_that_dies_stops_the_others_and_is_named(endless):
    trainer = endless("--devices", "2")
    os.kill(trainer.ranks[1], signal.SIGKILL)
    _, error = trainer.communicate(timeout=60)
    assert trainer.returncode == 1 and error.count("\n") == 1 and "process 1 was killed (SIGKILL)" in error


@NEEDS_PROC
def test_processes_that_outlive_their_starter_hold_the_lock(endless):
    """As when `dvc` is killed: what it started trains on, and a second trainer is refused in one line, whose advice helps."""
    trainer = endless("--devices", "2")
    os.kill(trainer.pid, signal.SIGKILL)
    trainer.wait()
    second = subprocess.run(TRAIN, capture_output=True, text=True)
    assert second.returncode == 1 and second.stderr.count("\n") == 1
    assert "already running" in second.stderr and f"kill {trainer.ranks[0]}" in second.stderr
    os.kill(trainer.ranks[0], signal.SIGTERM)
    _, error = trainer.communicate(timeout=120)  # all have ended that could write there
    assert "what was learned is kept" in error and {line[:7] for line in error.splitlines()} == {"Error: "}


@pytest.fixture
def started(monkeypatch):
    """This process as torchrun would have started it, by which nothing listens."""
    threads = torch.get_num_threads()
    told = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    for name, value in (told | {"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_USE_AGENT_STORE": "True"}).items():
        monkeypatch.setenv(name, value)
    yield
    set_threads(threads)


def test_a_process_whose_starter_is_gone_does_not_wait_for_it_long(started, monkeypatch):
    monkeypatch.setattr(devices, "MEETING", 1)
    with pytest.raises(LostRank, match=r"^process 1: lost another of this work's processes \("), joined(load("demo")):
        pass


def test_a_process_that_outlives_its_starter_before_it_joins_ends_at_once(started, monkeypatch):
    monkeypatch.setenv(LAUNCHED, str(os.getpid()))  # which is not its parent
    with pytest.raises(UserError, match="process 1: the one that started it is gone; run the same command again"), joined(load("demo")):
        pass


def test_a_scheduler_that_says_half_of_what_torchrun_says_is_a_line(started, monkeypatch):
    monkeypatch.delenv("RANK")
    with pytest.raises(UserError, match="2 processes, but RANK is not set: start them by torchrun, or unset WORLD_SIZE"), joined(load("demo")):
        pass


def test_devices_are_taken_where_a_scheduler_calls_this_process_the_only_one(small_clone, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    subprocess.run([*TRAIN, "--devices", "4"], check=True, capture_output=True)
    assert read(small_clone / WEIGHTS)[1]["trained"]["device"] == "4 x cpu (towers 2, parts of the batch 2)"


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


def failure(folder: Path, rank: int, exitcode: int, at: int, message: str | None) -> ProcessFailure:
    """As the launcher finds one: what the process handed over lies in a file."""
    path = folder / f"{rank}.json"
    if message:
        path.write_text(json.dumps({"message": {"message": message, "extraInfo": {"timestamp": at}}}))
    one = ProcessFailure(rank, 1000 + rank, exitcode, str(path))
    one.timestamp = at
    return one


def test_the_first_that_failed_by_itself_is_named(tmp_path):
    lost = "LostRank: process 0: lost another"
    cases = [
        ((0, 1, 5, lost), (1, 1, 6, "UserError: own reason"), "own reason"),
        ((0, 1, 5, lost), (1, -9, 6, None), "process 1 was killed (SIGKILL)"),
        ((0, -9, 40, None), (1, 1, 6, "UserError: own reason"), "own reason"),  # the launcher's patience with 0 ended
        ((0, -15, 5, None), (1, 1, 6, None), "process 1 failed"),
        ((0, 1, 5, lost), (1, 1, 6, None), "process 1 failed"),
    ]
    for number, (*died, expected) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert expected in said("base-1", {one[0]: failure(folder, *one) for one in died}, "")
