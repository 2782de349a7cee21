"""Small sets in the official forms: the same drawn pictures as archives of 2012 and 2010, Kaggle's layout, and a folder."""

import io
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
from scipy.io import savemat

from replicate.pictures import cifar, draw

NUMBERS = {2: "n01440764", 3: "n02102040", 1: "n03000684"}  # a devkit's numbers do not follow the order of the WNIDs
CLASSES = sorted(NUMBERS.values())
TRAIN_PER_CLASS, HELD_PER_CLASS = 4, 2

Members = list[tuple[str | tarfile.TarInfo, bytes]]


@cache
def jpeg(split: str, label: int, number: int) -> bytes:
    out = io.BytesIO()
    draw.picture(5, split, label, number).save(out, "JPEG")
    return out.getvalue()


def train() -> dict[str, dict[str, bytes]]:
    """WNID → file → bytes."""
    return {
        wnid: {f"{wnid}_{7 * number}.JPEG": jpeg("train", label, number) for number in range(TRAIN_PER_CLASS)}
        for label, wnid in enumerate(CLASSES)
    }


def held(year: int = 2012, split: str = "val") -> dict[str, tuple[str, bytes]]:
    """File → (WNID, bytes); neighbours are of different classes."""
    found = {}
    for number in range(HELD_PER_CLASS * len(CLASSES)):
        label = (2 * number + (split == "test")) % len(CLASSES)
        found[f"ILSVRC{year}_{split}_{number + 1:08d}.JPEG"] = (CLASSES[label], jpeg("val", label, number + 100 * (split == "test")))
    return found


def tar(members: Members, format: int = tarfile.GNU_FORMAT, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def odd(name: str, type: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = type, target
    return member


def meta(year: int, numbers: dict[int, str] = NUMBERS, train_pictures: int = TRAIN_PER_CLASS) -> bytes:
    """A `meta.mat`: the classes, and above them one synset that has children."""
    rows = [
        (number, wnid, f"word {number}", f"gloss {number}", 0, np.zeros((0, 0)), 0, train_pictures)
        for number, wnid in sorted(numbers.items())
    ]
    rows.append((len(numbers) + 1, "n00001740", "entity", "what is", len(numbers), np.array(sorted(numbers)), 9, 0))
    fields = (f"ILSVRC{year}_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images")
    table = np.empty((len(rows), 1), dtype=[(field, object) for field in fields])
    for i, row in enumerate(rows):
        table[i, 0] = row
    out = io.BytesIO()
    savemat(out, {"synsets": table}, do_compression=True)
    return out.getvalue()


def truth(year: int, split: str = "val") -> bytes:
    number = {wnid: number for number, wnid in NUMBERS.items()}
    return "".join(f"{number[wnid]}\n" for _, (wnid, _) in sorted(held(year, split).items())).encode()


def kit(year: int, **changed: bytes) -> bytes:
    """The development kit; `meta=` and `truth=` replace its two files."""
    folder = "devkit-1.0" if year == 2010 else "ILSVRC2012_devkit_t12"
    members: Members = [
        (odd(folder, tarfile.DIRTYPE), b""),
        (f"{folder}/readme.txt", b"read me"),
        (f"{folder}/data/meta.mat", changed.get("meta") or meta(year)),
        (f"{folder}/data/ILSVRC{year}_validation_ground_truth.txt", changed.get("truth") or truth(year)),
    ]
    return tar(members, mode="w:gz")


def train_archive(pictures: dict[str, dict[str, bytes]] | None = None, **options) -> bytes:
    inner = {wnid: tar(list(files.items()), **options) for wnid, files in (pictures or train()).items()}
    return tar([(f"{wnid}.tar", data) for wnid, data in inner.items()], **options)


def held_archive(year: int = 2012, split: str = "val", front: str = "", **options) -> bytes:
    """Not in the order of the names."""
    return tar([(front + name, data) for name, (_, data) in reversed(held(year, split).items())], **options)


def ilsvrc2012(folder: Path, **options) -> Path:
    return _write(
        folder,
        {
            "ILSVRC2012_img_train.tar": train_archive(**options),
            "ILSVRC2012_img_val.tar": held_archive(**options),
            "ILSVRC2012_devkit_t12.tar.gz": kit(2012),
        },
    )


def ilsvrc2010(folder: Path, **options) -> Path:
    return _write(
        folder,
        {
            "ILSVRC2010_images_train.tar": train_archive(**options),
            "ILSVRC2010_images_val.tar": held_archive(2010, front="val/", **options),
            "ILSVRC2010_images_test.tar": held_archive(2010, "test", **options),
            "ILSVRC2010_devkit-1.0.tar.gz": kit(2010),
            "ILSVRC2010_test_ground_truth.txt": truth(2010, "test"),
        },
    )


def unpacked(folder: Path) -> Path:
    files = {f"train/{wnid}/{name}": data for wnid, pictures in train().items() for name, data in pictures.items()}
    return _write(folder, files | {f"val/{wnid}/{name}": data for name, (wnid, data) in held().items()})


def kaggle(folder: Path, top: str = "ILSVRC/Data/CLS-LOC") -> Path:
    files = {f"{top}/train/{wnid}/{name}": data for wnid, pictures in train().items() for name, data in pictures.items()}
    files |= {f"{top}/val/{name}": data for name, (_, data) in held().items()}
    rows = [f"{name.removesuffix('.JPEG')},{wnid} 85 1 499 272 {wnid} 3 4 5 6" for name, (wnid, _) in reversed(held().items())]
    files["LOC_val_solution.csv"] = "\n".join(["ImageId,PredictionString", *rows, ""]).encode()
    files["LOC_synset_mapping.txt"] = "".join(f"{wnid} a word, another\n" for wnid in CLASSES).encode()
    return _write(folder, files)


CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(folder: Path, per_batch: int = 20) -> Path:
    """`cifar-10-batches-bin` with random pixels."""
    random = np.random.default_rng(10)
    files = {"batches.meta.txt": ("\n".join(CIFAR_CLASSES) + "\n\n").encode()}
    for batch in (*cifar.BATCHES["train"], *cifar.BATCHES["val"]):
        labels = random.permutation(np.arange(per_batch) % 10)[:, None]
        files[batch] = np.hstack([labels, random.integers(0, 256, (per_batch, 3072))]).astype(np.uint8).tobytes()
    return _write(folder / cifar.FOLDER, files)


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
