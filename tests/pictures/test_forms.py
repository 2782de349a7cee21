"""The same pictures from archives, Kaggle's layout and a folder are the same store; kills and workers change nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replicate.pictures import prepare as module
from replicate.pictures import shards, sources, store, unfinished
from replicate.pictures.prepare import prepare
from replicate.pictures.store import open_store, verify
from tests.pictures import official

FORMS = {
    "ilsvrc2012": official.ilsvrc2012,
    "kaggle": official.kaggle,
    "folder": official.unpacked,
}


@pytest.fixture
def of_kind(profile, monkeypatch):
    """`of_kind(kind)`: the same profile, its source in another form and nothing of the former; four pictures a shard."""
    monkeypatch.setattr(store, "SHARD_PICTURES", 4)

    def make(kind):
        ours = profile({"kind": kind, "name": "small-2012"})
        shutil.rmtree(ours.root / "data", ignore_errors=True)
        FORMS[kind](ours.source)
        return ours

    return make


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_form_gives_the_same_store_and_record(of_kind):
    found = []
    for kind in FORMS:
        ours = of_kind(kind)
        sources.provide(ours)
        prepare(ours, workers=1)
        verify(open_store(ours.store))
        found.append((contents(ours.store), ours.record("store").read_bytes(), contents(ours.pictures)))
    assert found[0] == found[1] == found[2]
    assert set(found[0][0]) >= {"train-00002.npy", "val-00001.npy", "manifest.json", "mean.npy"}


def test_a_form_that_replaces_another_is_read_anew_into_the_same_store(of_kind):
    ours = of_kind("folder")
    prepare(ours, workers=1)
    identity = open_store(ours.store).identity
    kept = ours.store.rename(ours.root / "kept")
    ours = of_kind("ilsvrc2012")
    kept.rename(ours.store)
    prepare(ours, workers=1)
    assert open_store(ours.store).identity == identity


def test_pictures_that_cannot_be_read_are_named_with_their_archive(of_kind, profile, capsys):
    ours = of_kind("ilsvrc2012")
    train = official.train()
    train["n01440764"] = dict(train["n01440764"]) | {"n01440764_7.JPEG": b"no picture"}
    archive = ours.source / "ILSVRC2012_img_train.tar"
    archive.write_bytes(official.train_archive(train))
    with pytest.raises(Exception, match="1 of 18 pictures cannot be read"):
        prepare(ours, workers=1)
    assert f"{archive}: train/n01440764/n01440764_7.JPEG: not a picture of a known format" in capsys.readouterr().err


SHARDS = 5  # of twelve and six pictures, four a shard


class Killed(BaseException):
    pass


def test_a_kill_before_any_change_of_a_file_loses_nothing(of_kind, monkeypatch):
    """Killed at the first, the second, … change of a name on disk, then run again: always the same store, and no shard
    that was done is made again."""
    ours = of_kind("ilsvrc2012")
    prepare(ours, workers=1)
    wanted = contents(ours.store)
    data, state = ours.root / "data" / "test", ours.state
    deadline, done, built = [0], [0], []
    write, build = unfinished.write, shards.build
    monkeypatch.setattr(unfinished, "write", lambda new, progress: (write(new, progress), done.append(len(progress.shards))))
    monkeypatch.setattr(shards, "build", lambda job, *rest: (None if job.known else built.append(job)) or build(job, *rest))

    def dying(change):
        def changed(*arguments, **options):
            deadline[0] -= 1
            if deadline[0] == 0:
                raise Killed
            return change(*arguments, **options)

        return changed

    kills = 0
    for number in range(1, 1000):
        for path in data.iterdir():
            if path.name not in ("source", ".store.lock"):
                shutil.rmtree(path)
        shutil.rmtree(state)
        deadline[0], done[:] = number, [0]
        with monkeypatch.context() as patched:
            for name in ("replace", "rename"):
                patched.setattr(Path, name, dying(getattr(Path, name)))
            patched.setattr(Path, "unlink", dying(Path.unlink))
            try:
                prepare(ours, workers=1)
                break
            except Killed:
                kills += 1
        finished, built[:] = done[-1], []
        prepare(ours, workers=1)
        assert SHARDS - finished - len(built) in (0, 1)  # 1: killed when the last shard was just written down
        assert contents(ours.store) == wanted
        assert {path.name for path in data.iterdir()} == {"source", "store", ".store.lock"}
    assert kills > 30


PREPARE = """
import sys
from pathlib import Path
from replicate.pictures import prepare, store
from tests.pictures.conftest import profile_at
if __name__ == "__main__":
    store.SHARD_PICTURES, prepare.FEW_SHARDS = 4, 0
    prepare.prepare(profile_at(Path(sys.argv[1]), {"kind": "ilsvrc2012", "name": "small-2012"}), workers=2)
"""


@pytest.mark.slow
def test_two_workers_give_the_same_bytes_and_end_when_their_parent_is_killed(of_kind, monkeypatch):
    ours = of_kind("ilsvrc2012")
    prepare(ours, workers=1)
    wanted = contents(ours.store)
    shutil.rmtree(ours.store)
    script = ours.root / "run.py"
    script.write_text(PREPARE)
    root = Path(__file__).parents[2]
    running = subprocess.Popen([sys.executable, script, ours.root], env=os.environ | {"PYTHONPATH": str(root)})
    progress = ours.store.with_name(".store-unfinished") / "progress.json"
    end = time.monotonic() + 120
    while not (progress.is_file() and "train-0" in progress.read_text()) and running.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    children = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    running.send_signal(signal.SIGKILL)
    running.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    monkeypatch.setattr(module, "FEW_SHARDS", 0)
    prepare(ours, workers=2)
    assert contents(ours.store) == wanted
