import io
import os
import tarfile

import pytest
from PIL import Image

from replicate.errors import UserError
from replicate.pictures import draw, imagenette, sources
from replicate.pictures.listing import scan

IMAGENETTE = {"kind": "imagenette", "name": "imagenette-small"}
DRAWN = {"kind": "drawn", "name": "drawn", "seed": 3, "train_per_class": 2, "val_per_class": 1}


def picture(path, colour=(200, 30, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), colour).save(path)


def small_set(folder):
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            picture(folder / split / name / "1.JPEG")
    return folder


def everything(folder):
    return {str(p.relative_to(folder)): p.is_file() and p.read_bytes() for p in sorted(folder.rglob("*"))}


def archives(folder, source, members=()):
    folder.mkdir()
    for name in imagenette.ARCHIVES:
        with tarfile.open(folder / name, "w:xz") as tar:
            split, label = {"train-1": ("train", "cat"), "train-2": ("train", "dog")}.get(
                name.removeprefix("imagenette2-").removesuffix(".tar.xz"), ("val", "")
            )
            tar.add(source / split / label, f"imagenette2/{split}/{label}".rstrip("/"))
            for member, data in members:
                tar.addfile(member, io.BytesIO(data))
    return folder


def test_drawn_pictures_are_drawn_into_the_profile_and_drawn_anew(profile):
    drawn = profile(DRAWN)
    sources.check_presence(drawn)
    assert "20 training and 10 validation" in sources.provide(drawn)
    before = everything(drawn.pictures)
    next(drawn.pictures.rglob("*.JPEG")).unlink()
    sources.provide(drawn)
    assert everything(drawn.pictures) == before
    assert sources.listing(drawn).folder == drawn.pictures
    assert [path.name for path in drawn.pictures.parent.iterdir()] == ["pictures"]


def test_a_link_for_the_pictures_is_followed_once_and_what_it_leads_to_is_never_deleted(profile, tmp_path):
    drawn = profile(DRAWN)
    drawn.pictures.parent.mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    drawn.pictures.symlink_to(tmp_path / "disk")
    sources.provide(drawn)
    assert drawn.pictures.is_symlink() and {path.name for path in (tmp_path / "disk").iterdir()} == {"train", "val"}
    before = everything(tmp_path / "disk")
    with pytest.raises(UserError, match="disk, which is not an empty folder; empty it, or remove the link"):
        sources.provide(drawn)
    assert everything(tmp_path / "disk") == before


def test_names_are_escaped_where_a_folder_is_refused(tmp_path):
    folder = small_set(tmp_path / "set")
    (folder / "train" / "a\x1b[31m").mkdir()
    with pytest.raises(UserError, match=r"/a\\x1b\[31m: class 'a\\x1b\[31m' has no pictures"):
        scan(folder)
    (folder / "train" / "a\x1b[31m").rmdir()
    (folder / "train" / "cat" / "b\nc").mkdir()
    with pytest.raises(UserError, match=r"/b\\nc: a folder"):
        scan(folder)


def test_a_pipe_among_the_pictures_is_not_copied(profile):
    ours = profile(IMAGENETTE)
    os.mkfifo(small_set(ours.source) / "train" / "cat" / "pipe.JPEG")
    with pytest.raises(UserError, match="pipe.JPEG: no file that can be read"):
        sources.provide(ours)
    assert not ours.pictures.exists()


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_is_read_where_it_is(profile, tmp_path, link):
    mine = profile()
    mine.source.parent.mkdir(parents=True)
    if link:
        mine.source.symlink_to(small_set(tmp_path / "elsewhere"))
    else:
        small_set(mine.source)
    picture(mine.source / "train" / "dog" / "2.png")
    before = everything(mine.source)
    sources.check_presence(mine)
    sources.provide(mine)
    assert sources.listing(mine).folder == mine.source
    assert everything(mine.source) == before
    assert (mine.pictures / "classes.csv").read_text() == "class,train,val\ncat,1,1\ndog,2,1\n"


@pytest.mark.parametrize("kind", ["folder", "imagenette"])
def test_no_pictures_says_where_to_put_them(profile, kind):
    missing = profile({"kind": kind, "name": "x"})
    for ask in (sources.check_presence, sources.provide):
        with pytest.raises(UserError, match="data/test/source") as error:
            ask(missing)
        assert "\n" not in str(error.value)
    if kind == "imagenette":
        assert "REPLICATE_DATA" in str(error.value) and "replicate fetch imagenette" in str(error.value)
    assert not missing.pictures.exists()


@pytest.mark.parametrize("inside", ["", "imagenette2"])
@pytest.mark.parametrize("how", ["source", "environment"])
def test_imagenette_from_a_folder(profile, tmp_path, monkeypatch, inside, how):
    ours = profile(IMAGENETTE)
    place = ours.source if how == "source" else tmp_path / "pictures"
    small_set(place / inside)
    if how == "environment":
        monkeypatch.setenv("REPLICATE_DATA", str(place))
    sources.check_presence(ours)
    sources.provide(ours)
    assert everything(ours.pictures) == everything(place / inside)
    theirs, copy = (folder / "train" / "cat" / "1.JPEG" for folder in (place / inside, ours.pictures))
    assert not os.path.samefile(theirs, copy)


