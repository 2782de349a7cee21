import itertools
import json
import os
import shutil
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replicate import files
from replicate.errors import UserError
from replicate.pictures import draw, pca, shards, store
from replicate.pictures import prepare as module
from replicate.pictures.decode import decode
from replicate.pictures.prepare import prepare
from replicate.pictures.store import open_store, verify
from tests.pictures.conftest import DRAWN, contents, refused


def left_over(profile):
    return [path.name for path in profile.store.parent.iterdir() if path.name.startswith(".") and path.name != ".store.lock"]


def test_a_store_holds_every_picture_with_its_class(drawn):
    said = prepare(drawn, workers=1)
    assert "40 training and 20 validation pictures of 10 classes at 32x32" in said
    opened = open_store(drawn.store)
    verify(opened)
    assert (len(opened.train), len(opened.val), opened.side, len(opened.classes)) == (40, 20, 32, 10)
    for split in (opened.train, opened.val):
        pictures = split.take(range(len(split)))
        for name, label, pixels in zip(split.names, split.labels, pictures, strict=True):
            assert opened.classes[label] == name.split("/")[1]
            assert np.array_equal(pixels, decode((drawn.pictures / name).read_bytes(), 32, "bilinear"))
    assert np.bincount(opened.train.labels).tolist() == [4] * 10
    assert sorted(path.name for path in drawn.store.iterdir()) == [
        "manifest.json", "mean.npy", "train-00000.npy", "train-00001.npy", "train-00002.npy", "train.csv",
        "val-00000.npy", "val-00001.npy", "val.csv",
    ]  # fmt: skip
    assert not left_over(drawn)


def test_pictures_lie_in_an_order_that_mixes_the_classes(drawn):
    prepare(drawn, workers=1)
    split = open_store(drawn.store).train
    assert len(set(split.labels[:16])) >= 6  # of ten; sorted by class it would be four
    assert split.names != sorted(split.names)


def test_take_gathers_in_any_order_across_shards(drawn):
    prepare(drawn, workers=1)
    split = open_store(drawn.store).train
    everything = np.concatenate([np.load(path) for path in sorted(drawn.store.glob("train-*.npy"))])
    wanted = np.random.default_rng(1).integers(0, 40, 100)
    assert np.array_equal(split.take(wanted), everything[wanted])
    assert split.take([]).shape == (0, 32, 32, 3)
    for outside in ([40], [-1]):
        with pytest.raises(IndexError):
            split.take(outside)


def test_the_mean_is_that_of_the_training_pictures(drawn):
    prepare(drawn, workers=1)
    opened = open_store(drawn.store)
    naive = opened.train.take(range(40)).astype(np.float64).mean(axis=0)
    assert opened.mean.dtype == np.float32
    assert np.array_equal(opened.mean, naive.astype(np.float32))
    record = json.loads(drawn.record("store").read_text())
    assert record["mean_colour"] == pytest.approx(naive.mean(axis=(0, 1)), abs=1e-4)


def test_the_record_holds_exact_content_and_no_paths_or_times(drawn, tmp_path):
    prepare(drawn, workers=1)
    record = json.loads(drawn.record("store").read_text())
    opened = open_store(drawn.store)
    assert record["identity"] == opened.identity
    assert record["train"]["per_class"]["star-checks"] == 4 and record["val"]["pictures"] == 20
    grey = sum(Image.open(path).mode == "L" for path in (drawn.pictures / "train").rglob("*.JPEG"))
    assert record["train"]["greyscale"] == opened.manifest.train.greyscale == grey
    for text in (drawn.record("store").read_text(), (drawn.store / "manifest.json").read_text()):
        assert str(tmp_path) not in text and "20" + "26" not in text


