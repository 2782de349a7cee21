import io
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from replicate.errors import UserError
from replicate.pictures import draw, imagenette, recode, sources
from replicate.pictures.listing import scan
from replicate.pictures.recode import fetch_imagenette

IMAGENETTE = {"kind": "imagenette", "name": "imagenette-small"}
DATA = Path(os.environ.get("REPLICATE_DATA", "nowhere"))
SAMPLE = DATA / "imagenette2-320-sample.tar"


def recoded_pictures(names: set[str]) -> dict[str, bytes]:
    """The pictures of these names (`train/<class>/<file>`) from a folder or the archives."""
    folder = DATA / "imagenette2"
    if folder.is_dir():
        return {name: (folder / name).read_bytes() for name in names}
    found = {}
    for archive in imagenette.ARCHIVES:
        with tarfile.open(DATA / archive, "r:xz") as tar:
            for member in tar:
                name = member.name.removeprefix("imagenette2/")
                if name in names:
                    found[name] = tar.extractfile(member).read()
    return found


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_file(), reason="REPLICATE_DATA names no folder with imagenette2-320-sample.tar")
def test_the_sample_becomes_the_bytes_of_the_recoded_set():
    with tarfile.open(SAMPLE) as tar:
        published = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in tar if m.isfile()}
    assert len(published) == 40
    expected = recoded_pictures(set(published))
    assert {name: recode.recode(data) for name, data in published.items()} == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 320), (288, 256)), ((320, 700), (256, 288)), ((340, 320), (272, 256)), ((320, 320), (256, 256))],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_sizes_and_modes(size, expected, mode):
    out = io.BytesIO()
    draw.picture(1, "train", 0, 0).convert("RGB").resize(size).convert(mode).save(out, "JPEG")
    image = Image.open(io.BytesIO(recode.recode(out.getvalue())))
    assert image.size == expected
    assert image.mode == {"RGB": "RGB", "L": "L", "CMYK": "RGB"}[mode]


def published(folder):
    draw.draw(folder / recode.PUBLISHED, 1, 1, 1)


def test_fetching_puts_the_recoded_set_where_the_source_is(profile, monkeypatch):
    ours = profile(IMAGENETTE)
    monkeypatch.setattr(recode, "_download", published)
    assert "20 pictures" in fetch_imagenette(ours)
    sources.provide(ours)
    names = [name for name, _, _ in scan(ours.pictures).pictures["train"]]
    assert len(names) == 10 and all(min(Image.open(ours.pictures / name).size) == 256 for name in names)
    assert sorted(path.name for path in ours.source.parent.iterdir()) == ["pictures", "source"]
    with pytest.raises(UserError, match="already there"):
        fetch_imagenette(ours)


def test_no_internet_is_one_line_and_leaves_nothing(profile, monkeypatch):
    import torchvision.datasets

    def unreachable(folder, **_):
        (Path(folder) / "half.tgz").write_bytes(b"half")
        raise OSError("Name or service not known")

    monkeypatch.setattr(torchvision.datasets, "Imagenette", unreachable)
    ours = profile(IMAGENETTE)
    with pytest.raises(UserError, match="is there internet") as error:
        fetch_imagenette(ours)
    assert "\n" not in str(error.value)
    assert not list(ours.source.parent.iterdir())


def test_a_published_picture_that_is_damaged_leaves_nothing(profile, monkeypatch):
    def damaged(folder):
        published(folder)
        next((folder / recode.PUBLISHED).rglob("*.JPEG")).write_bytes(b"x")

    monkeypatch.setattr(recode, "_download", damaged)
    ours = profile(IMAGENETTE)
    with pytest.raises(UserError, match="cannot be recoded"):
        fetch_imagenette(ours)
    assert not list(ours.source.parent.iterdir())
