import io

import numpy as np
import pytest
from PIL import Image

from replicate.pictures import decode as module
from replicate.pictures import draw
from replicate.pictures.decode import BrokenPicture, decode, read_header

PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def encode(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def drawn(label: int = 3, number: int = 5) -> Image.Image:
    return draw.picture(1, "train", label, number).convert("RGB")


def smooth(width: int, height: int) -> Image.Image:
    return drawn().resize((width, height), Image.Resampling.BICUBIC)


def by_pillow(image: Image.Image, side: int, filter: str) -> np.ndarray:
    """The same by Pillow: shorter side to `side`, central crop."""
    short = min(image.size)
    image = image.convert("RGB").resize([int(side * n / short) for n in image.size], PILLOW[filter])
    left, top = (int(round((n - side) / 2)) for n in image.size)
    return np.asarray(image.crop((left, top, left + side, top + side)))


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(90, 60), (60, 91), (500, 375), (33, 47), (56, 56), (57, 56), (1000, 40), (3, 5)])
def test_the_same_as_pillows_resize_and_crop(size, filter):
    data = encode(smooth(*size), quality=95)
    ours = decode(data, 56, filter)
    theirs = by_pillow(Image.open(io.BytesIO(data)), 56, filter)
    assert ours.shape == (56, 56, 3) and ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - theirs).mean() <= 0.5
    assert np.abs(ours.astype(int) - theirs).max() <= 3


def test_the_filters_differ():
    data = encode(smooth(500, 375))
    assert not np.array_equal(decode(data, 56, "bilinear"), decode(data, 56, "bicubic"))


def test_a_picture_that_fits_is_cropped_and_not_resized():
    data = encode(smooth(75, 64))
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(decode(data, 64, "bilinear"), pixels[:, 6:70])  # (75 - 64) / 2 = 5.5, rounded to even
    square = encode(smooth(64, 64))
    assert np.array_equal(decode(square, 64, "bicubic"), np.asarray(Image.open(io.BytesIO(square))))


def test_tiny_and_huge_pictures():
    one = encode(Image.new("RGB", (1, 1), (9, 99, 199)), "PNG")
    assert decode(one, 32, "bilinear").tolist() == [[[9, 99, 199]] * 32] * 32
    assert decode(encode(Image.new("RGB", (6000, 5000), (0, 255, 0)), "PNG"), 32, "bicubic").shape == (32, 32, 3)


def test_more_pixels_than_the_limit_are_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(module, "_decode_any", lambda data: pytest.fail("decoded"))
    monkeypatch.setattr(module, "_decode_jpeg", lambda data: pytest.fail("decoded"))
    for picture in (encode(Image.new("1", (20_000, 10_000)), "PNG"), encode(Image.new("L", (14_000, 13_000)))):
        with pytest.raises(BrokenPicture, match="too large"):
            decode(picture, 32, "bilinear")
    with pytest.raises(BrokenPicture, match="too elongated"):
        decode(encode(Image.new("L", (1, 60_000))), 256, "bilinear")


def test_greyscale_becomes_three_equal_channels():
    data = encode(drawn().convert("L"))
    pixels = decode(data, 56, "bilinear")
    assert (pixels == pixels[..., :1]).all() and pixels.std() > 5
    assert read_header(data).grey and not read_header(encode(drawn())).grey


def test_cmyk_is_converted_as_pillow_does():
    data = encode(drawn().convert("CMYK"))
    header = read_header(data)
    assert header.cmyk and header.jpeg
    pixels = decode(data, 56, "bilinear").astype(int)
    assert np.abs(pixels - by_pillow(Image.open(io.BytesIO(data)), 56, "bilinear")).mean() < 0.5
    assert np.abs(pixels - by_pillow(drawn(), 56, "bilinear")).mean() < 10  # not inverted


