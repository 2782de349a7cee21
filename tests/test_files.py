"""Files that appear whole or not at all, and locks that die with their owner."""

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from replicate import files
from replicate.errors import UserError


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, 1)
    with pytest.raises(OSError, match="No space left"), files.atomic(path, tmp_path / "before.json") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert files.read_json(path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_was_there_is_kept_if_asked(tmp_path):
    path, before = tmp_path / "a.txt", tmp_path / "before.txt"
    for text in ("1", "2", "3"):
        with files.atomic(path, before) as temporary:
            temporary.write_text(text)
    assert (path.read_text(), before.read_text()) == ("3", "2")
    assert path.stat().st_mode & 0o777 == 0o644


def test_file_and_folder_are_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    """The order that a power cut cannot break: the bytes, then the name, then the folder."""
    done, path = [], tmp_path / "a.txt"
    fsync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.fstat(handle).st_ino), fsync(handle)))
    monkeypatch.setattr(type(tmp_path), "replace", lambda path, new: (done.append(new), replace(path, new)))
    files.write_text(path, "text")
    assert done == [path.stat().st_ino, path, tmp_path.stat().st_ino]


HOLDS = """
import subprocess, sys, os, time
from pathlib import Path
from replicate import files

with files.lock(Path(sys.argv[1]), "it"):
    {before}
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


def hold(path, before="pass", **options) -> subprocess.Popen:
    """A process that holds the lock, when it has said its number."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS.format(before=before), path], stdout=subprocess.PIPE, text=True, **options
    )


def take(path) -> None:
    with files.lock(path, "it"):
        pass


def free(path) -> bool:
    try:
        take(path)
    except UserError:
        return False
    return True


def test_a_second_one_is_refused_and_told_who_and_what_to_do(tmp_path):
    with hold(tmp_path / "lock") as owner:
        number = owner.stdout.readline().strip()
        with pytest.raises(UserError) as refused:
            take(tmp_path / "lock")
        owner.kill()
    said = rf"it is already running \(process {number} since 20\d\d(-\d\d){{2}} \d\d(:\d\d){{2}}\); wait for it or stop it: kill {number}"
    assert re.fullmatch(said, str(refused.value))
    assert number == str(owner.pid) and free(tmp_path / "lock")


def test_where_the_owner_is_on_another_machine_that_is_said(tmp_path, monkeypatch):
    with files.lock(tmp_path / "lock", "it"):
        monkeypatch.setattr(files.platform, "node", lambda: "elsewhere")
        with pytest.raises(UserError, match=r"since .* on .*\); wait for it or stop it there$"):
            take(tmp_path / "lock")


def test_an_owner_that_has_not_said_who_it_is(tmp_path):
    with open(tmp_path / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="^it is already running; wait for it or stop it$"):
            take(tmp_path / "lock")


def test_it_outlives_the_parent_of_its_owner_and_dies_with_its_owner(tmp_path):
    """As when `dvc` is killed and the trainer that it started lives on."""
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS.format(before='pass')!r}, sys.argv[1]])"
    with subprocess.Popen([sys.executable, "-c", starts, tmp_path / "lock"], stdout=subprocess.PIPE, text=True) as parent:
        owner = int(parent.stdout.readline())
        try:
            parent.kill()
            parent.wait()
            assert not free(tmp_path / "lock")
        finally:
            os.kill(owner, signal.SIGKILL)
        assert _soon(lambda: free(tmp_path / "lock"))


@pytest.mark.parametrize(
    "before",
    ["child = subprocess.Popen(['sleep', '60'], close_fds=False).pid", "child = os.fork() or time.sleep(60)"],
    ids=["started", "forked"],
)
def test_children_that_are_left_do_not_keep_it(tmp_path, before):
    with hold(tmp_path / "lock", f"{before}; print(child, flush=True)") as owner:
        child = int(owner.stdout.readline())
        try:
            owner.stdout.readline()
            assert not free(tmp_path / "lock")
            owner.kill()
            owner.wait()
            os.kill(child, 0)  # lives
            assert _soon(lambda: free(tmp_path / "lock"))
        finally:
            os.kill(child, signal.SIGKILL)


def _soon(true) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_filesystem_without_locks_is_one_line(tmp_path, monkeypatch, number):
    def no(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no)
    with pytest.raises(UserError, match=f"its filesystem has no locks .*make {tmp_path} a link to a folder"):
        take(tmp_path / "lock")