def test_store_and_pca_have_the_bytes_of_every_other_machine(drawn):
    """So dvc.lock, which holds their hashes, does not change on another machine."""
    prepare(drawn, workers=1)
    assert open_store(drawn.store).identity == "f50394b5ed7eb6080878ea68f1359cbaab0b5c7c43663b39e2b7078aac10f41e"
    pca.compute(drawn)
    assert files.sha256(drawn.pca) == "b48b68fda3563b4a44e7a2a38cde192ce812111d2e152f186144b2f0aeec160a"


def test_a_second_prepare_decodes_nothing_and_changes_nothing(drawn, monkeypatch):
    prepare(drawn, workers=1)
    before = contents(drawn.store)
    monkeypatch.setattr(shards, "build", lambda *_: pytest.fail("built"))
    prepare(drawn, workers=1)
    assert contents(drawn.store) == before


@pytest.mark.slow
def test_the_bytes_are_the_same_for_any_number_of_workers(drawn, monkeypatch):
    prepare(drawn, workers=1)
    before = contents(drawn.store)
    for few in (0, module.FEW_SHARDS):  # with processes, with threads
        shutil.rmtree(drawn.store)
        monkeypatch.setattr(module, "FEW_SHARDS", few)
        prepare(drawn, workers=2)
        assert contents(drawn.store) == before


def test_workers_share_a_shard_where_there_are_few(drawn, monkeypatch):
    monkeypatch.setattr(store, "SHARD_PICTURES", 60)
    prepare(drawn, workers=1)
    before = contents(drawn.store)
    shutil.rmtree(drawn.store)
    together, number, decode = threading.Barrier(3), itertools.count(), shards.decode

    def first_three_at_once(*arguments):
        if next(number) < 3:
            together.wait(timeout=20)  # raises where nobody else comes
        return decode(*arguments)

    monkeypatch.setattr(shards, "decode", first_three_at_once)
    prepare(drawn, workers=3)
    assert next(number) == 60
    assert contents(drawn.store) == before


def decoded_names(monkeypatch):
    names = []
    read = shards.read
    monkeypatch.setattr(shards, "read", lambda folder, place: names.append(place.file) or read(folder, place))
    return names


