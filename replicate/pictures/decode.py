"""One picture file → side×side×3: the shorter side resized to `side`, then the central square (section 2).

JPEGs are decoded by libjpeg-turbo (simplejpeg: the same pixels as Pillow's). CMYK files and everything that is not a
JPEG, whatever its suffix, go through Pillow. The paper does not name its filter. EXIF's orientation is ignored (what
the authors did is unknown); `read_header` tells it, so that it can be counted.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from replicate.pictures.resize import Filter, central_square

MAX_PIXELS = 178_956_970  # where Pillow refuses a picture as a decompression bomb
TOO_LARGE = f"too large: more than {MAX_PIXELS} pixels"
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")  # no EPS or PDF, which run a program
ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
STRAY = 8  # bytes between the last pixel and the mark of the end that some programs leave; nothing is missing then


class BrokenPicture(Exception):
    """A file that cannot be read as a picture. Its text is the reason, and the same on every machine."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded. `grey` means one channel (and perhaps transparency)."""

    jpeg: bool
    width: int
    height: int
    grey: bool
    cmyk: bool
    rotated: bool


def decode(data: bytes, side: int, filter: Filter) -> np.ndarray:
    """The picture in `data` as uint8 (side, side, 3), RGB; grey ones get three equal channels.

    Transparency is dropped, of an animation the first frame is taken, 16 bits are cut to their upper 8.
    Raises BrokenPicture for what is no picture, truncated or damaged, and for more than MAX_PIXELS.
    """
    header = read_header(data)
    short, long = sorted((header.width, header.height))
    if side * (side * long // short) > MAX_PIXELS:
        raise BrokenPicture(f"too elongated: {header.width}x{header.height} pixels")
    if header.jpeg and not header.cmyk:
        pixels = _decode_jpeg(data)
    else:
        pixels = _decode_any(data)
    return central_square(pixels, side, filter)


def read_header(data: bytes) -> Header:
    """Format, size and colour space, from the first bytes. Raises BrokenPicture."""
    if not data:
        raise BrokenPicture("empty file")
    if data.startswith(b"\xff\xd8\xff"):
        try:
            height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        except (ValueError, KeyError):
            pass  # an unusual or damaged one; Pillow may know it
        else:
            _check_size(width, height)
            return Header(True, width, height, space == "Gray", space in ("CMYK", "YCCK"), _rotated(lambda: _exif(data)))
    with _open(data) as image:
        grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
        jpeg = image.format in ("JPEG", "MPO")
        return Header(jpeg, *image.size, grey, image.mode == "CMYK", _rotated(image.getexif))


def _rotated(exif: Callable[[], Image.Exif]) -> bool:
    """Whether EXIF asks for a turn or a reflection."""
    try:
        return exif().get(ORIENTATION, 1) not in (0, 1)
    except Exception:  # damaged EXIF raises nearly anything, and is no reason to lose the picture
        return False


def _exif(jpeg: bytes) -> Image.Exif:
    """What EXIF says, or nothing. Walks over the segments before the first scan, from length to length."""
    found, at = Image.Exif(), 2
    while jpeg[at : at + 1] == b"\xff" and jpeg[at + 1 : at + 2] not in (b"\xda", b"\xd9"):
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1 : at + 2] == b"\xe1" and jpeg[at + 4 : at + 10] == b"Exif\0\0":
            found.load(jpeg[at + 4 : end])
            break
        at = end
    return found


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BrokenPicture(TOO_LARGE)


def _open(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise BrokenPicture(TOO_LARGE) from None
    except MemoryError:
        raise
    except Exception:  # Pillow's readers raise nearly anything on damaged bytes
        raise BrokenPicture("not a picture of a known format") from None
    _check_size(*image.size)
    return image


def _decode_jpeg(data: bytes) -> np.ndarray:
    try:
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        message = str(error)
    if junk := re.search(r"(\d+) extraneous bytes before marker 0xd9", message):
        if int(junk[1]) > STRAY:  # so much is left over where a flipped bit has shifted what follows
            raise BrokenPicture("damaged")
        return simplejpeg.decode_jpeg(data, "RGB", strict=False)
    if "remature end" in message:  # libjpeg would fill the rest with grey
        raise BrokenPicture("truncated")
    return _decode_any(data)


def _decode_any(data: bytes) -> np.ndarray:
    try:
        with _open(data) as image, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.array(_rgb(image))
    except (BrokenPicture, MemoryError):
        raise
    except Exception as error:
        raise BrokenPicture("truncated" if "truncated" in str(error) else "damaged") from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise BrokenPicture("grey levels of no known range")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