def test_other_pictures_do_not_get_a_known_name(profile):
    ours = profile({"kind": "imagenette", "name": "imagenette-256q60"})
    small_set(ours.source)
    with pytest.raises(UserError, match="not 'imagenette-256q60'"):
        sources.provide(ours)
    assert not ours.pictures.exists()


def test_imagenette_from_the_archives(profile, tmp_path, monkeypatch):
    ours = profile(IMAGENETTE)
    small_set(tmp_path / "set")
    monkeypatch.setenv("REPLICATE_DATA", str(archives(tmp_path / "archives", tmp_path / "set")))
    sources.check_presence(ours)
    sources.provide(ours)
    assert everything(ours.pictures) == everything(tmp_path / "set")
    monkeypatch.delenv("REPLICATE_DATA")  # provided is provided
    sources.check_presence(ours)
    assert "Kept 2 training" in sources.provide(ours)


def test_an_archive_that_is_missing_or_damaged(profile, tmp_path, monkeypatch):
    ours = profile(IMAGENETTE)
    small_set(tmp_path / "set")
    place = archives(tmp_path / "archives", tmp_path / "set")
    monkeypatch.setenv("REPLICATE_DATA", str(place))
    last = place / imagenette.ARCHIVES[2]
    whole = last.read_bytes()
    for data in (whole[: len(whole) // 2], b"x" * 1000, whole[:100] + bytes(100) + whole[200:]):
        last.write_bytes(data)
        with pytest.raises(UserError, match="download it again"):
            sources.provide(ours)
    last.unlink()
    with pytest.raises(UserError, match="imagenette2-val.tar.xz is missing"):
        sources.check_presence(ours)
    assert not ours.pictures.exists() and not list(ours.pictures.parent.glob(".*"))


def odd(name, type=tarfile.REGTYPE, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = type, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        odd("../evil"),
        odd("/tmp/evil"),
        odd("imagenette2/train/cat/../../../../evil"),
        odd("imagenette2/train/cat/link", tarfile.SYMTYPE, "/etc/passwd"),
        odd("imagenette2/train/cat/hard", tarfile.LNKTYPE, "imagenette2/train/cat/1.JPEG"),
        odd("imagenette2/train/cat/device", tarfile.CHRTYPE),
        odd("imagenette2/setup.py"),
    ],
    ids=lambda member: member.name,
)
def test_an_archive_with_an_odd_member_is_refused(profile, tmp_path, monkeypatch, member):
    ours = profile(IMAGENETTE)
    small_set(tmp_path / "set")
    place = archives(tmp_path / "archives", tmp_path / "set", [(member, b"")])
    monkeypatch.setenv("REPLICATE_DATA", str(place))
    with pytest.raises(UserError, match="unexpected member"):
        sources.provide(ours)
    assert not ours.pictures.exists() and not (tmp_path / "evil").exists()


def test_what_is_listed_and_what_is_passed_over(tmp_path):
    folder = small_set(tmp_path / "set")
    picture(folder / "train" / "cat" / "B.PNG")
    for name in ("train/cat/.hidden.JPEG", "train/cat/README.txt", "train/notes.JPEG", ".git/x", "train/.cache/y"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "val" / "dog" / "gone.JPEG").symlink_to("nowhere")
    listing = scan(folder)
    assert listing.classes == ["cat", "dog"]
    assert [name for name, _, _ in listing.pictures["train"]] == ["train/cat/1.JPEG", "train/cat/B.PNG", "train/dog/1.JPEG"]
    assert ("val/dog/gone.JPEG", 1, -1) in listing.pictures["val"]
    assert listing.ignored == 1
    assert listing.counts("train") == [2, 1]


def test_layouts_that_are_refused(tmp_path):
    def refused(change, match):
        folder = tmp_path / f"set{len(list(tmp_path.iterdir()))}"
        change(small_set(folder))
        with pytest.raises(UserError, match=match) as error:
            scan(folder)
        assert "\n" not in str(error.value)

    def remove(folder):
        import shutil

        shutil.rmtree(folder)

    refused(lambda f: remove(f / "val"), "no folder val/")
    refused(lambda f: [remove(f / "val" / name) for name in ("cat", "dog")], "empty")
    refused(lambda f: (f / "val" / "dog" / "1.JPEG").unlink(), "class 'dog' has no pictures")
    refused(lambda f: (f / "train" / "cat" / "1.JPEG").rename(f / "train" / "cat" / "1.txt"), "class 'cat' has no pictures")
    refused(lambda f: remove(f / "val" / "cat"), "class 'cat' is in train/ and not in val/")
    refused(lambda f: picture(f / "val" / "emu" / "1.JPEG"), "class 'emu' is in val/ and not in train/")
    refused(lambda f: [remove(f / split / "cat") for split in ("train", "val")], "only one class")
    refused(lambda f: picture(f / "train" / "cat" / "images" / "1.JPEG"), "a folder, where only pictures are expected")


def test_the_classes_of_the_drawn_set_are_its_folders(profile):
    drawn = profile(DRAWN)
    sources.provide(drawn)
    assert scan(drawn.pictures).classes == sorted(draw.CLASSES)
