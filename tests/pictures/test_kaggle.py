"""Kaggle's layout of ILSVRC-2012, on small sets of the same form."""

import os

import pytest

from replicate.errors import UserError
from replicate.pictures import shards, sources
from tests.pictures import official

SOURCE = {"kind": "kaggle", "name": "small-2012"}


@pytest.fixture
def ours(profile):
    found = profile(SOURCE)
    official.kaggle(found.source)
    return found


@pytest.mark.parametrize("top", ["ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"])
def test_every_picture_with_its_class_and_bytes(profile, tmp_path, top):
    ours = profile(SOURCE)
    official.kaggle(ours.source, top)
    sources.check_presence(ours)
    listing = sources.listing(ours)
    assert listing.classes == official.CLASSES
    for split, files in (("train", official.train()), ("val", {})):
        wanted = {f"train/{wnid}/{name}": data for wnid, pictures in files.items() for name, data in pictures.items()}
        wanted = wanted or {f"val/{wnid}/{name}": data for name, (wnid, data) in official.held().items()}
        assert {name: shards.read(listing.folder, listing.place(name)) for name, _, _ in listing.pictures[split]} == wanted
        assert all(listing.classes[label] == name.split("/")[1] for name, label, _ in listing.pictures[split])
        assert all(size == len(wanted[name]) for name, _, size in listing.pictures[split])


def test_source_says_what_it_found(ours):
    assert sources.provide(ours).endswith("12 training and 6 validation pictures of 3 classes: data/test/source/ILSVRC/Data/CLS-LOC")
    (ours.source / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.JPEG").unlink()
    assert sources.provide(ours).endswith("LOC_val_solution.csv lists 6 validation pictures.")


def test_a_picture_that_is_there_with_two_suffixes(ours):
    folder = ours.source / "ILSVRC/Data/CLS-LOC/val"
    (folder / "ILSVRC2012_val_00000002.png").write_bytes(b"x")
    with pytest.raises(UserError, match="val_00000002.png: there with another suffix too; remove one") as error:
        sources.listing(ours)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["LOC_val_solution.csv", "LOC_synset_mapping.txt"])
def test_a_pipe_is_no_list_and_a_mark_of_windows_no_fault(ours, name):
    path, before = ours.source / name, sources.listing(ours)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert sources.listing(ours) == before
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{name}: no regular file"):
        sources.listing(ours)


@pytest.mark.parametrize("name", ["LOC_val_solution.csv", "LOC_synset_mapping.txt"])
def test_a_list_that_is_missing(ours, name):
    (ours.source / name).unlink()
    with pytest.raises(UserError, match=f"data/test/source/{name} is missing"):
        sources.check_presence(ours)


def test_lists_and_pictures_that_do_not_fit(ours):
    data, labels, classes = (ours.source / name for name in ("ILSVRC/Data/CLS-LOC", "LOC_val_solution.csv", "LOC_synset_mapping.txt"))

    def refused(path, text, match):
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(UserError, match=match) as error:
            sources.listing(ours)
        assert "\n" not in str(error.value)
        path.unlink() if before is None else path.write_bytes(before)

    lines = labels.read_text().splitlines()
    refused(labels, "\n".join(lines[:-1]), "val/ILSVRC2012_val_0000000[0-9].JPEG: not in")
    refused(labels, "\n".join([*lines, lines[1]]), "line 8: must name a picture, once")
    refused(labels, "\n".join([*lines, "x,n99999999 1 2 3 4"]), "line 8: must name a picture, once, and a class")
    for row in ("x", "x,", "x,y,z", " "):
        refused(labels, "\n".join([*lines, row]), "line 8: must name")
    refused(labels, "\n".join(lines[1:]), "must hold lines of two columns")
    refused(labels, "", "must hold lines of two columns")
    refused(labels, "\n".join([*lines, '"' + "x" * 200_000]), "must hold lines of two columns")
    refused(labels, b"\xff\xfe\x00", "cannot be read")
    refused(classes, "n01440764 tench\n", "two classes or more")
    refused(classes, classes.read_text() + "n99999999 what\n", "no folder of class 'n99999999'")
    refused(classes, "".join(classes.read_text().splitlines(True)[1:]), "class 'n01440764' is not in")
    refused(data / "val" / "notes.JPEG", b"x", "notes.JPEG: not in")
    refused(data / "train" / "n99999999" / "a.JPEG", b"x", "class 'n99999999' is not in")
