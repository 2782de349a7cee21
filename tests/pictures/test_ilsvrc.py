"""The official archives of ILSVRC-2012 and 2010 on small ones of the same form; the real development kit of 2010."""

import gzip
import hashlib
import os
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest

from replicate import files
from replicate.errors import UserError
from replicate.pictures import ilsvrc, kit, remembered, shards, sources
from tests.pictures import official
from tests.pictures.official import odd

SOURCE_2012 = {"kind": "ilsvrc2012", "name": "small-2012"}
TRAIN, VAL, KIT = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"
DEVKIT_2010 = Path(os.environ.get("REPLICATE_DATA", "nowhere")) / "reference" / "ilsvrc2010_devkit.tar.gz"


def source_2010(evaluate="test"):
    return {"kind": "ilsvrc2010", "name": "small-2010", "evaluate": evaluate}


@pytest.fixture
def of_2012(profile):
    ours = profile(SOURCE_2012)
    official.ilsvrc2012(ours.source)
    return ours


@pytest.fixture
def of_2010(profile):
    def make(evaluate="test"):
        ours = profile(source_2010(evaluate))
        official.ilsvrc2010(ours.source)
        return ours

    return make


def bytes_of(listing, split):
    """Name → (class, bytes)."""
    return {
        name: (listing.classes[label], shards.read(listing.folder, listing.place(name))) for name, label, _ in listing.pictures[split]
    }


def expected(held, split):
    return {f"{split}/{wnid}/{file}": (wnid, data) for file, (wnid, data) in held.items()}


TRAIN_EXPECTED = {f"train/{wnid}/{file}": (wnid, data) for wnid, files in official.train().items() for file, data in files.items()}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_picture_of_2012_with_its_class_and_bytes(profile, format):
    ours = profile(SOURCE_2012)
    official.ilsvrc2012(ours.source, format=format)
    sources.check_presence(ours)
    listing = sources.listing(ours)
    assert listing.classes == sorted(official.NUMBERS.values())
    assert bytes_of(listing, "train") == TRAIN_EXPECTED
    assert bytes_of(listing, "val") == expected(official.held(), "val")
    assert all(rows == sorted(rows) and rows for rows in listing.pictures.values())
    assert all(size == listing.place(name).size for rows in listing.pictures.values() for name, _, size in rows)


@pytest.mark.parametrize("evaluate", ["val", "test"])
def test_2010_is_evaluated_on_what_the_parameters_say(of_2010, evaluate):
    listing = sources.listing(of_2010(evaluate))
    assert bytes_of(listing, "train") == TRAIN_EXPECTED
    assert bytes_of(listing, "val") == expected(official.held(2010, evaluate), evaluate)
    assert ("test pictures" in listing.remark) == (evaluate == "test")


def test_only_the_archives_that_are_evaluated_are_needed(of_2010):
    on_val = of_2010("val")
    for name in ("ILSVRC2010_images_test.tar", ilsvrc.TEST_LABELS):
        (on_val.source / name).unlink()
    sources.provide(on_val)
    with pytest.raises(UserError, match="ILSVRC2010_images_test.tar is missing"):
        sources.check_presence(of_2010_without_test(on_val))


def of_2010_without_test(ours):
    ours.settings = ours.settings.model_copy(update={"source": ours.settings.source.model_copy(update={"evaluate": "test"})})
    return ours


def test_2010_must_say_what_it_is_evaluated_on(profile):
    with pytest.raises(UserError, match="source.ilsvrc2010.evaluate: missing"):
        profile({"kind": "ilsvrc2010", "name": "x"})
    with pytest.raises(UserError, match="evaluate: unknown key"):
        profile(SOURCE_2012 | {"evaluate": "test"})


