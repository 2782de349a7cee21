"""Looking at a store: is every file as it should be, what is in it, and one of its pictures."""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.pictures.listing import SUFFIXES
from replicate.pictures.store import Store, expected, read_list, read_manifest


def checked(folder: Path, full: bool) -> tuple[int, list[str]]:
    """(number of files, one line for each that is missing, short or, with `full`, altered) of the store in `folder`."""
    manifest = read_manifest(folder)
    files_of = expected(manifest)
    listed = {f"{name}.csv": manifest.split(name).pictures for name in ("train", "val")}
    faults = []
    for file, (size, sha256) in tqdm(sorted(files_of.items()), unit=" files", leave=False, disable=None if full else True):
        path = folder / file
        if not path.is_file():
            faults.append(f"{path}: missing")
        elif size is not None and path.stat().st_size != size:
            faults.append(f"{path}: {path.stat().st_size} bytes instead of {size}")
        elif full and files.sha256(path) != sha256:
            faults.append(f"{path}: altered")
        elif file in listed and (fault := _fault_of_list(path, listed[file])):
            faults.append(f"{path}: {fault}")
    return len(files_of), faults


def _fault_of_list(path: Path, pictures: int) -> str:
    try:
        found = sum(1 for _ in read_list(path))
    except UserError:
        return "altered"
    return f"{found} pictures instead of {pictures}" if found != pictures else ""


def describe(store: Store) -> list[tuple[str, str]]:
    """What is in a store, as (what, value) in words."""
    manifest, lines = store.manifest, []
    for name in ("train", "val"):
        split = manifest.split(name)
        lines.append((f"{name} pictures", f"{split.pictures:,} in {len(split.shards):,} shards"))
        for what, count in (("greyscale", split.greyscale), ("CMYK", split.cmyk), ("not JPEG", split.not_jpeg),
                            ("turned by EXIF (ignored)", split.exif_rotated), ("left out", len(split.left_out))):  # fmt: skip
            if count:
                lines.append((f"  {what}", f"{count:,}"))
    size = sum(path.stat().st_size for path in store.folder.iterdir())
    red, green, blue = store.mean.mean((0, 1), dtype=np.float64)
    return [
        ("source", manifest.source),
        ("classes", f"{len(manifest.classes):,}"),
        ("side", f"{manifest.side} pixels, {manifest.filter} filter"),
        *lines,
        ("mean colour", f"{red:.2f} {green:.2f} {blue:.2f} (R G B, 0..255)"),
        ("bytes", f"{size:,}"),
        ("identity", store.identity),
    ]


def save_picture(store: Store, name: str, index: int, path: Path) -> tuple[str, str]:
    """Writes picture `index` of a split to `path`, atomically; returns its name and its class."""
    split = store.train if name == "train" else store.val
    if index >= len(split):
        raise UserError(f"--index {index}: the {name} split has {len(split):,} pictures, 0 to {len(split) - 1}")
    if path.suffix.lower() not in SUFFIXES:  # Pillow writes documents too
        raise UserError(f"{path}: {path.suffix!r} is the suffix of no format for pictures; use .png")
    with files.atomic(path) as temporary:
        Image.fromarray(split.take([index])[0]).save(temporary)
    return split.names[index], store.classes[split.labels[index]]
