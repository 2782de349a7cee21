"""What cannot be read as a picture, or is none of the usual kind."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from replicate.errors import UserError
from replicate.pictures.decode import decode
from replicate.pictures.prepare import prepare
from replicate.pictures.store import open_store, verify
from tests.pictures.conftest import contents, refused


def spoil(source):
    """Six files that cannot be read, in several classes; returns what must be said of each."""
    train, val = source / "train", source / "val"
    whole = (train / "disc-checks" / "disc-checks_00001.JPEG").read_bytes()
    (train / "disc-checks" / "disc-checks_00001.JPEG").write_bytes(whole[: len(whole) // 2])
    (train / "ring-checks" / "empty.png").write_bytes(b"")
    (train / "ring-checks" / "text.jpg").write_bytes(b"not a picture at all")
    (train / "star-checks" / "gone.JPEG").symlink_to("nowhere")
    (train / "star-checks" / "long.png").write_bytes(png(Image.new("1", (60_000, 3_000))))
    (val / "disc-checks" / "cut.gif").write_bytes(png(Image.new("L", (50, 50)))[:60])
    return {
        "train/disc-checks/disc-checks_00001.JPEG": "truncated",
        "train/ring-checks/empty.png": "empty file",
        "train/ring-checks/text.jpg": "not a picture",
        "train/star-checks/gone.JPEG": "cannot be opened: No such file",
        "train/star-checks/long.png": "too large: more than 178956970 pixels",
        "val/disc-checks/cut.gif": "",
    }


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_pictures_that_cannot_be_read_are_all_named_and_stop_it(mine, capsys):
    ours = mine()
    prepare(ours, workers=1)
    before, record = contents(ours.store), ours.record("store").read_text()
    reasons = spoil(ours.source)
    with pytest.raises(UserError, match=r"^6 of 65 pictures .*skip_broken: true in pipelines/test/params.yaml$"):
        prepare(ours, workers=1)
    said = capsys.readouterr().err
    for name, reason in reasons.items():
        assert f"{ours.source / name}: {reason}" in said
    assert contents(ours.store) == before and ours.record("store").read_text() == record
    verify(open_store(ours.store))


def test_skip_broken_leaves_them_out_and_lists_them(mine):
    ours = mine(skip_broken=True)
    reasons = spoil(ours.source)
    said = prepare(ours, workers=1)
    opened = open_store(ours.store)
    verify(opened)
    assert (len(opened.train), len(opened.val)) == (39, 20)
    left_out = opened.manifest.train.left_out + opened.manifest.val.left_out
    assert {picture.file for picture in left_out} == set(reasons)
    assert not set(reasons) & set(opened.train.names + opened.val.names)
    assert all(name in said for name in reasons)
    pictures = opened.train.take(range(39))
    for name, pixels in zip(opened.train.names, pictures, strict=True):
        assert np.array_equal(pixels, decode((ours.source / name).read_bytes(), 32, "bilinear"))
    with pytest.raises(UserError, match="6 of 65"):  # and the parameter alone decides
        prepare(mine(skip_broken=False), workers=1)


def test_a_class_of_which_nothing_can_be_read(mine):
    ours = mine(skip_broken=True)
    for path in (ours.source / "val" / "star-checks").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(UserError, match="val/star-checks: none of its pictures can be read"):
        prepare(ours, workers=1)
    assert not ours.store.exists()


def test_kinds_of_files_are_counted(mine):
    ours = mine()
    exif = Image.Exif()
    exif[0x0112] = 8
    folder = ours.source / "val" / "disc-checks"
    base = Image.open(folder / "disc-checks_00000.JPEG").convert("RGB")
    base.save(folder / "a.JPEG", exif=exif)
    base.convert("CMYK").save(folder / "b.JPEG")
    (folder / "c.JPEG").write_bytes(png(base.convert("L")))
    before = Image.open(folder / "a.JPEG").size
    prepare(ours, workers=1)
    val = open_store(ours.store).manifest.val
    grey = sum(Image.open(path).mode == "L" for path in (ours.source / "val").rglob("*.JPEG"))
    assert (val.pictures, val.exif_rotated, val.cmyk, val.not_jpeg, val.greyscale) == (23, 1, 1, 1, grey)
    assert Image.open(folder / "a.JPEG").size == before


@pytest.mark.parametrize("skip_broken", [False, True])
def test_a_repaired_picture_is_read_again(mine, skip_broken):
    """Even where its repair has the same number of bytes."""
    ours = mine(skip_broken=skip_broken)
    path = ours.source / "train" / "disc-checks" / "disc-checks_00001.JPEG"
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    if skip_broken:
        prepare(ours, workers=1)
        assert len(open_store(ours.store).train) == 39
    else:
        with pytest.raises(UserError, match="1 of 60 pictures"):
            prepare(ours, workers=1)
    path.write_bytes(whole)
    prepare(ours, workers=1)
    assert len(open_store(ours.store).train) == 40


def test_the_name_of_a_file_cannot_speak_to_the_terminal(mine, capsys):
    ours = mine(skip_broken=True)
    name = "red\x1b[31m\nError: none\u202e.png"
    (ours.source / "train" / "disc-checks" / name).write_bytes(b"no picture")
    said = prepare(ours, workers=1)
    with pytest.raises(UserError, match="1 of 61"):
        prepare(mine(skip_broken=False), workers=1)
    for text in (said, capsys.readouterr().err):
        assert r"red\x1b[31m\nError: none\u202e.png: not a picture" in text and "\x1b" not in text


def test_a_pipe_is_no_picture(mine, capsys):
    ours = mine()
    os.mkfifo(ours.source / "train" / "disc-checks" / "pipe.JPEG")
    refused(ours, "1 of 61 pictures")
    assert "pipe.JPEG: no regular file" in capsys.readouterr().err
