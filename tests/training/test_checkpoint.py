"""Checkpoints: whatever happens to them, the newest whole one comes back, or one line says why not."""

import errno
import os
import random
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import torch

from replicate.errors import UserError
from replicate.modules import weights
from replicate.training import checkpoint
from replicate.training.checkpoint import Keeper


def state(number: int) -> dict[str, torch.Tensor]:
    """Tensors that say of which save they are, in every element."""
    a = torch.full((5, 3), float(number))
    return {"weight/a": a, "velocity/a": -a, "one": torch.tensor(number)}


def keeper(folder: Path, identity: str = "this") -> Keeper:
    return Keeper(folder, identity, "base-1")


def keep(folder: Path, *numbers: int) -> None:
    with closing(keeper(folder)) as kept:
        kept.restore()
        for number in numbers:
            kept.save(state(number), {"update": number})


def number(folder: Path) -> int:
    """Of the state that comes back, which must be all of one save."""
    with closing(keeper(folder)) as kept:
        tensors, progress = kept.restore()
    expected = state(progress["update"])
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) and tensors[name].dtype == expected[name].dtype for name in expected)
    return progress["update"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def two(tmp_path):
    """A folder with checkpoints of updates 1 and 2."""
    keep(tmp_path, 1, 2)
    return tmp_path


def test_nothing_kept_is_nothing(tmp_path):
    assert keeper(tmp_path).restore() is None
    assert keeper(tmp_path / "not there").restore() is None


def test_what_was_saved_comes_back_bit_by_bit(tmp_path):
    saved = {
        "convolution": torch.randn(8, 3, 5, 5).to(memory_format=torch.channels_last).requires_grad_(),
        "half": torch.randn(7).bfloat16(),
        "double": torch.randn(2, 2).double().t(),
        "none": torch.empty(0, 3),
    }
    progress = {"epoch": 3, "loss_sum": 0.1 + 0.2, "log": [{"held_out_error": 12.345}], "bound": float("inf"), "name": "é"}
    with closing(keeper(tmp_path)) as kept:
        kept.save(saved, progress)
    tensors, returned = keeper(tmp_path).restore()
    assert returned == progress
    assert all(torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype for name, value in saved.items())


def test_what_happens_after_a_save_is_not_in_it(tmp_path):
    """Training goes on in place while the file is written."""
    tensors, progress = state(1), {"update": 1}
    with closing(keeper(tmp_path)) as kept:
        kept.save(tensors, progress)
        for tensor in tensors.values():
            tensor.zero_()
        progress["update"] = 2
    assert number(tmp_path) == 1


def test_the_last_two_are_kept(tmp_path):
    keep(tmp_path, 1, 2, 3)
    assert names(tmp_path) == ["checkpoint.safetensors", "previous.safetensors"]
    (tmp_path / "checkpoint.safetensors").unlink()
    assert number(tmp_path) == 2


def test_finished_removes_both(tmp_path):
    kept = keeper(tmp_path)
    kept.save(state(1), {})
    kept.save(state(2), {})
    kept.finished()
    assert names(tmp_path) == []


def test_waiting_means_on_the_disk(tmp_path):
    kept = keeper(tmp_path)
    kept.save(state(1), {"update": 1}, wait=True)
    assert number(tmp_path) == 1


def test_cut_short_anywhere_the_previous_is_used(two, capsys):
    newest = two / "checkpoint.safetensors"
    whole = newest.read_bytes()
    for length in [0, 1, 7, 8, 9, len(whole) - 1, *random.sample(range(len(whole)), 20)]:
        newest.write_bytes(whole[:length])
        assert number(two) == 1, length
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"base-1: {newest} is cut short or altered" in said


def test_a_flipped_bit_anywhere_is_noticed(two):
    """Every byte of the file, one after the other: what says the same all the same is the newest, the rest is not used."""
    newest = two / "checkpoint.safetensors"
    whole = newest.read_bytes()
    data = len(whole) - sum(tensor.nbytes for tensor in state(2).values())
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << random.randrange(8)
        newest.write_bytes(altered)
        assert number(two) in ((1,) if place >= data else (1, 2)), place


def test_numbers_in_another_shape_are_noticed(two):
    newest = two / "checkpoint.safetensors"
    newest.write_bytes(newest.read_bytes().replace(b"[5,3]", b"[3,5]"))
    assert number(two) == 1


def test_a_bad_checkpoint_does_not_push_the_good_one_out(two):
    (two / "checkpoint.safetensors").write_bytes(b"bad")
    keep(two, 3)
    (two / "checkpoint.safetensors").write_bytes(b"bad")
    assert number(two) == 1


def test_both_bad_is_one_line_with_the_remedy(two):
    (two / "checkpoint.safetensors").write_bytes(b"bad")
    (two / "previous.safetensors").write_bytes(b"bad")
    with pytest.raises(UserError, match=rf"no whole checkpoint.*to start anew, delete it: rm -r {two}"):
        keeper(two).restore()
    assert names(two) == ["checkpoint.safetensors", "previous.safetensors"]


def test_one_of_another_training_is_refused(two):
    with pytest.raises(UserError, match=rf"other settings, network or pictures; to start anew, delete it: rm -r {two}"):
        keeper(two, "other").restore()


def test_a_pickle_is_not_opened(tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    torch.save(Harm(), tmp_path / "checkpoint.safetensors")
    with pytest.raises(UserError, match="no whole checkpoint"):
        keeper(tmp_path).restore()
    assert not (tmp_path / "harm").exists()


KILLS = """
import itertools, os, random, signal, sys, time
from pathlib import Path
import torch
from replicate.training.checkpoint import Keeper

torch.set_num_threads(1)  # what is forked below must not wait for threads that it does not have
folder, last = Path(sys.argv[1]), 0
for _ in range(20):
    numbers, told = os.pipe()
    if not (trainer := os.fork()):
        keeper = Keeper(folder, "this", "base-1")
        keeper.restore()
        for number in itertools.count(last + 1):
            os.write(told, f"{number} ".encode())
            tensors = {"a": torch.full((300_000,), float(number)), "b": torch.full((7,), float(number))}
            keeper.save(tensors, {"update": number})
    os.close(told)
    started, saves = b"", random.randint(3, 8)
    while started.count(b" ") < saves:
        started += (more := os.read(numbers, 4096))
        assert more, "the trainer has died"
    time.sleep(random.uniform(0, 0.02))
    os.kill(trainer, signal.SIGKILL)
    os.waitpid(trainer, 0)
    while more := os.read(numbers, 4096):
        started += more
    started = [int(number) for number in started.split(b" ")[:-1]]
    kept = Keeper(folder, "this", "base-1").restore()
    left = {path.name for path in folder.iterdir()}
    assert left <= {"checkpoint.safetensors", "previous.safetensors"}, left  # Keeper cleared up
    tensors, progress = kept
    assert progress["update"] in started, (started, progress)
    assert all((tensor == progress["update"]).all() for tensor in tensors.values())
    assert progress["update"] >= started[-1] - 2  # a save waits for the one before it
    last = progress["update"]
"""


def test_killed_at_any_moment_a_whole_one_is_there(tmp_path):
    """What comes back after `kill -9` is the state of one of the last saves that had begun, whole."""
    subprocess.run([sys.executable, "-c", KILLS, tmp_path], check=True)


def test_a_full_disk_keeps_what_is_there_and_training_goes_on(two, monkeypatch, capsys):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"the first half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with closing(keeper(two)) as kept:
        kept.restore()
        with monkeypatch.context() as patch:
            patch.setattr(weights, "save_file", full)
            kept.save(state(3), {"update": 3})
            kept.save(state(4), {"update": 4})
            kept.close()
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "No space left on device; the one before it is kept; training goes on" in said
        assert number(two) == 2 and names(two) == ["checkpoint.safetensors", "previous.safetensors"]
    keep(two, 4)
    assert number(two) == 4


LIMITED = """
import resource, signal, sys
from pathlib import Path
import torch
from replicate.errors import UserError
from replicate.training.checkpoint import Keeper

keeper = Keeper(Path(sys.argv[1]), "this", "base-1")
keeper.save({"a": torch.ones(10)}, {"update": 1}, wait=True)
before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
keeper.save({"a": torch.ones(10), "b": torch.ones(100_000)}, {"update": 2})
try:
    keeper.save({"a": torch.ones(10), "b": torch.ones(100_000)}, {"update": 3}, wait=True)
except UserError as error:
    print(error)
print(sorted(path.name for path in Path(sys.argv[1]).iterdir()))
print(keeper.restore()[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
keeper.save({"a": torch.ones(10), "b": torch.ones(100_000)}, {"update": 4}, wait=True)
print(keeper.restore()[1])
"""


def test_a_write_that_the_system_refuses_is_one_line(tmp_path):
    """As the kernel says it, through the library that writes."""
    child = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], check=True, capture_output=True, text=True)
    error, left, kept, later = child.stdout.splitlines()
    assert "File too large; the one before it is kept; make room and run the same command again" in error
    assert left == "['checkpoint.safetensors']" and kept == "{'update': 1}" and later == "{'update': 4}"
    assert child.stderr.count("\n") == 1 and "training goes on and tries again" in child.stderr


