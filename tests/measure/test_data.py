"""`bench data`: every comparison is made, on pictures that it is pointed at; no test asserts a time."""

import tarfile

import numpy as np
import pytest
from PIL import Image

from replicate.errors import UserError
from replicate.measure import data
from replicate.pictures import draw


@pytest.fixture
def photographs(tmp_path):
    """Twelve JPEGs, and one that is grey."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(12):
        draw.picture(1, "train", number % 10, number).convert("RGB").resize((90, 70)).save(folder / f"{number:02d}.JPEG")
    Image.new("L", (90, 70)).save(folder / "grey.JPEG")
    return folder


def test_every_comparison_has_its_line(photographs, small_profile):
    lines, differences = data.bench(small_profile, photographs, most=10, rounds=1)
    said = [f"{line.what} / {line.against}" for line in lines]
    for part in ("Pillow", "libjpeg-turbo", "2 processes", "sum of the pictures", "products", "NumPy loop", "training step"):
        assert any(part in one for one in said), part
    assert all(0 < line.low <= line.ratio <= line.high and line.rate > 0 for line in lines)
    assert differences["mean"] <= 0.5 and differences["most"] <= 3


def test_a_tar_is_the_same_as_its_folder(photographs, tmp_path):
    with tarfile.open(tmp_path / "photographs.tar", "w") as archive:
        for path in sorted(photographs.iterdir(), reverse=True):
            archive.add(path, path.name)
    assert data._photographs(tmp_path / "photographs.tar", 100) == data._photographs(photographs, 100)
    assert len(data._photographs(photographs, 100)) == 12  # the grey one is left out


def test_what_cannot_be_timed_is_one_line(tmp_path):
    with pytest.raises(UserError, match="at least 10"):
        data._photographs(tmp_path, 100)
    (tmp_path / "x.tar").write_bytes(b"no tar")
    with pytest.raises(UserError, match="neither a folder nor a tar"):
        data._photographs(tmp_path / "x.tar", 100)


def test_the_plain_loop_gives_the_same_batch(photographs, small_profile, monkeypatch):
    """The two ways of a batch that are compared do the same work."""
    made = {}
    monkeypatch.setattr(data, "_timed", lambda ways, *rest: made.update({k: w() for k, w in ways.items()}) or {k: [1.0] for k in ways})
    stored = np.stack([data.decode(one, small_profile.settings.pictures.side, "bilinear") for one in data._photographs(photographs, 10)])
    data._feeding(small_profile.settings, stored, 1)
    ours, plain = (next(made[k] for k in made if part in k) for part in ("a batch of", "NumPy loop"))
    np.testing.assert_allclose(ours.transpose(0, 3, 1, 2), plain, atol=1e-4)