def test_source_says_what_it_found_and_writes_the_classes_only(of_2012, tmp_path):
    before = {path.name: path.read_bytes() for path in of_2012.source.iterdir()}
    said = sources.provide(of_2012)
    assert "12 training and 6 validation pictures of 3 classes: data/test/source" in said and "development kit" not in said
    lines = (of_2012.pictures / "classes.csv").read_text().splitlines()
    assert lines == ["class,train,val"] + [f"{wnid},4,2" for wnid in official.CLASSES]
    assert {path.name: path.read_bytes() for path in of_2012.source.iterdir()} == before
    assert [path.name for path in of_2012.pictures.iterdir()] == ["classes.csv"]


def test_the_archives_may_lie_elsewhere(profile, tmp_path):
    ours = profile(SOURCE_2012)
    ours.source.parent.mkdir(parents=True)
    ours.source.symlink_to(official.ilsvrc2012(tmp_path / "elsewhere"))
    assert bytes_of(sources.listing(ours), "train") == TRAIN_EXPECTED


def test_a_missing_archive_and_another_layout_are_told(profile):
    ours = profile(SOURCE_2012)
    with pytest.raises(UserError, match=f"data/test/source/{TRAIN} is missing.*as they were downloaded at data/test/source$"):
        sources.check_presence(ours)
    official.unpacked(ours.source)
    with pytest.raises(UserError, match="looks like source.kind: folder, which is set in pipelines/test/params.yaml"):
        sources.check_presence(ours)


def test_archives_are_indexed_once_and_a_changed_one_again(of_2012, monkeypatch):
    before = sources.listing(of_2012)
    scanned = []
    monkeypatch.setattr(ilsvrc, "members", lambda file, where, *rest: scanned.append(where) or iter(()))
    assert sources.listing(of_2012) == before and not scanned
    os.utime(of_2012.source / VAL, ns=(1, 1))
    with pytest.raises(UserError, match="no pictures of class"):
        sources.listing(of_2012)
    assert scanned == [str(of_2012.source / VAL)]


def test_an_archive_replaced_by_another_of_the_same_size_and_time_is_read_again(of_2012, monkeypatch):
    before = sources.listing(of_2012)
    archive = of_2012.source / VAL
    was = archive.stat()
    members = [(name, data) for name, (_, data) in official.held().items()]  # in another order, so that all lie elsewhere
    new = archive.with_name("new")
    new.write_bytes(official.tar(members))
    os.utime(new, ns=(was.st_atime_ns, was.st_mtime_ns))
    new.replace(archive)
    assert (archive.stat().st_size, archive.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    after = sources.listing(of_2012)
    assert after.elsewhere != before.elsewhere
    assert bytes_of(after, "val") == expected(official.held(), "val")


def test_an_index_that_was_not_finished_is_not_kept(of_2012, monkeypatch):
    def die(file, where, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(ilsvrc, "members", die)
    with pytest.raises(KeyboardInterrupt):
        sources.listing(of_2012)
    monkeypatch.undo()
    assert bytes_of(sources.listing(of_2012), "train") == TRAIN_EXPECTED


def published(monkeypatch, tmp_path, name, folder):
    """As if these sums were the published ones."""
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}
    path = tmp_path / "md5.yaml"
    files.write_json(path, {name: sums})
    monkeypatch.setattr(remembered, "OFFICIAL", path)


def test_an_official_source_must_have_the_published_sums(profile, monkeypatch, tmp_path):
    ours = profile({"kind": "ilsvrc2012", "name": "ilsvrc2012"})
    official.ilsvrc2012(ours.source)
    with pytest.raises(UserError, match=rf"{TRAIN}: its MD5 sum is [0-9a-f]{{32}}.*download it again.*pipelines/test/params.yaml") as error:
        sources.provide(ours)
    assert "\n" not in str(error.value) and not ours.pictures.exists()
    published(monkeypatch, tmp_path, "ilsvrc2012", ours.source)
    sources.provide(ours)
    whole = (ours.source / KIT).read_bytes()
    (ours.source / KIT).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match=f"{KIT}: its MD5 sum is"):
        sources.listing(ours)


