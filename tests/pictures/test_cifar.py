"""CIFAR-10's binary version, on small files of the same form and, where they are, the real ones."""

import io
import os
import pickle
import shutil
import tarfile

import numpy as np
import pytest

from replicate import files
from replicate.errors import UserError
from replicate.pictures import cifar, remembered, sources
from replicate.pictures.prepare import prepare
from replicate.pictures.store import open_store, verify
from tests.pictures import official

SOURCE = {"kind": "cifar10", "name": "small-cifar"}


@pytest.fixture
def ours(profile):
    return profile(SOURCE)


def archive(folder, path, **extra):
    """`cifar-10-binary.tar.gz` of a folder of batches."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, cifar.FOLDER)
        for name, data in extra.items():
            member = official.odd(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def records(folder):
    """Name → (class, pixels), read as the authors' page says: a byte, then 1024 of red, of green, of blue."""
    found = {}
    for split, batches in cifar.BATCHES.items():
        for batch in batches:
            data = np.fromfile(folder / batch, np.uint8).reshape(-1, 3073)
            for number, record in enumerate(data):
                planes = [record[1 + 1024 * plane :][:1024].reshape(32, 32) for plane in range(3)]
                name = official.CIFAR_CLASSES[record[0]]
                found[f"{split}/{name}/{batch[:-4]}_{number:05d}"] = (name, np.stack(planes, axis=2))
    return found


def test_a_folder_its_files_and_the_archive_give_the_same_store(ours, tmp_path):
    folder = official.cifar10(tmp_path / "official")
    ours.source.parent.mkdir(parents=True)
    identities = set()
    for place in (folder, folder.parent, tmp_path / "archive"):
        if place.name == "archive":
            place.mkdir()
            archive(folder, place / cifar.ARCHIVE)
        ours.source.unlink(missing_ok=True)
        ours.source.symlink_to(place)
        shutil.rmtree(ours.store, ignore_errors=True)
        sources.check_presence(ours)
        assert "100 training and 20 validation pictures of 10 classes" in sources.provide(ours)
        prepare(ours, workers=1)
        identities.add(open_store(ours.store).identity)
    assert len(identities) == 1


def test_the_store_holds_the_pixels_as_they_are(ours):
    folder = official.cifar10(ours.source)
    prepare(ours, workers=1)
    opened = open_store(ours.store)
    verify(opened)
    wanted = records(folder)
    assert opened.classes == list(official.CIFAR_CLASSES) and opened.side == 32
    assert {*opened.train.names, *opened.val.names} == set(wanted)
    for split in (opened.train, opened.val):
        for name, label, pixels in zip(split.names, split.labels, split.take(range(len(split))), strict=True):
            assert opened.classes[label] == wanted[name][0] and np.array_equal(pixels, wanted[name][1])


def test_other_pixels_of_the_same_size_make_another_store(ours):
    folder = official.cifar10(ours.source)
    prepare(ours, workers=1)
    before = open_store(ours.store)
    data = bytearray((folder / "test_batch.bin").read_bytes())
    data[1] ^= 255
    (folder / "test_batch.bin").write_bytes(data)
    prepare(ours, workers=1)
    after = open_store(ours.store)
    assert (before.train.take(range(100)) == after.train.take(range(100))).all()
    assert before.manifest.val.shards[0].sha256 != after.manifest.val.shards[0].sha256


class Bomb:
    def __reduce__(self):
        return (open, ("opened", "w"))


@pytest.mark.parametrize("name", cifar.PICKLES)
def test_the_python_version_is_told_by_its_name_and_never_opened(ours, tmp_path, monkeypatch, name):
    ours.source.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    if name == "cifar-10-batches-py":
        (ours.source / name).mkdir()
        (ours.source / name / "data_batch_1").write_bytes(pickle.dumps(Bomb()))
    else:
        (ours.source / name).write_bytes(pickle.dumps(Bomb()))
    for ask in (sources.check_presence, sources.provide, prepare):
        with pytest.raises(UserError, match=f"{name} is a pickle.*put the binary version there, cifar-10-binary.tar.gz") as error:
            ask(ours)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "opened").exists()


