"""`bench data`: every comparison is made, on pictures that it is pointed at; no test asserts a time."""

import tarfile
import weakref

import numpy as np
import pytest
from PIL import Image

from replicate.errors import UserError
from replicate.measure import data
from replicate.pictures import draw
from replicate.settings import Pictures


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
    wanted = {
        "Pillow": "speed at least 1.85", "libjpeg-turbo": "speed at least 0.7", "2 processes": "speed at least 1.75",
        "sums for mean and PCA": "time at most 1.15", "sum of the pictures": "time at most 0.35", "products": "time at most 1.9",
        "NumPy loop": "speed at least 4", "training step": "speed at least 20",
    }  # fmt: skip
    for line, (part, target) in zip(lines, wanted.items(), strict=True):
        assert part in f"{line.what} / {line.against}" and f"{line.of} {line.target}" == target
    assert all(0 < line.low <= line.ratio <= line.high and line.rate > 0 for line in lines)
    assert differences["mean"] <= 0.5 and differences["most"] <= 3


def test_decoded_pictures_are_dropped_before_the_next():
    """Memory that is kept has to be had fresh, and that would be timed with the decoding."""
    alive, most = weakref.WeakSet(), []

    def decoder(one):
        most.append(len(alive))
        picture = np.zeros(one[0], np.uint8).view(Picture)
        alive.add(picture)
        return picture

    class Picture(np.ndarray):
        __hash__ = object.__hash__

    data._each(decoder, [b"1", b"2", b"3"])
    assert most == [0, 0, 0] and not alive


@pytest.mark.parametrize(
    ("ours", "theirs", "target", "ratio", "met"),
    [
        ([1, 1, 1], [2, 3, 4], {"least": 2}, 3, "yes"),
        ([1, 1, 1], [2, 3, 4], {"least": 2.5}, 3, "within its spread"),
        ([1, 1, 1], [2, 3, 4], {"least": 3.5}, 3, "within its spread"),
        ([1, 1, 1], [2, 3, 4], {"least": 4.5}, 3, "no"),
        ([2, 3, 4], [1, 1, 1], {"most": 4}, 3, "yes"),
        ([2, 3, 4], [1, 1, 1], {"most": 3.5}, 3, "within its spread"),
        ([2, 3, 4], [1, 1, 1], {"most": 1.9}, 3, "no"),
    ],
)
def test_a_target_is_met_by_all_rounds_by_none_or_within_the_spread(ours, theirs, target, ratio, met):
    line = data._line({"ours": ours, "theirs": theirs}, "ours", "theirs", 12, "pictures", **target)
    assert (line.ratio, line.low, line.high, line.met) == (ratio, 2, 4, met)
    assert line.rate == pytest.approx(12 / sorted(ours)[1])


def test_what_the_sums_add_to_prepare(photographs, monkeypatch):
    """A shard takes 10 s with its sum of 1 s; the PCA's sums 2 s more: 12 s beside 9 s."""
    monkeypatch.setattr(data, "_timed", lambda ways, *rest: {"shard": [10.0], "mean": [1.0], "pca": [2.0]})
    [line] = data._preparing([b"x"] * 3, Pictures(side=32, filter="bilinear", skip_broken=False), np.zeros((3, 2, 2, 3), np.uint8), 1)
    assert line.ratio == pytest.approx(12 / 9) and line.met == "no" and line.rate == pytest.approx(3 / 12)


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
