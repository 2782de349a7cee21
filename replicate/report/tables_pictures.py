"""Tables of the pictures: what the store holds, and the principal components of its pixels."""

from typing import Any

from pydantic import BaseModel

from replicate.files import parse, read_json
from replicate.report import data as files_of
from replicate.report.table import Column, Table
from replicate.settings import Profile


class SplitRecord(BaseModel):
    pictures: int
    per_class: dict[str, int]
    greyscale: int
    cmyk: int
    not_jpeg: int
    exif_rotated: int
    left_out: list[dict[str, str]]


class StoreRecord(BaseModel):
    """What the tables need of `records/store.json`."""

    source: str
    side: int
    filter: str
    identity: str
    classes: int
    train: SplitRecord
    val: SplitRecord


class PcaRecord(BaseModel):
    """What the tables need of `records/pca.json`: grey levels 0..255; `eigenvectors[channel][i]`."""

    pixels: int
    mean: list[float]
    eigenvalues: list[float]
    eigenvalues_unit: list[float]
    standard_deviations: list[float]
    eigenvectors: list[list[float]]


def store_record(profile: Profile) -> StoreRecord:
    return parse(StoreRecord, _read(profile, "store"), str(profile.record("store")))


def pca_record(profile: Profile) -> PcaRecord:
    return parse(PcaRecord, _read(profile, "pca"), str(profile.record("pca")))


def _read(profile: Profile, name: str) -> Any:
    path = profile.record(name)
    if not path.is_file():
        raise files_of.missing(profile, f"record {name!r}")
    return read_json(path)


def data(profile: Profile) -> Table:
    """What the store holds, split by split."""
    store = store_record(profile)
    splits = {"training": store.train, "validation": store.val}
    left_out = [f"{one.get('file', '?')} ({one.get('reason', 'no reason given')})" for s in splits.values() for one in s.left_out]
    names = f"Left out: {'; '.join(left_out[:10])}{f' and {len(left_out) - 10} more' if len(left_out) > 10 else ''}. " if left_out else ""
    return Table(
        name="data",
        caption=(
            f"The pictures of profile {profile.name} ({store.source}), kept at {store.side}×{store.side} pixels, resized with an "
            f"antialiased {store.filter} filter. {profile.settings.note}"
        ),
        columns=[
            Column("split", "split"),
            Column("pictures", "pictures", format=",d"),
            Column("classes", "classes", format=",d"),
            Column("fewest", "fewest a class", format=",d"),
            Column("most", "most a class", format=",d"),
            Column("greyscale", "were grey", format=",d"),
            Column("cmyk", "were CMYK", format=",d"),
            Column("not_jpeg", "were no JPEG", format=",d"),
            Column("exif_rotated", "EXIF orientation, ignored", format=",d"),
            Column("left_out", "left out", format=",d"),
        ],
        rows=[
            {
                "split": name,
                "pictures": split.pictures,
                "classes": store.classes,
                "fewest": min(split.per_class.values(), default=0),
                "most": max(split.per_class.values(), default=0),
                "greyscale": split.greyscale,
                "cmyk": split.cmyk,
                "not_jpeg": split.not_jpeg,
                "exif_rotated": split.exif_rotated,
                "left_out": len(split.left_out),
            }
            for name, split in splits.items()
        ],
        note=f"{names}Identity of the store: {store.identity[:12]}…. From reports/{profile.name}/records/store.json.",
    )


def pca(profile: Profile) -> Table:
    """The axes of the colour noise."""
    found = pca_record(profile)
    channels = ("red", "green", "blue")
    return Table(
        name="pca",
        caption=(
            f"Principal components of the {found.pixels:,} training pixels of profile {profile.name}: the axes of the colour "
            f"noise (section 4.1). {profile.settings.note}"
        ),
        columns=[
            Column("axis", "axis", format="d"),
            Column("eigenvalue", "eigenvalue λ", "grey levels²", ",.1f"),
            Column("deviation", "√λ", "grey levels", ".2f"),
            Column("unit", "λ of pixels 0..1", format=".5f"),
            *(Column(channel, channel, format="+.4f") for channel in channels),
        ],
        rows=[
            {
                "axis": index + 1,
                "eigenvalue": found.eigenvalues[index],
                "deviation": found.standard_deviations[index],
                "unit": found.eigenvalues_unit[index],
                **{channel: found.eigenvectors[row][index] for row, channel in enumerate(channels)},
            }
            for index in range(len(found.eigenvalues))
        ],
        note=(
            f"Grey levels run from 0 to 255; the mean colour is {', '.join(f'{value:.1f}' for value in found.mean)}. "
            f"From reports/{profile.name}/records/pca.json."
        ),
    )