def test_no_pictures_says_where_to_put_them(ours):
    with pytest.raises(UserError, match="cifar-10-binary.tar.gz or cifar-10-batches-bin/ at data/test/source"):
        sources.check_presence(ours)


def test_pictures_are_stored_at_their_own_size_only(profile):
    with pytest.raises(UserError, match="pictures.side: CIFAR-10's pictures are 32x32"):
        profile(SOURCE, side=40)


def test_files_that_are_not_whole(ours):
    folder = official.cifar10(ours.source)

    def refused(name, data, match):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(data)
        with pytest.raises(UserError, match=match) as error:
            sources.listing(ours)
        assert "\n" not in str(error.value) and name in str(error.value)
        (folder / name).write_bytes(before)

    batch = (folder / "data_batch_2.bin").read_bytes()
    refused("data_batch_2.bin", batch[:-1], "records of 3073 bytes")
    refused("data_batch_2.bin", b"", "records of 3073 bytes")
    refused("data_batch_2.bin", batch[:3073] + b"\x0a" + batch[3074:], "record 1 has class 10, and batches.meta.txt names 10")
    refused("batches.meta.txt", b"cat\n", "must name the classes")
    refused("batches.meta.txt", b"cat\ncat\n", "must name the classes")
    refused("batches.meta.txt", b"../x\ncat\n", "must name the classes")
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(UserError, match="data_batch_3.bin: cannot be read"):
        sources.listing(ours)


def test_a_mark_of_windows_is_no_part_of_a_name_and_a_pipe_no_file(ours):
    folder = official.cifar10(ours.source)
    names, batch = folder / "batches.meta.txt", folder / "data_batch_2.bin"
    names.write_bytes(b"\xef\xbb\xbf" + names.read_bytes())
    assert sources.listing(ours).classes == list(official.CIFAR_CLASSES)
    batch.unlink()
    os.mkfifo(batch)
    with pytest.raises(UserError, match="data_batch_2.bin: no regular file"):
        sources.listing(ours)


def test_an_official_source_must_have_the_published_sums(profile):
    ours = profile({"kind": "cifar10", "name": "cifar10"})
    official.cifar10(ours.source)
    with pytest.raises(UserError, match="data_batch_1.bin: its MD5 sum is"):
        sources.provide(ours)
    sums = files.read_yaml(remembered.OFFICIAL)["cifar10"]
    assert set(sums) == {cifar.ARCHIVE, *cifar.BATCHES["train"], *cifar.BATCHES["val"]}


@pytest.mark.parametrize(
    "member",
    [official.odd("../evil"), official.odd("/evil"), official.odd("x", tarfile.SYMTYPE, "/etc"), official.odd("y", tarfile.CHRTYPE)],
    ids=lambda member: member.name,
)
def test_an_archive_with_an_odd_member_is_refused(ours, tmp_path, member):
    folder = official.cifar10(tmp_path / "official")
    ours.source.mkdir(parents=True)
    with tarfile.open(ours.source / cifar.ARCHIVE, "w:gz") as tar:
        tar.add(folder, cifar.FOLDER)
        tar.addfile(member)
    with pytest.raises(UserError, match="unexpected member"):
        sources.provide(ours)
    assert not ours.pictures.exists() and not (tmp_path / "evil").exists()


def test_an_archive_that_is_not_whole_or_holds_more(ours, tmp_path):
    folder = official.cifar10(tmp_path / "official")
    ours.source.mkdir(parents=True)
    path = ours.source / cifar.ARCHIVE
    archive(folder, path, **{f"{cifar.FOLDER}/readme.html": b"the authors' page"})
    sources.provide(ours)
    assert sorted(p.name for p in (ours.pictures / cifar.FOLDER).iterdir()) == sorted(p.name for p in folder.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="download it again"):
        sources.provide(ours)
    (folder / "test_batch.bin").unlink()
    archive(folder, path)
    with pytest.raises(UserError, match="holds no cifar-10-batches-bin/test_batch.bin"):
        sources.provide(ours)