def test_a_run_that_was_killed_goes_on(drawn, monkeypatch):
    prepare(drawn, workers=1)
    before = contents(drawn.store)
    shutil.rmtree(drawn.store)
    build, done = shards.build, []

    def die_in_the_third(job, tick, threads):
        if len(done) == 2:
            job.path.with_name(".train-00002.npy.tmp.npy").write_bytes(b"half")
            raise KeyboardInterrupt
        done.append(job)
        return build(job, tick, threads)

    monkeypatch.setattr(shards, "build", die_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        prepare(drawn, workers=1)
    assert not drawn.store.exists()
    monkeypatch.setattr(shards, "build", build)
    decoded = decoded_names(monkeypatch)
    prepare(drawn, workers=1)
    assert len(decoded) == 60 - 2 * 16
    assert contents(drawn.store) == before
    assert not left_over(drawn)


@pytest.mark.parametrize("how", ["missing", "altered", "short"])
@pytest.mark.parametrize("file", ["train-00001.npy", "val-00000.npy", "mean.npy", "train.csv"])
def test_a_bad_file_is_named_and_made_again_alone(drawn, monkeypatch, how, file):
    prepare(drawn, workers=1)
    before = contents(drawn.store)
    path = drawn.store / file
    data = path.read_bytes()
    kept = {other.name: other.stat().st_ino for other in drawn.store.glob("*-*.npy") if other.name != file}
    path.unlink()
    if how == "altered":
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    elif how == "short":
        path.write_bytes(data[:-5])
    with pytest.raises(UserError, match=rf"{file}.*replicate prepare --profile test") as error:
        verify(open_store(drawn.store))
    assert "\n" not in str(error.value)
    if how != "altered" and file != "train.csv":
        with pytest.raises(UserError, match=file):  # without reading anything
            open_store(drawn.store)
    decoded = decoded_names(monkeypatch)
    prepare(drawn, workers=1)
    assert len(decoded) == (16 if "-" in file else 0)
    assert contents(drawn.store) == before
    assert {name: (drawn.store / name).stat().st_ino for name in kept} == kept


def test_a_manifest_with_an_unknown_key_or_no_store_is_one_line(drawn):
    with pytest.raises(UserError, match="no store there"):
        open_store(drawn.store)
    prepare(drawn, workers=1)
    path = drawn.store / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": 1}))
    with pytest.raises(UserError, match="colour: unknown key"):
        open_store(drawn.store)


def test_other_parameters_make_another_store(mine, monkeypatch):
    identities = set()
    for parameters in ({}, {"side": 40}, {"filter": "bicubic"}, {"skip_broken": True}):
        ours = mine(**parameters)
        prepare(ours, workers=1)
        opened = open_store(ours.store)
        verify(opened)
        assert opened.side == parameters.get("side", 32)
        identities.add(opened.identity)
    assert len(identities) == 4


def test_no_pictures_yet(profile):
    with pytest.raises(UserError, match="replicate source --profile test"):
        prepare(profile(DRAWN))


def test_another_method_decodes_everything_again(drawn, monkeypatch):
    prepare(drawn, workers=1)
    before = contents(drawn.store)
    drawn.settings = drawn.settings.model_copy(update={"method": drawn.settings.method + 1})
    decoded = decoded_names(monkeypatch)
    prepare(drawn, workers=1)
    assert len(decoded) == 60
    assert contents(drawn.store) == before


def test_a_picture_replaced_by_one_of_equal_name_and_size_is_noticed(mine):
    ours = mine()
    folder = ours.source / "train"
    path = sorted(folder.glob("*/*"))[0].with_name("swapped.bmp")
    Image.new("RGB", (50, 50), "red").save(path)
    prepare(ours, workers=1)
    size, name = path.stat().st_size, path.relative_to(ours.source).as_posix()
    Image.new("RGB", (50, 50), "green").save(path)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))  # not within the clock's step
    assert path.stat().st_size == size
    prepare(ours, workers=1)
    split = open_store(ours.store).train
    assert split.take([split.names.index(name)])[0, 0, 0].tolist() == [0, 128, 0]


def test_one_replaced_by_another_of_the_same_time_is_noticed_too(mine):
    """As `wget` does, which gives what it downloads the server's time."""
    ours = mine()
    path = ours.source / "train" / "disc-checks" / "swapped.bmp"
    Image.new("RGB", (50, 50), "red").save(path)
    prepare(ours, workers=1)
    was = path.stat()
    time.sleep(0.02)  # not within the clock's step
    Image.new("RGB", (50, 50), "green").save(path)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    prepare(ours, workers=1)
    split = open_store(ours.store).train
    assert split.take([split.names.index("train/disc-checks/swapped.bmp")])[0, 0, 0].tolist() == [0, 128, 0]


def test_a_sound_store_is_checked_with_a_bar(drawn, monkeypatch):
    prepare(drawn, workers=1)
    bars = []

    def bar(files, **options):
        bars.append((options, list(files)))
        return bars[-1][1]

    monkeypatch.setattr(store, "tqdm", bar)
    prepare(drawn, workers=1)
    [(options, files)] = bars
    assert {file for file, _ in files} == {path.name for path in drawn.store.iterdir()} - {"manifest.json"}
    assert options["disable"] is None  # shown on a terminal


@pytest.fixture
def linked(drawn, tmp_path):
    """The store's place is a link to a folder on another disk, as it were, which is not there yet."""
    (tmp_path / "disk").mkdir()
    drawn.store.symlink_to(tmp_path / "disk" / "mine")
    return drawn