def test_adobe_s_inverted_cmyk_and_ycck_have_the_colours_that_they_mean():
    red = encode(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), quality=95)  # Pillow writes Adobe's mark, and inverted
    assert b"Adobe" in red
    assert np.abs(decode(red, 56, "bilinear").astype(int) - [255, 0, 0]).max() <= 3
    at = red.index(b"Adobe") + 11  # the transform: 0 is CMYK, 2 is YCCK
    ycck = encode(drawn().convert("CMYK"), quality=95)
    ycck = ycck[: ycck.index(b"Adobe") + 11] + b"\x02" + ycck[ycck.index(b"Adobe") + 12 :]
    assert red[at] == 0 and read_header(ycck).cmyk
    theirs = by_pillow(Image.open(io.BytesIO(ycck)), 56, "bilinear")
    assert np.abs(decode(ycck, 56, "bilinear").astype(int) - theirs).max() <= 1


def test_a_progressive_jpeg_is_decoded_as_pillow_does():
    data = encode(smooth(90, 70), progressive=True)
    assert b"\xff\xc2" in data
    theirs = by_pillow(Image.open(io.BytesIO(data)), 56, "bilinear")
    assert np.abs(decode(data, 56, "bilinear").astype(int) - theirs).max() <= 1


def test_a_flipped_bit_that_leaves_bytes_over_is_damage():
    whole = encode(drawn())
    with pytest.raises(BrokenPicture, match="damaged"):
        decode(whole[:-2] + bytes(range(1, 100)) + whole[-2:], 56, "bilinear")


def test_a_png_under_any_suffix_with_16_bits_or_a_palette():
    grey = np.linspace(0, 65535, 64 * 80).astype(np.uint16).reshape(64, 80)
    pixels = decode(encode(Image.fromarray(grey), "PNG"), 64, "bilinear")
    assert np.array_equal(pixels, np.repeat((grey >> 8).astype(np.uint8)[:, 8:72, None], 3, axis=2))
    palette = drawn().quantize(64)
    data = encode(palette, "PNG")
    assert not read_header(data).jpeg
    assert np.abs(decode(data, 56, "bilinear").astype(int) - by_pillow(palette, 56, "bilinear")).mean() < 0.5
    transparent = encode(Image.new("RGBA", (64, 64), (10, 20, 30, 0)), "PNG")
    assert decode(transparent, 64, "bilinear")[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
def test_truncated_files_are_broken_and_not_filled_with_grey(format):
    whole = encode(drawn(), format)
    decode(whole, 56, "bilinear")
    for data in (whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(BrokenPicture):
            decode(data, 56, "bilinear")
    if format == "JPEG":
        for data in (whole[:-2], whole[: len(whole) // 2] + b"\xff\xd9"):
            with pytest.raises(BrokenPicture, match="truncated"):
                decode(data, 56, "bilinear")


def test_junk_around_the_last_marker_of_a_jpeg_is_harmless():
    whole = encode(drawn())
    for data in (whole + b"junk", whole[:-2] + b"xy" + whole[-2:]):
        assert np.array_equal(decode(data, 56, "bilinear"), decode(whole, 56, "bilinear"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am a text\n" * 9, "not a picture"),
        (b"\xff\xd8\xff" + bytes(99), "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a picture"),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(data, reason):
    with pytest.raises(BrokenPicture, match=reason):
        decode(data, 56, "bilinear")


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_exif_orientation_is_ignored_and_told(format):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, plain = encode(drawn(), format, exif=exif), encode(drawn(), format)
    assert np.array_equal(decode(turned, 56, "bilinear"), decode(plain, 56, "bilinear"))
    exif[0x0112] = 1
    upright = encode(drawn(), format, exif=exif)
    assert [read_header(data).rotated for data in (turned, plain, upright)] == [True, False, False]
    assert not read_header(turned.replace(b"Exif\0\0MM", b"Exif\0\0\xff\xff")).rotated or format == "PNG"
