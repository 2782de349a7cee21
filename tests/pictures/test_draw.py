import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from replicate.errors import UserError
from replicate.pictures import draw


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.JPEG")}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    draw.draw(tmp_path / "a", 7, 2, 1)
    draw.draw(tmp_path / "b", 7, 2, 1)
    draw.draw(tmp_path / "c", 8, 2, 1)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert len(a) == 30 and a == b
    assert a.keys() == c.keys() and all(a[name] != c[name] for name in a)
    assert len(set(a.values())) == 30  # no two pictures are alike


def test_a_picture_depends_on_its_own_name_only(tmp_path):
    draw.draw(tmp_path / "few", 7, 2, 1)
    draw.draw(tmp_path / "more", 7, 3, 2)
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    assert few.items() <= more.items()
    alone = jpeg(draw.picture(7, "val", 9, 0))
    assert alone == few["val/ring-stripes/ring-stripes_00000.JPEG"]


def test_the_first_pictures_are_those_of_every_other_machine():
    pixels, files = hashlib.sha256(), hashlib.sha256()
    for label in range(10):
        image = draw.picture(2012, "train", label, 0)
        pixels.update(image.tobytes())
        files.update(jpeg(image))
    assert pixels.hexdigest() == "1262553c430130a6ad0b9a359e97b5cd388e5ad81b229ed6b9378418ae6e2e1a"
    assert files.hexdigest() == "23abcced62ddb6fb6635022cbecf90b2dced1a982fb7bd2be140b50c5c5e86ec"


def test_sizes_vary_and_some_pictures_are_grey():
    images = [draw.picture(1, "train", n % 10, n) for n in range(400)]
    short = np.array([min(image.size) for image in images])
    ratio = np.array([max(image.size) / min(image.size) for image in images])
    assert short.min() < 60 and short.max() > 116
    assert ratio.min() < 1.05 and 1.7 < ratio.max() <= 1.8
    assert any(image.width > image.height for image in images) and any(image.height > image.width for image in images)
    assert 3 <= sum(image.mode == "L" for image in images) <= 30


def test_the_light_of_a_picture_has_a_colour():
    """Ratios of the channels' means vary from picture to picture more than the background alone would."""
    means = np.array([np.asarray(draw.picture(1, "train", n % 10, n).convert("RGB")).mean((0, 1)) for n in range(200)])
    assert np.log(means[:, 0] / means[:, 2]).std() > 0.1
    assert np.log(means.mean(axis=1)).std() > 0.15


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="already there"):
        draw.draw(tmp_path / "mine", 1, 1, 1)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_an_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(draw, "picture", stop)
    with pytest.raises(KeyboardInterrupt):
        draw.draw(tmp_path / "set", 1, 1, 1)
    assert not list(tmp_path.iterdir())
