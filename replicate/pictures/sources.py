"""Where a profile's pictures come from: `source.kind` of its parameters, and what to do for each."""

import csv
from pathlib import Path

from replicate.errors import UserError
from replicate.pictures import cifar, folders, ilsvrc, imagenette, kaggle
from replicate.pictures.listing import SPLITS, Listing, scan
from replicate.settings import Drawn, Profile

SIGNS = {  # by what a source of another kind than the parameters say is told
    "folder": "val",
    "ilsvrc2012": ilsvrc.CONTESTS["ilsvrc2012"].train,
    "ilsvrc2010": ilsvrc.CONTESTS["ilsvrc2010"].train,
    "kaggle": kaggle.LABELS,
}


def check_presence(profile: Profile) -> None:
    """Whether there is something that `provide` can use; quick. UserError that says what to do."""
    kind = profile.settings.source.kind
    if kind == "folder":
        _check(profile, [profile.source / split for split in SPLITS], "with {train,val}/<class>/<picture>")
    elif kind in ilsvrc.CONTESTS:
        _check(profile, ilsvrc.needed(profile), "with the archives as they were downloaded")
    elif kind == "kaggle":
        _check(profile, kaggle.needed(profile.source), "with what Kaggle's archive unpacks to")
    elif kind == "cifar10":
        cifar.find(profile)
    elif kind == "imagenette" and not imagenette.is_set(profile.pictures):
        imagenette.find(profile)


def provide(profile: Profile) -> str:
    """Draws, unpacks, copies or checks the pictures of a profile. Returns what it did, in a line.

    What is written goes to `data/<profile>/pictures`, whole or not at all; the user's source is only read. What is read
    where it lies leaves a list of the classes there.
    """
    source = profile.settings.source
    done = "Found"
    if isinstance(source, Drawn):
        from replicate.pictures import draw

        with folders.new_folder(profile.pictures, replace=True) as temporary:
            draw.draw(temporary, source.seed, source.train_per_class, source.val_per_class)
        done = "Drew"
    elif source.kind == "imagenette":
        done = imagenette.provide(profile)
    elif source.kind == "cifar10":
        cifar.provide(profile)
    found = listing(profile)
    if not found.folder.is_relative_to(profile.pictures):
        with folders.new_folder(profile.pictures, replace=True) as temporary:
            _write_classes(temporary / "classes.csv", found)
    train, val = (len(found.pictures[split]) for split in SPLITS)
    where = found.folder.relative_to(profile.root)
    said = f"{done} {train} training and {val} validation pictures of {len(found.classes)} classes: {where}"
    return f"{said}. {found.remark}" if found.remark else said


def listing(profile: Profile) -> Listing:
    """The pictures of a profile, after `provide`; UserError where they are not there, or not as their source has them."""
    kind = profile.settings.source.kind
    if kind in ("drawn", "imagenette"):
        if not profile.pictures.is_dir():
            raise UserError(
                f"no pictures for profile {profile.name!r} at {profile.pictures.relative_to(profile.root)}; "
                f"run `replicate source --profile {profile.name}`"
            )
        return scan(profile.pictures)
    check_presence(profile)
    if kind == "folder":
        return scan(profile.source)
    if kind == "kaggle":
        return kaggle.listing(profile.source)
    return cifar.listing(profile) if kind == "cifar10" else ilsvrc.listing(profile)


def _check(profile: Profile, needed: list[Path], what: str) -> None:
    missing = [path for path in needed if not path.exists()]
    if not missing:
        return
    error = (
        f"no pictures for profile {profile.name!r}, {missing[0].relative_to(profile.root)} is missing: put a folder, or a link "
        f"to one, {what} at {profile.source.relative_to(profile.root)}"
    )
    for kind, sign in SIGNS.items():
        if kind != profile.settings.source.kind and (profile.source / sign).exists():
            params = profile.params_file.relative_to(profile.root)
            error += f"; what is there looks like source.kind: {kind}, which is set in {params}"
            break
    raise UserError(error)


def _write_classes(path: Path, found: Listing) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("class", "train", "val"))
        writer.writerows(zip(found.classes, found.counts("train"), found.counts("val"), strict=True))
