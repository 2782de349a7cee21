"""Imagenette as fast.ai publishes it (shorter side 320) → the small recoded set `imagenette-256q60`.

Pictures keep their names. The recoding gives the same bytes wherever Pillow has the same version.
"""

import io
import shutil
import socket
from pathlib import Path

from PIL import Image

from replicate.errors import UserError
from replicate.pictures.folders import new_folder
from replicate.pictures.imagenette import FOLDER, each
from replicate.settings import Profile

SHORT, ELONGATION, QUALITY = 256, 1.125, 60
PUBLISHED = "imagenette2-320"  # what torchvision's archive holds
SECONDS = 30  # without an answer of the server


def recode(data: bytes) -> bytes:
    """One JPEG: cut to at most 1.125 times its shorter side, resized to 256 by Lanczos, quality 60."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        width, height = image.size
        short = min(width, height)
        longest = int(ELONGATION * short)
        box_width, box_height = min(width, longest), min(height, longest)
        left, top = (width - box_width) / 2, (height - box_height) / 2
        size = (max(SHORT, round(box_width * SHORT / short)), max(SHORT, round(box_height * SHORT / short)))
        box = (left, top, left + box_width, top + box_height)
        image = image.resize(size, Image.Resampling.LANCZOS, box=box)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    return out.getvalue()


def recode_folder(published: Path, folder: Path) -> int:
    """Recodes `published/{train,val}/<class>/*` into `folder`; returns the number of pictures."""
    count = 0
    for count, name in enumerate(each(published, folder, "recode"), 1):
        try:
            (folder / name).write_bytes(recode((published / name).read_bytes()))
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"{published / name}: cannot be recoded ({error})") from None
    return count


def fetch_imagenette(profile: Profile) -> str:
    """Downloads Imagenette (340 MB) and puts the recoded set at `data/<profile>/source/imagenette2`.

    UserError where there is no internet, or where something is there already; nothing half-written stays.
    """
    if profile.source.is_symlink() or profile.source.exists():
        shown = profile.source.relative_to(profile.root)
        raise UserError(f"{shown}: already there; remove it to fetch the pictures anew")
    download = profile.source.parent / "download"
    shutil.rmtree(download, ignore_errors=True)  # of a run that was killed
    try:
        _download(download)
        with new_folder(profile.source) as temporary:
            count = recode_folder(download / PUBLISHED, temporary / FOLDER)
    finally:
        shutil.rmtree(download, ignore_errors=True)
    return f"Fetched and recoded {count} pictures: {profile.source.relative_to(profile.root) / FOLDER}"


def _download(folder: Path) -> None:
    from torchvision.datasets import Imagenette

    folder.mkdir(parents=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        Imagenette(folder, size="320px", download=True)
    except (OSError, RuntimeError) as error:  # URLError and timeouts are OSErrors; RuntimeError: wrong checksum
        raise UserError(
            f"Imagenette cannot be downloaded ({error}); is there internet? Where there is none, put the pictures "
            f"where `replicate source --help` says"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
