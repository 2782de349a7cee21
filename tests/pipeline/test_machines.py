"""One training on several machines, as pipelines/imagenet/README.md says it is done, tried with clones on this one."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.conftest import free_port
from tests.pipeline.page import LONG, block, end, run, start

pytestmark = pytest.mark.slow


def endless(*clones: Path) -> None:
    for clone in clones:
        path = clone / "pipelines/small/params.yaml"
        path.write_text(path.read_text().replace("epochs: 2 ", "epochs: 4000 "))


@contextmanager
def killed_at_the_end(*running: subprocess.Popen):
    """Yields the only or all of them, each a process group of its own."""
    try:
        yield running if len(running) > 1 else running[0]
    finally:
        for process in running:
            for pid in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate()


def descendants(pid: int) -> list[int]:
    """Of a process that was not waited for: itself and all that it started; torchrun gives its processes groups of their own."""
    children: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        children += map(int, listed.read_text().split())
    return [pid, *(d for child in children for d in descendants(child))]


@pytest.fixture
def two_clones(small_clone, tmp_path) -> tuple[Path, Path]:
    """Without git and DVC: the profile `small`, prepared."""
    (small_clone / "pipelines/small").mkdir()
    shutil.copy(small_clone / "params.yaml", small_clone / "pipelines/small")
    (small_clone / "data/demo").rename(small_clone / "data/small")
    return small_clone, shutil.copytree(small_clone, tmp_path / "other")


@pytest.fixture
def groups(two_clones):
    """Two clones; and a function that starts the page's `torchrun` in both, with one process each."""
    command = block("torchrun")
    assert "--nproc-per-node 2" in command
    command = command.replace("--nproc-per-node 2", "--nproc-per-node 1").replace("HOST:29400", f"localhost:{free_port()}")
    command = command.replace("torchrun", f"exec {sys.executable} -m torch.distributed.run")
    return two_clones, lambda: [start(clone, command) for clone in two_clones]


def test_clones_with_one_folder_of_checkpoints_share_the_lock(two_clones):
    one, other = two_clones
    endless(one, other)
    (one / ".replicate/checkpoints").mkdir(parents=True)
    (other / ".replicate").mkdir(exist_ok=True)
    (other / ".replicate/checkpoints").symlink_to(one / ".replicate/checkpoints")
    with killed_at_the_end(start(one, "replicate train base-1 --profile small")) as trainer:
        assert "epoch 1" in trainer.stdout.readline()
        refused = run(other, "replicate train base-1 --profile small", ok=False)
    assert re.fullmatch(r"Error: training 'base-1' of profile 'small' is already running .*\n", refused)


def test_two_groups_end_with_the_weights_of_one_process(groups):
    """The bound is what 20 updates in float32 may differ by."""
    clones, started = groups
    run(clones[0], "replicate train base-1 --profile small")
    (clones[0] / "models/small/base-1/weights.safetensors").rename(clones[0] / "alone.safetensors")
    running = started()
    outputs = end(*running)
    assert [process.returncode for process in running] == [0, 0], outputs
    (path,) = [path for clone in clones for path in clone.glob("models/small/*/weights.safetensors")]
    alone, together = load_file(clones[0] / "alone.safetensors"), load_file(path)
    assert alone.keys() == together.keys()
    assert max(float((alone[name] - together[name]).abs().max()) for name in alone) < 1e-5


def test_groups_with_other_settings_are_refused(groups):
    clones, started = groups
    endless(clones[1])
    running = started()
    outputs = end(*running)
    assert all(process.returncode for process in running)
    assert sum("Error: process 1 has settings, network or pictures other than process 0" in output for output in outputs) > 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_when_a_group_dies_the_other_stops_with_a_line(groups):
    clones, started = groups
    endless(*clones)
    with killed_at_the_end(*started()) as running:
        end_of_wait = time.monotonic() + LONG
        while not (saved := list(clones[0].parent.glob("*/.replicate/checkpoints/small/base-1/checkpoint.safetensors"))):
            assert time.monotonic() < end_of_wait and all(process.poll() is None for process in running)
            time.sleep(0.1)
        first = clones.index(saved[0].parents[4])  # whose process is number 0
        dies, stays = running[first], running[1 - first]
        for pid in descendants(dies.pid):
            os.kill(pid, signal.SIGKILL)
        output, _ = stays.communicate(timeout=LONG)
    assert stays.returncode
    assert re.search(r"^Error: process 1: lost another .* goes on from its last checkpoint when the same command is given again$", output, re.M)
