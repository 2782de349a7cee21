"""`replicate store`: info, verify (by size and by hash), show; and that opening a store does not grow with it."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from replicate.commands.store import command
from replicate.pictures.store import open_store


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_info_says_what_is_in_it(small_profile):
    store = open_store(small_profile.store)
    said = run("info").output
    assert f"{len(store.train):,}" in said and store.identity in said and small_profile.settings.source.name in said


def test_verify_finds_a_lost_a_short_and_an_altered_file(small_profile):
    assert run("verify", "--full").exit_code == 0
    shard = small_profile.store / "val-00000.npy"
    whole = shard.read_bytes()
    altered = bytearray(whole)
    altered[-1] ^= 1
    shard.write_bytes(altered)
    assert run("verify").exit_code == 0  # quick: by size only
    full = run("verify", "--full")
    assert full.exit_code == 1 and f"{shard}: altered" in full.output and "replicate prepare" in full.output
    shard.write_bytes(whole[:-1])
    assert f"{shard}: {len(whole) - 1} bytes instead of {len(whole)}" in run("verify").output
    shard.unlink()
    assert run("verify").exit_code == 1 and f"{shard}: missing" in run("verify").output


def test_verify_finds_an_altered_list(small_profile):
    path, pictures = small_profile.store / "train.csv", len(open_store(small_profile.store).train)
    whole = path.read_text()
    path.write_text(whole + "one more,1\n")
    assert f"{path}: altered" in run("verify", "--full").output
    assert f"{path}: {pictures + 1} pictures instead of {pictures}" in run("verify").output
    path.write_text(whole + "no class\n")
    assert f"{path}: altered" in run("verify").output
    path.write_text(whole.replace("train/", '"train/\n', 1).replace(".JPEG,", '.JPEG",', 1))  # a name may have two lines
    assert str(path) not in run("verify").output


def test_a_shard_whose_header_is_none_is_one_line(small_profile):
    shard = small_profile.store / "train-00000.npy"
    whole = bytearray(shard.read_bytes())
    whole[10:60] = b"(" * 50
    shard.write_bytes(whole)
    done = run("show", "--index", "0", "--save", "x.png")
    assert "train-00000.npy is altered" in str(done.exception)


def test_show_writes_the_picture(small_profile, tmp_path):
    store, path = open_store(small_profile.store), tmp_path / "x.png"
    done = run("show", "--split", "val", "--index", "3", "--save", str(path))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), store.val.take([3])[0])
    assert store.val.names[3] in done.output and store.classes[store.val.labels[3]] in done.output


@pytest.mark.parametrize(
    ("arguments", "said"), [(("--index", "100000", "--save", "x.png"), "pictures, 0 to"), (("--index", "0", "--save", "x.what"), "use .png"),
     (("--index", "0", "--save", "x.pdf"), "use .png"), (("--index", "0", "--save", "x.eps"), "use .png")]
)
def test_what_show_cannot_do_is_one_line(small_profile, arguments, said):
    assert said in str(run("show", *arguments).exception)
    assert not list(small_profile.root.glob("x.*"))


OPEN = """
import resource, sys
from pathlib import Path
from replicate.pictures.store import open_store
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store = open_store(Path(sys.argv[1]))
picture = store.train.take([len(store.train) - 1])
print(len(store.train), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_opening_a_store_takes_no_memory_that_grows_with_it(small_profile, tmp_path):
    """The small store, and one that says it has 100,000 pictures in sparse files; its list does not exist yet."""
    from replicate import files
    from replicate.pictures.store import HEADER_BYTES

    manifest = files.read_json(small_profile.store / "manifest.json")
    shard, side = manifest["train"]["shards"][0], manifest["side"]
    count, each = 100, 1000
    manifest["train"]["shards"] = [shard | {"file": f"train-{i:05d}.npy", "pictures": each} for i in range(count)]
    files.write_json(small_profile.store / "manifest.json", manifest)
    np.save(small_profile.store / "train-00000.npy", np.zeros((each, side, side, 3), np.uint8))
    header = (small_profile.store / "train-00000.npy").read_bytes()[:HEADER_BYTES]
    for i in range(count):
        with open(small_profile.store / f"train-{i:05d}.npy", "wb") as file:
            file.write(header)
            file.truncate(HEADER_BYTES + each * side * side * 3)
    done = subprocess.run([sys.executable, "-c", OPEN, str(small_profile.store)], capture_output=True, text=True, check=True)
    pictures, kilobytes = map(int, done.stdout.split())
    assert pictures == count * each
    assert kilobytes < 4096  # the pictures alone are 388 MB, their names would be some 10 MB
