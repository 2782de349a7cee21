"""Tables of the pictures: what the store holds, and the principal components of its pixels."""

from math import acos, degrees, hypot
from typing import Any

from pydantic import BaseModel

from replicate.files import parse, read_json
from replicate.paper import claims
from replicate.paper.colours import WHITE, Axes, axes
from replicate.report import data as files_of
from replicate.report.table import Column, Row, Table
from replicate.settings import Profile


CHANNELS = ("red", "green", "blue")
DRAW = "colour-std"  # the claim that gives the s.d. of the draw


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
    """The axes of the colour noise, beside those that others ship."""
    found, draw = pca_record(profile), claims()[DRAW].value
    ours = Axes(
        name=profile.name, source=f"reports/{profile.name}/records/pca.json", meaning="measured", vectors=found.eigenvectors,
        deviations=found.standard_deviations,
    )  # fmt: skip
    return Table(
        name="pca",
        caption=(
            f"Principal components of the {found.pixels:,} training pixels of profile {profile.name}, the axes of the colour "
            f"noise (section 4.1), beside those of ILSVRC-2012 that others ship. {profile.settings.note}"
        ),
        columns=[
            Column("whose", "whose"),
            Column("axis", "axis", format="d"),
            Column("eigenvalue", "eigenvalue λ", "grey levels²", ",.1f"),
            Column("deviation", "√λ", "grey levels", ".2f"),
            Column("unit", "λ of pixels 0..1", format=".5f"),
            *(Column(channel, channel, format="+.4f") for channel in CHANNELS),
            Column("angle", "off ours", "degrees", ".1f"),
            Column("noise", f"noise, {draw:g}·√λ", "grey levels", ".2f"),
            Column("copied", f"noise, {draw:g}·λ of pixels 0..1", "grey levels", ".2f"),
        ],
        rows=[_axis(one, i, ours, draw) for one in (ours, *axes().values()) for i in range(len(CHANNELS))],
        note=(
            f"Grey levels run from 0 to {WHITE}; the mean colour is {', '.join(f'{value:.1f}' for value in found.mean)}. Noise: s.d. "
            f"along the axis. {'; '.join(f'{one.name}: {one.meaning} ({one.source})' for one in (ours, *axes().values()))}. "
            "An axis has no sign; the largest component is shown positive. Published constants: replicate/paper/colours.yaml."
        ),
    )


def _axis(one: Axes, i: int, ours: Axes, draw: float) -> Row:
    deviation = one.in_grey_levels[i]
    vector, mine = ([row[i] for row in whose.vectors] for whose in (one, ours))
    largest = max(vector, key=abs)
    cosine = abs(sum(a * b for a, b in zip(vector, mine, strict=True))) / hypot(*vector) / hypot(*mine)
    return {
        "whose": one.name,
        "axis": i + 1,
        "eigenvalue": deviation**2,
        "deviation": deviation,
        "unit": (deviation / WHITE) ** 2,
        **{channel: value if largest > 0 else -value for channel, value in zip(CHANNELS, vector, strict=True)},
        "angle": None if one is ours else degrees(acos(min(1.0, cosine))),
        "noise": draw * deviation,
        "copied": draw * deviation**2 / WHITE,
    }
