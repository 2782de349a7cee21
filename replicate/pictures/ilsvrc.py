"""ILSVRC-2012 and ILSVRC-2010 from the archives as they are downloaded, read where they lie (section 2).

The training archive is a tar of one tar a class, `<wnid>.tar`, whose pictures are `<wnid>_<number>.JPEG`. Those of
validation and test pictures are flat: `ILSVRC2012_val_00000001.JPEG`; their labels are lists in the order of the names.
None of them is compressed, so a picture is a run of bytes of its archive. Folders in front of a name do not matter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replicate.errors import UserError
from replicate.pictures import kit, remembered
from replicate.pictures.archives import Member, members, opened
from replicate.pictures.folders import check_regular
from replicate.pictures.kit import Kit
from replicate.pictures.listing import Listing, Place, first_of
from replicate.settings import Ilsvrc2010, Profile


@dataclass(frozen=True)
class Contest:
    """The files of a contest by their official names."""

    year: int
    kit: str
    folder: str  # of the kit's files in its archive
    train: str
    evaluated: dict[str, str]  # what the networks are evaluated on: its archive


CONTESTS = {
    "ilsvrc2012": Contest(
        2012, "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_devkit_t12", "ILSVRC2012_img_train.tar",
        {"val": "ILSVRC2012_img_val.tar"},
    ),
    "ilsvrc2010": Contest(
        2010, "ILSVRC2010_devkit-1.0.tar.gz", "devkit-1.0", "ILSVRC2010_images_train.tar",
        {"val": "ILSVRC2010_images_val.tar", "test": "ILSVRC2010_images_test.tar"},
    ),
}  # fmt: skip
TEST_LABELS = "ILSVRC2010_test_ground_truth.txt"
PATCHES = "patch_images.tar"  # of 2010: whole copies of pictures that are blank in the archives


def needed(profile: Profile) -> list[Path]:
    """The files without which there is no set of pictures; the archives first."""
    contest, evaluated = _contest(profile)
    names = [contest.train, contest.evaluated[evaluated], contest.kit, *([TEST_LABELS] if evaluated == "test" else [])]
    return [profile.source / name for name in names]


def listing(profile: Profile) -> Listing:
    """The training pictures, and those of `source.evaluate` as `val`, after their archives were verified (once).

    UserError for an archive that is not the official one, damaged or odd in any member, and for classes without pictures.
    """
    contest, evaluated = _contest(profile)
    for file in needed(profile):
        remembered.verify(profile, file)
    devkit = kit.read(profile.source / contest.kit, contest.folder, contest.year)
    truth = devkit.truth
    if evaluated == "test":
        truth = _test_labels(profile.source / TEST_LABELS, devkit)
    label = {wnid: i for i, wnid in enumerate(devkit.classes)}
    train, held = profile.source / contest.train, profile.source / contest.evaluated[evaluated]
    sets = (
        ("train", "train", train, _read_train(train)),
        ("val", evaluated, held, _read_flat(held, contest.year, evaluated)),
    )
    patches, patched = _patches(profile), 0
    pictures: dict[str, list[tuple[str, int, int]]] = {"train": [], "val": []}
    elsewhere = {}
    for split, folder, archive, read in sets:
        for member in remembered.index(archive, profile.state, read):
            wnid, _, file = member.name.rpartition("/")
            wnid = wnid or _class_of(archive, file, truth, devkit)
            if wnid not in label:
                raise UserError(f"{archive}: {wnid}.tar is of no class that {contest.kit} has; this is not the official archive")
            name = f"{folder}/{wnid}/{file}"
            elsewhere[name] = patches.get(file) or Place(archive.name, member.offset, member.size)
            patched += file in patches
            pictures[split].append((name, label[wnid], elsewhere[name].size))
        pictures[split].sort()
        if missing := sorted(set(label) - {name.split("/")[1] for name, _, _ in pictures[split]}):
            raise UserError(f"{archive}: no pictures of class {first_of(missing)}, which {contest.kit} has")
    counted = sum(devkit.train_pictures.values()), len(truth)
    remark = _remark(counted, (len(pictures["train"]), len(pictures["val"])), evaluated, patched)
    return Listing(profile.source, devkit.classes, pictures, elsewhere=elsewhere, remark=remark)


def _contest(profile: Profile) -> tuple[Contest, str]:
    source = profile.settings.source
    return CONTESTS[source.kind], source.evaluate if isinstance(source, Ilsvrc2010) else "val"


def _test_labels(path: Path, devkit: Kit) -> list[int]:
    check_regular(path)
    if path.stat().st_size > kit.LARGEST:
        raise UserError(f"{path}: no file of labels; download it again")
    return kit.labels(str(path), path.read_bytes(), devkit.wnids)


def _class_of(archive: Path, file: str, truth: list[int], devkit: Kit) -> str:
    """The WordNet ID of a picture `…_00000001.JPEG`. By its number, so that one that is missing shifts no labels."""
    number = int(file.removesuffix(".JPEG").rpartition("_")[2])
    if not 1 <= number <= len(truth):
        raise UserError(f"{archive}: {file}, and there are labels for {len(truth):,} pictures; this is not the official archive")
    return devkit.wnids[truth[number - 1]]


def _read_train(archive: Path) -> Iterator[Member]:
    """Pictures as `<wnid>/<file>`."""
    seen: set[str] = set()
    with opened(archive) as file, remembered.bar(archive, "index") as bar:
        for outer in members(file, str(archive), 0, archive.stat().st_size):
            wnid = _file(str(archive), outer, r"n[0-9]{8}\.tar", seen).removesuffix(".tar")
            where, pattern = f"{archive}: {wnid}.tar", wnid + r"_[0-9]+\.JPEG"
            for inner in members(file, where, outer.offset, outer.offset + outer.size):
                yield inner._replace(name=f"{wnid}/{_file(where, inner, pattern, seen)}")
                bar.update(inner.offset + inner.size - bar.n)


def _read_flat(archive: Path, year: int, split: str) -> Iterator[Member]:
    """Pictures by their file names."""
    seen: set[str] = set()
    pattern = rf"ILSVRC{year}_{split}_[0-9]{{8}}\.JPEG"
    with opened(archive) as file, remembered.bar(archive, "index") as bar:
        for member in members(file, str(archive), 0, archive.stat().st_size):
            yield member._replace(name=_file(str(archive), member, pattern, seen))
            bar.update(member.offset + member.size - bar.n)


def _file(where: str, member: Member, pattern: str, seen: set[str]) -> str:
    """A member's name without folders; UserError if it does not match, or was seen before."""
    name = member.name.rpartition("/")[2]
    if not re.fullmatch(pattern, name):
        raise UserError(f"{where}: unexpected member {member.name!r}; this is not the official archive")
    if name in seen:
        raise UserError(f"{where}: {name} is there twice; this is not the official archive")
    seen.add(name)
    return name


def _patches(profile: Profile) -> dict[str, Place]:
    """Pictures by file name that replace those in the archives of ILSVRC-2010, where the user has them."""
    archive = profile.source / PATCHES
    if profile.settings.source.kind != "ilsvrc2010" or not archive.is_file():
        return {}

    def read() -> Iterator[Member]:
        with opened(archive) as file:
            yield from members(file, str(archive), 0, archive.stat().st_size)

    found = remembered.index(archive, profile.state, read())
    return {member.name.rpartition("/")[2]: Place(archive.name, member.offset, member.size) for member in found}


def _remark(expected: tuple[int, int], found: tuple[int, int], evaluated: str, patched: int) -> str:
    sentences = []
    if evaluated == "test":
        sentences.append("What is validated on are the test pictures.")
    if found != expected:
        sentences.append(f"The development kit and the labels are of {expected[0]:,} and {expected[1]:,}.")
    if patched:
        sentences.append(f"{patched} are from {PATCHES}.")
    return " ".join(sentences)