@pytest.mark.parametrize("there", [False, True])
def test_a_link_in_the_place_of_the_store_is_followed(linked, tmp_path, monkeypatch, there):
    target = linked.store.resolve()
    if there:
        target.mkdir()
    build = shards.build
    monkeypatch.setattr(shards, "build", lambda job, *rest: die() if "val" in job.path.name else build(job, *rest))
    with pytest.raises(KeyboardInterrupt):
        prepare(linked, workers=1)
    assert sorted(path.name for path in target.parent.glob(".mine-unfinished/*.npy")) == [f"train-0000{n}.npy" for n in range(3)]
    monkeypatch.setattr(shards, "build", build)
    prepare(linked, workers=1)
    assert linked.store.is_symlink() and not target.is_symlink()
    verify(open_store(linked.store))
    before = contents(target)
    (target / "val-00000.npy").unlink()
    prepare(linked, workers=1)
    assert linked.store.is_symlink() and contents(target) == before
    assert {path.name for path in target.parent.iterdir()} == {"mine", ".mine.lock"} and not left_over(linked)


def die():
    raise KeyboardInterrupt


def test_a_link_to_a_folder_that_is_no_store_deletes_nothing(linked, tmp_path):
    target = linked.store.resolve()
    target.mkdir()
    (target / "thesis.tex").write_text("three years")
    refused(linked, "holds 'thesis.tex', no part of a store")
    assert contents(target) == {"thesis.tex": b"three years"} and linked.store.is_symlink()
    shutil.rmtree(target)
    target.write_text("a file")
    refused(linked, "a file, where the store's folder")
    assert target.read_text() == "a file"


def test_links_that_lead_nowhere_and_disks_in_the_place_are_one_line(linked, drawn, monkeypatch):
    target = linked.store.resolve()
    target.parent.rmdir()
    refused(linked, "mount its disk, or make that folder")
    linked.store.unlink()
    linked.store.symlink_to(linked.store.name)
    refused(linked, "leads to itself")
    linked.store.unlink()
    linked.store.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == linked.store)
    refused(linked, "where a disk is mounted")


def test_what_is_unfinished_of_other_parameters_goes(mine, monkeypatch):
    first, other, third = mine(), mine(side=40), mine(side=48)
    prepare(first, workers=1)
    unfinished = first.store.with_name(".store-unfinished")
    build = shards.build

    def killed(profile):
        monkeypatch.setattr(shards, "build", lambda job, *rest: die() if "val" in job.path.name else build(job, *rest))
        with pytest.raises(KeyboardInterrupt):
            prepare(profile, workers=1)
        monkeypatch.setattr(shards, "build", build)
        return (unfinished / "train-00000.npy").stat().st_size

    size = killed(other)
    with files.lock(first.store.with_name(".store.lock"), ""):
        refused(first, "is running")
    assert (unfinished / "train-00000.npy").is_file()  # another process may be at it
    prepare(first, workers=1)  # is sound
    assert not left_over(first)
    killed(other)
    assert killed(third) > size  # begun: in its place
    prepare(third, workers=1)
    assert not left_over(first)


def test_labels_are_read_without_the_names(drawn):
    prepare(drawn, workers=1)
    split = open_store(drawn.store).train
    text = (drawn.store / "train.csv").read_text()
    (drawn.store / "train.csv").write_text(text.replace("train/", "train/" + "long/" * 5000))  # a megabyte in all
    tracemalloc.start()
    assert len(split.labels) == 40
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000
    (drawn.store / "train.csv").write_text(text)
    assert [split.names[i].split("/")[1] for i in range(40)] == [sorted(draw.CLASSES)[label] for label in split.labels]


@pytest.mark.parametrize("line", ["x,10", "x,-1", f"x,{10**30}", "x,one", "x", "x,1,2"])
def test_a_list_that_was_altered_is_one_line(drawn, line):
    prepare(drawn, workers=1)
    path = drawn.store / "train.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], line]) + "\n")
    with pytest.raises(UserError, match="train.csv is altered"):
        open_store(drawn.store).train.labels  # noqa: B018
    path.write_text("\n".join(lines[:-1]) + "\n")
    for what in ("names", "labels"):
        with pytest.raises(UserError, match="train.csv is altered"):
            getattr(open_store(drawn.store).train, what)
