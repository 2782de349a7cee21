"""ILSVRC-2012 in the layout of Kaggle's copy: `ILSVRC/Data/CLS-LOC/{train/<wnid>/*.JPEG,val/*.JPEG}` and lists beside it.

The validation pictures lie flat; `LOC_val_solution.csv` has their classes, `LOC_synset_mapping.txt` all that there are.
"""

import csv
import re
from pathlib import Path

from replicate.errors import UserError
from replicate.pictures.folders import check_regular
from replicate.pictures.listing import Listing, Place, escaped, first_of, scan_files, scan_split

LABELS, CLASSES = "LOC_val_solution.csv", "LOC_synset_mapping.txt"


def data_folder(source: Path) -> Path:
    """The folder with `train/` and `val/`; `source` may be what Kaggle's archive unpacks to, or the folder ILSVRC in it."""
    below = source / "Data" / "CLS-LOC"
    return below if below.is_dir() else source / "ILSVRC" / "Data" / "CLS-LOC"


def needed(source: Path) -> list[Path]:
    """The folders and files without which there is no set of pictures."""
    return [data_folder(source) / "train", data_folder(source) / "val", source / LABELS, source / CLASSES]


def listing(source: Path) -> Listing:
    """UserError for what `listing.scan` refuses, and for classes and pictures that the two lists do not know."""
    folder = data_folder(source)
    classes = _classes(source / CLASSES)
    label = {wnid: i for i, wnid in enumerate(classes)}
    by_class, ignored = scan_split(folder, "train")
    if unknown := sorted(set(by_class) - set(classes)):
        raise UserError(f"{folder / 'train'}: class {first_of(unknown)} is not in {source / CLASSES}")
    if missing := sorted(set(classes) - set(by_class)):
        raise UserError(f"{folder / 'train'}: no folder of class {first_of(missing)}, which is in {source / CLASSES}")
    class_of = _labels(source / LABELS, label)
    found, others = scan_files(folder / "val")
    val, elsewhere, seen = [], {}, set()
    for file, size in sorted(found):
        wnid = class_of.get(file.rpartition(".")[0])
        if wnid is None:
            raise UserError(f"{escaped(folder / 'val' / file)}: not in {source / LABELS}")
        if file.rpartition(".")[0] in seen:
            raise UserError(f"{escaped(folder / 'val' / file)}: there with another suffix too; remove one of the two")
        seen.add(file.rpartition(".")[0])
        name = f"val/{wnid}/{file}"
        val.append((name, label[wnid], size))
        elsewhere[name] = Place(f"val/{file}", None, size)
    if missing := sorted(set(classes) - {class_of[file.rpartition(".")[0]] for file, _ in found}):
        raise UserError(f"{folder / 'val'}: no pictures of class {first_of(missing)}, which is in {source / CLASSES}")
    train = sorted((name, label[wnid], size) for wnid, files in by_class.items() for name, size in files)
    remark = "" if len(val) == len(class_of) else f"{LABELS} lists {len(class_of):,} validation pictures."
    return Listing(folder, classes, {"train": train, "val": sorted(val)}, ignored + others, elsewhere, remark=remark)


def _classes(path: Path) -> list[str]:
    wnids = [line.split(maxsplit=1)[0] for line in _text(path).splitlines() if line.strip()]
    if len(wnids) < 2 or len(set(wnids)) < len(wnids) or not all(re.fullmatch(r"n[0-9]{8}", wnid) for wnid in wnids):
        raise UserError(f"{path}: must hold a line `<wnid> words` for each of two classes or more")
    return sorted(wnids)


def _labels(path: Path, label: dict[str, int]) -> dict[str, str]:
    """Picture without its suffix → WordNet ID."""
    try:
        header, *rows = csv.reader(_text(path).splitlines())
    except (ValueError, csv.Error):
        header, rows = [], []
    if header != ["ImageId", "PredictionString"]:
        raise UserError(f"{path}: must hold lines of two columns, ImageId,PredictionString, and name them so in its first")
    found: dict[str, str] = {}
    for line, row in enumerate(rows, 2):
        words = row[1].split() if len(row) == 2 else []
        if not words or words[0] not in label or row[0] in found:
            raise UserError(f"{path}, line {line}: must name a picture, once, and a class of {CLASSES}")
        found[row[0]] = words[0]
    return found


def _text(path: Path) -> str:
    check_regular(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