def test_the_sum_of_a_file_that_was_replaced_is_computed_again(profile, monkeypatch, tmp_path):
    """Though it has the size and the time of the former."""
    ours = profile({"kind": "ilsvrc2012", "name": "ilsvrc2012"})
    official.ilsvrc2012(ours.source)
    published(monkeypatch, tmp_path, "ilsvrc2012", ours.source)
    sources.provide(ours)
    archive = ours.source / VAL
    was, whole = archive.stat(), archive.read_bytes()
    time.sleep(0.02)  # not within the clock's step
    archive.write_bytes(whole.replace(b"JFIF", b"JFIX"))
    os.utime(archive, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (archive.stat().st_size, archive.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    with pytest.raises(UserError, match=f"{VAL}: its MD5 sum is"):
        sources.listing(ours)


def test_sums_are_computed_once(profile, monkeypatch, tmp_path):
    ours = profile({"kind": "ilsvrc2012", "name": "ilsvrc2012"})
    official.ilsvrc2012(ours.source)
    published(monkeypatch, tmp_path, "ilsvrc2012", ours.source)
    sources.provide(ours)
    monkeypatch.setattr(remembered.hashlib, "md5", lambda **_: pytest.fail("computed again"))
    sources.provide(ours)
    sources.listing(ours)


def test_the_published_sums_are_of_the_archives_that_are_read():
    sums = files.read_yaml(remembered.OFFICIAL)["ilsvrc2012"]
    contest = ilsvrc.CONTESTS["ilsvrc2012"]
    assert set(sums) == {contest.train, contest.kit, *contest.evaluated.values()}


EVIL = [
    odd("/etc/passwd"), odd("../evil"), odd("link", tarfile.SYMTYPE, "/etc/passwd"), odd("hard", tarfile.LNKTYPE, "x"),
    odd("device", tarfile.CHRTYPE), odd("pipe", tarfile.FIFOTYPE), odd("notes.txt"), odd("n01440764/../../x_1.JPEG"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "member"),
    [(where, member) for where in ("outer", "inner", "val", "kit") for member in EVIL if (where, member.name) != ("kit", "notes.txt")],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_odd_member_anywhere_is_refused_and_nothing_is_written(of_2012, tmp_path, where, member):
    train, evil = official.train(), [(member, b"")]
    if where == "outer":
        name, data = TRAIN, official.tar([*((f"{w}.tar", official.tar(list(f.items()))) for w, f in train.items()), *evil])
    elif where == "inner":
        inner = [(f"{wnid}.tar", official.tar([*pictures.items(), *evil])) for wnid, pictures in train.items()]
        name, data = TRAIN, official.tar(inner)
    elif where == "val":
        name, data = VAL, official.tar([*((name, data) for name, (_, data) in official.held().items()), *evil])
    else:
        name, data = KIT, official.tar([*evil, ("ILSVRC2012_devkit_t12/data/meta.mat", official.meta(2012))], mode="w:gz")
    (of_2012.source / name).write_bytes(data)
    with pytest.raises(UserError, match=f"{name}.*unexpected member") as error:
        sources.provide(of_2012)
    assert "\n" not in str(error.value)
    assert not of_2012.pictures.exists() and {p.name for p in tmp_path.iterdir()} <= {"data", ".replicate"}
    assert not [path for path in (tmp_path / ".replicate").rglob("*") if "evil" in path.name or path.suffix == ".JPEG"]


def refused(profile, name, data, match):
    (profile.source / name).write_bytes(data)
    with pytest.raises(UserError, match=match) as error:
        sources.provide(profile)
    assert "\n" not in str(error.value) and str(profile.source / name) in str(error.value)


def test_training_archives_that_are_not_the_contest_s(of_2012):
    train = official.train()
    refused(of_2012, TRAIN, official.train_archive(train | {"n99999999": {"n99999999_1.JPEG": b"x"}}), "n99999999.tar is of no class")
    without = {wnid: pictures for wnid, pictures in train.items() if wnid != "n02102040"}
    refused(of_2012, TRAIN, official.train_archive(without), "no pictures of class 'n02102040', which .* has")
    refused(of_2012, TRAIN, official.train_archive(train | {"n02102040": {}}), "no pictures of class 'n02102040'")
    moved = train | {"n02102040": train["n02102040"] | {"n01440764_99.JPEG": b"x"}}
    refused(of_2012, TRAIN, official.train_archive(moved), "n02102040.tar: unexpected member 'n01440764_99.JPEG'")
    twice = [(f"{front}n01440764.tar", official.tar(list(train["n01440764"].items()))) for front in ("", "again/")]
    refused(of_2012, TRAIN, official.tar(twice), "n01440764.tar is there twice")
    refused(of_2012, TRAIN, official.tar([("n01440764.tar", b"no archive" * 100)]), "n01440764.tar: damaged at byte")


@pytest.mark.parametrize("name", ["small-2012", "ilsvrc2012"])
def test_a_pipe_and_a_compressed_archive_are_told(profile, name):
    """Before any sum is computed."""
    ours = profile({"kind": "ilsvrc2012", "name": name})
    official.ilsvrc2012(ours.source)
    archive = ours.source / TRAIN
    whole = archive.read_bytes()
    refused(ours, TRAIN, gzip.compress(whole), "compressed by gzip")
    archive.unlink()
    os.mkfifo(archive)
    with pytest.raises(UserError, match=f"{TRAIN}: no regular file"):
        sources.listing(ours)


def test_labels_may_begin_with_the_mark_of_windows(of_2012, of_2010):
    mark = b"\xef\xbb\xbf"
    (of_2012.source / KIT).write_bytes(official.kit(2012, truth=mark + official.truth(2012)))
    assert bytes_of(sources.listing(of_2012), "val") == expected(official.held(), "val")
    ours = of_2010("test")
    path = ours.source / ilsvrc.TEST_LABELS
    before = sources.listing(ours)
    path.write_bytes(mark + path.read_bytes())
    assert sources.listing(ours) == before


def test_archives_that_are_cut_off(of_2012):
    for name in (TRAIN, VAL):
        whole = (of_2012.source / name).read_bytes()
        for end in (0, 600, 1024, len(whole) // 2, len(whole) // 2 // 512 * 512):
            refused(of_2012, name, whole[:end], "cut off")
        (of_2012.source / name).write_bytes(whole)
    whole = (of_2012.source / KIT).read_bytes()
    refused(of_2012, KIT, whole[: len(whole) // 2], "download it again")


def test_labels_follow_the_number_of_a_picture_even_where_one_is_missing(of_2012):
    """Labels by position would shift from the gap on."""
    held = official.held()
    del held["ILSVRC2012_val_00000002.JPEG"]
    (of_2012.source / VAL).write_bytes(official.tar([(name, data) for name, (_, data) in held.items()]))
    assert bytes_of(sources.listing(of_2012), "val") == expected(held, "val")
    assert sources.provide(of_2012).endswith("12 training and 5 validation pictures of 3 classes: data/test/source. The development kit and the labels are of 12 and 6.")


def test_pictures_without_a_label_or_of_another_contest(of_2012):
    held = [(name, data) for name, (_, data) in official.held().items()]
    for number in ("00000000", "00000007", "99999999"):
        refused(of_2012, VAL, official.tar([*held, (f"ILSVRC2012_val_{number}.JPEG", b"x")]), "labels for 6 pictures")
    for name in ("ILSVRC2010_val_00000001.JPEG", "ILSVRC2012_test_00000001.JPEG", "ILSVRC2012_val_1.JPEG"):
        refused(of_2012, VAL, official.tar([*held, (name, b"x")]), f"unexpected member '{name}'")
    refused(of_2012, VAL, official.tar(held[:1]), "no pictures of class 'n02102040' and 1 more")


def test_kits_that_are_none(of_2012):
    numbers = official.NUMBERS
    refused(of_2012, KIT, official.kit(2012, meta=b"MATLAB 5.0 MAT-file".ljust(300)), "no table of synsets")
    refused(of_2012, KIT, official.kit(2012, meta=official.meta(2010)), "no table of synsets.*ILSVRC2012_ID")
    refused(of_2012, KIT, official.kit(2012, meta=official.meta(2012, {1: "n01440764", 3: "n02102040"})), "not numbered from 1")
    refused(of_2012, KIT, official.kit(2012, meta=official.meta(2012, numbers | {3: "n01440764"})), "the same WordNet ID")
    refused(of_2012, KIT, official.kit(2012, meta=official.meta(2012, numbers | {3: "../evil"})), "WordNet ID is none")
    for truth in (b"1\n2\n4\n", b"1\n0\n", b"one\n", b"-1\n", b"1.5\n", b"\n", b"9" * 5000):
        refused(of_2012, KIT, official.kit(2012, truth=truth), "one number from 1 to 3 a picture")
    refused(of_2012, KIT, official.tar([("ILSVRC2012_devkit_t12/readme.txt", b"")], mode="w:gz"), "holds no .*meta.mat")


def test_a_kit_that_is_a_bomb_is_not_unpacked(of_2012, monkeypatch):
    monkeypatch.setattr(kit, "LARGEST", 2000)
    refused(of_2012, KIT, official.kit(2012, truth=b"1\n" * 3000), "this is not the official kit")
    bomb = official.meta(2012, {n: f"n{n:08d}" for n in range(1, 300)})
    monkeypatch.setattr(kit, "LARGEST", len(bomb) + 10)  # compressed it is small enough
    refused(of_2012, KIT, official.kit(2012, meta=bomb), "larger than")


def test_blank_pictures_of_2010_are_replaced_where_their_archive_is_there(of_2010):
    ours = of_2010()
    train, held = ("n01440764_0.JPEG", b"new"), ("ILSVRC2010_test_00000003.JPEG", b"other")
    (ours.source / ilsvrc.PATCHES).write_bytes(official.tar([(f"patch/train/{train[0]}", train[1]), (f"patch/test/{held[0]}", held[1])]))
    listing = sources.listing(ours)
    wnid = official.held(2010, "test")[held[0]][0]
    assert bytes_of(listing, "train") == TRAIN_EXPECTED | {f"train/n01440764/{train[0]}": ("n01440764", train[1])}
    assert bytes_of(listing, "val")[f"test/{wnid}/{held[0]}"] == (wnid, held[1])
    assert sources.provide(ours).endswith("2 are from patch_images.tar.")


def test_a_jpeg_that_is_compressed_once_more_is_read(of_2012):
    """As n02487347_1956.JPEG of ILSVRC-2010 is."""
    from replicate.pictures.prepare import prepare
    from replicate.pictures.store import open_store

    prepare(of_2012, workers=1)
    before = open_store(of_2012.store)
    train = official.train()
    first = train["n01440764"]["n01440764_0.JPEG"]
    train["n01440764"]["n01440764_0.JPEG"] = gzip.compress(first)
    (of_2012.source / TRAIN).write_bytes(official.train_archive(train))
    prepare(of_2012, workers=1)
    after = open_store(of_2012.store)
    assert (before.train.take(range(12)) == after.train.take(range(12))).all() and before.identity != after.identity
    assert (before.manifest.train.not_jpeg, after.manifest.train.not_jpeg) == (0, 1)


@pytest.mark.skipif(not DEVKIT_2010.is_file(), reason="REPLICATE_DATA names no folder with reference/ilsvrc2010_devkit.tar.gz")
def test_the_real_kit_of_2010():
    """What its readme says of it: 1000 classes, the pictures for training and validation."""
    devkit = kit.read(DEVKIT_2010, "devkit-1.0", 2010)
    assert len(set(devkit.classes)) == len(devkit.wnids) == 1000
    assert sum(devkit.train_pictures.values()) == 1_261_406
    assert Counter(devkit.truth) == {number: 50 for number in range(1, 1001)}
