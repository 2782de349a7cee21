"""The contest's own files are counted where they are, and nothing else is read."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from replicate import records
from replicate.errors import UserError
from replicate.pictures.devkit import RECORD, count
from tests.conftest import ROOT

META, LABELS = "devkit-1.0/data/meta.mat", "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt"
PICTURES = {1: 7, 2: 5, 3: 12}  # of each class; numbers beyond the classes are synsets above them


def meta(pictures=PICTURES, children=(0, 0, 0, 2)) -> bytes:
    numbers = [*pictures, len(pictures) + 1]
    fields = {
        "ILSVRC2010_ID": numbers, "WNID": [f"n{number:08}" for number in numbers], "num_children": children,
        "num_train_images": [*pictures.values(), 99],
    }  # fmt: skip
    synsets = np.zeros(len(numbers), dtype=[(name, object) for name in fields])
    for name, values in fields.items():
        synsets[name] = list(values)
    file = io.BytesIO()
    savemat(file, {"synsets": synsets})
    return file.getvalue()


def kit(path, members: dict[str, bytes | tarfile.TarInfo]):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def members(**change) -> dict:
    return {META: meta(), LABELS: b"1\n2\n3\n3\n1\n2\n"} | change


def test_counts_become_a_record_without_paths(tmp_path):
    archive = kit(tmp_path / "kit.tar.gz", members())
    found = count(archive, None, tmp_path, "replicate count-devkit kit.tar.gz")
    assert records.read(tmp_path / RECORD) == found
    values = found.values
    assert (values["classes"], values["train_pictures"], values["val_pictures"], values["test_pictures"]) == (3, 24, 6, None)
    assert values["train_per_class"] == {"least": 5, "median": 7, "mean": 8, "most": 12}
    assert set(values["sha256"]) == {"meta.mat", "ILSVRC2010_validation_ground_truth.txt"}
    assert str(tmp_path) not in json.dumps(found.model_dump())


def test_labels_of_the_test_pictures_are_counted_beside_it(tmp_path):
    labels = tmp_path / "ILSVRC2010_test_ground_truth.txt"
    labels.write_text("1\n1\n2\n3\n")
    found = count(kit(tmp_path / "kit.tar.gz", members()), labels, tmp_path, "")
    assert found.values["test_pictures"] == 4 and labels.name in found.values["sha256"]


def test_other_members_are_passed_over_and_nothing_is_unpacked(tmp_path):
    found = count(kit(tmp_path / "kit.tar.gz", {"devkit-1.0/readme.txt": b"x"} | members()), None, tmp_path / "clone", "")
    assert found.values["train_pictures"] == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone", "kit.tar.gz"]


def link(name: str) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return found


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({META: b"not a table"}, "no table of synsets"),
        ({META: meta({1: 3, 3: 4, 4: 5})}, "not numbered from 1"),
        ({LABELS: b"1\n4\n"}, "one number from 1 to 3"),
        ({LABELS: b"one\n"}, "one number from 1 to 3"),
        ({LABELS: b""}, "one number from 1 to 3"),
        ({META: link(META)}, "symbolic link"),
        ({"../outside": b"x"}, "outside"),
    ],
)
def test_what_is_no_kit_is_one_line_and_no_record(tmp_path, change, fault):
    archive = kit(tmp_path / "kit.tar.gz", members() | change)
    with pytest.raises(UserError, match=fault) as error:
        count(archive, None, tmp_path, "")
    assert "\n" not in str(error.value) and not (tmp_path / RECORD).exists()


def test_other_files_are_one_line(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        count(tmp_path / "none.tar.gz", None, tmp_path, "")
    (tmp_path / "text").write_text("text")
    with pytest.raises(UserError, match="text: .*cut off"):
        count(tmp_path / "text", None, tmp_path, "")
    with pytest.raises(UserError, match=f"holds no {META}"):
        count(kit(tmp_path / "half.tar.gz", {LABELS: b"1\n"}), None, tmp_path, "")
    whole = kit(tmp_path / "kit.tar.gz", members()).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        count(tmp_path / "cut.tar.gz", None, tmp_path, "")


def test_the_committed_counts_are_those_of_the_official_kit(tmp_path):
    archive = Path(os.environ.get("REPLICATE_DATA", "")) / "reference" / "ilsvrc2010_devkit.tar.gz"
    if not archive.is_file():
        pytest.skip("REPLICATE_DATA names no folder with reference/ilsvrc2010_devkit.tar.gz")
    found = count(archive, None, tmp_path, "").values
    assert found | {"test_pictures": None} == records.read(ROOT / RECORD).values | {"test_pictures": None}