def test_an_error_of_ours_in_the_background_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.weights, "save", lambda *args: 1 / 0)
    kept = keeper(tmp_path)
    kept.save(state(1), {})
    with pytest.raises(ZeroDivisionError):
        kept.close()


@pytest.fixture
def clock(monkeypatch):
    """Seconds that only the test moves on; writing takes 10 of them."""
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint.time, "thread_time", lambda: 0.0)
    monkeypatch.setattr(checkpoint.weights, "save", lambda *args: now.__setitem__(0, now[0] + 10))
    return now


def due_after(kept: Keeper, clock: list[float], seconds: range, **epoch) -> int:
    """The first of `seconds` at which it is due."""
    began = clock[0]
    for second in seconds:
        clock[0] = began + second
        if kept.due(**epoch):
            return second
    raise AssertionError


def test_at_most_two_minutes_are_lost(tmp_path, clock):
    """The time that writing takes is counted in: when it is over, the state before it is 120 seconds old."""
    with closing(keeper(tmp_path)) as kept:
        assert due_after(kept, clock, range(1000)) == 120
        kept.save(state(1), {}, wait=True)
        assert due_after(kept, clock, range(1000)) + 10 + 10 == 120


def test_at_most_an_epoch_is_lost(tmp_path, clock):
    with closing(keeper(tmp_path)) as kept:
        clock[0] = 5
        assert not kept.due() and kept.due(epoch_ended=True)
        kept.save(state(1), {}, wait=True)
        assert not kept.due() and kept.due(epoch_ended=True)


def test_it_takes_at_most_three_percent_of_the_time(tmp_path, clock):
    """Epochs of a second, and copies of 0.9 seconds: the end of the first one stays due until 30 seconds are over."""

    class Slow(dict):
        def items(self):
            clock[0] += 0.9
            return super().items()

    with closing(keeper(tmp_path)) as kept:
        kept.save(Slow(state(1)), {}, wait=True)
        since = clock[0] - 10 - 0.9
        due_after(kept, clock, range(100), epoch_ended=True)
        assert 30 <= clock[0] - since <= 31


def test_while_the_disk_is_busy_nothing_is_due(tmp_path, clock, monkeypatch):
    free = threading.Event()
    monkeypatch.setattr(checkpoint.weights, "save", lambda *args: free.wait(60))
    with closing(keeper(tmp_path)) as kept:
        kept.save(state(1), {})
        clock[0] = 50
        assert not kept.due(epoch_ended=True)
        free.set()
        kept._writing.result()
        assert kept.due()  # the end of the epoch was not forgotten
