"""The stage `prepare`: a source of pictures → the store (section 2: rescale, crop the centre, subtract the mean).

Which files count as pictures is said by each source (`listing.scan` for folders). Every one of them ends in the store or
in a list: those that cannot be read are all named with the reason, and the run stops, unless `pictures.skip_broken` is
true; then the manifest lists them.

A store is built beside the old one and takes its place when it is whole, on the disk where a link leads if there is one;
a run that was killed goes on (`unfinished`). A store that was made from the same files and parameters keeps its good
shards (by their hashes), and only the missing or altered ones are made again. The bytes are the same for any number of
workers.
"""

import hashlib
import math
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.machine import cores
from replicate.pictures import folders, sources, store, unfinished
from replicate.pictures.listing import SPLITS, Listing, escaped, first_of
from replicate.pictures.store import LeftOut, Manifest, SplitManifest, Store
from replicate.settings import Profile

if TYPE_CHECKING:
    from replicate.pictures.shards import Built, Job

FEW_SHARDS = 4  # a worker; with fewer some would be idle for long at the end, so that all share every shard as threads


def prepare(profile: Profile, workers: int | None = None) -> str:
    """Builds or repairs the store of a profile; returns a paragraph that says what was read, converted, left out.

    `workers` is the number of processes, or of threads for a few shards (None: one per core). Writes
    `data/<profile>/store`, or the folder that a link there leads to, and the record `reports/<profile>/records/store.json`.
    UserError for pictures that cannot be read (a store that was there stays), for a folder in the store's place that is
    none, and for what `sources.listing` refuses.
    """
    place = folders.followed(profile.store)
    busy = f"another `replicate prepare` of profile {profile.name!r} is running, or one of another clone into the same store"
    with files.lock(place.parent / f".{place.name}.lock", busy):
        listing = sources.listing(profile)
        built = _build(profile, place, listing, workers)
        files.write_json(profile.record("store"), record(built))
    return _summary(built, listing)


def _build(profile: Profile, place: Path, listing: Listing, workers: int | None) -> Store:
    """`place` is where the store's folder really is."""
    settings = profile.settings
    side, filter = settings.pictures.side, settings.pictures.filter
    built_from = _built_from(profile, listing)
    made_from = files.identity([built_from, settings.method, _seen(listing)])
    known = profile.state / "prepare" / f"{profile.name}.made-from"  # not in the manifest: equal pictures, equal bytes
    if unfinished.read(place, made_from):  # killed when all but this was done
        _finish(place, known, made_from)
    new = unfinished.beside(place)
    if not unfinished.read(new, made_from):
        folders.remove(new)
    unchanged = known.is_file() and known.read_text() == made_from
    old = _manifest(place, built_from) if unchanged else None
    whole = old and not old.train.left_out and not old.val.left_out
    if whole and old.skip_broken == settings.pictures.skip_broken and (sound := _sound(profile.store)):
        folders.remove(new)
        return sound
    _check_ours(profile, place)
    from replicate.pictures import shards  # imports Numba, which a store that is sound already does not need

    progress = unfinished.start(new, made_from, place, old)
    order = {split: _shuffled(listing, split) for split in SPLITS}
    jobs = [
        shards.Job(
            split, new / file, listing.folder, names, [listing.place(name) for name in names], listing.raw,
            side, filter, progress.shards.get(file),
        )
        for split in SPLITS
        for file, names in _parts(split, list(order[split]))
    ]  # fmt: skip
    sums = np.zeros((side, side, 3), dtype=np.int64)
    workers = workers or cores()
    with tqdm(total=sum(len(job.names) for job in jobs), desc="prepare", unit=" pictures", disable=None) as bar:
        for built in run(jobs, workers, pooled(len(jobs), workers), bar.update):
            progress.shards[built.shard.file] = built.shard
            unfinished.write(new, progress)
            if built.job.split == "train":
                sums += built.sums
    done = {split: [progress.shards[job.path.name] for job in jobs if job.split == split] for split in SPLITS}
    left_out = [picture for split in SPLITS for shard in done[split] for picture in shard.left_out]
    if left_out and not settings.pictures.skip_broken:
        raise _broken(profile, listing, left_out, sum(map(len, order.values())))
    lists = _write_lists(new, listing, order, {picture.file for picture in left_out})
    mean = (sums / sum(shard.pictures for shard in done["train"])).astype(np.float32)
    with files.atomic(new / "mean.npy") as temporary:
        np.save(temporary, mean)
    manifest = Manifest(
        format=store.FORMAT,
        source=settings.source.name,
        side=side,
        filter=filter,
        skip_broken=settings.pictures.skip_broken,
        built_from=built_from,
        classes=listing.classes,
        train=SplitManifest(list_sha256=lists["train"], shards=done["train"]),
        val=SplitManifest(list_sha256=lists["val"], shards=done["val"]),
        mean_sha256=files.sha256(new / "mean.npy"),
    )
    files.write_json(new / "manifest.json", manifest.model_dump())
    folders.swap(new, place)
    _finish(place, known, made_from)
    return store.open_store(profile.store)


def _finish(place: Path, known: Path, made_from: str) -> None:
    """What is left to do when the new store is in its place."""
    folders.remove(folders.old(place))
    files.write_text(known, made_from)
    (place / unfinished.PROGRESS).unlink()


def _check_ours(profile: Profile, place: Path) -> None:
    """What is replaced by the new store is deleted, so it must be a store: whoever sets a link may miss by a folder."""
    if not place.exists():
        return
    if not place.is_dir():
        raise UserError(f"{place}: a file, where the store's folder is to be; move it away")
    names = {path.name for path in place.iterdir()} - {unfinished.PROGRESS}
    if strange := sorted(name for name in names if not store.FILE.fullmatch(name)):
        leads = "" if place == profile.store else f" leads to {place}, which"
        raise UserError(f"{profile.store}{leads} holds {first_of(strange)}, no part of a store: nothing was replaced; move it away")


def _seen(listing: Listing) -> list[tuple[str, int, int]]:
    """When each file of the source was last written and changed: one that was replaced by another of equal name and size is
    noticed, even where it got the time of the former (the second is the system's, and cannot be set)."""
    found = {listing.place(name).file for split in SPLITS for name, _, _ in listing.pictures[split]}
    return [(file, *_times(listing.folder / file)) for file in sorted(found)]


def _times(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ctime_ns


def _built_from(profile: Profile, listing: Listing) -> str:
    """A hash of all that decides the bytes of a store.

    A contest's pictures give the same one, and so the same store, from archives, from Kaggle's layout and from a folder.
    """
    settings = profile.settings
    source = settings.source.model_dump()
    if source["kind"] not in ("drawn", "imagenette"):
        source = {"kind": "folder", "name": source["name"]}
    made_from = [store.FORMAT, settings.pictures.side, settings.pictures.filter, source, listing.classes, listing.pictures]
    return files.identity(made_from + [listing.content] if listing.content else made_from)


def _manifest(folder: Path, built_from: str) -> Manifest | None:
    """The manifest of the store in `folder`, if it was made from the same files and parameters."""
    path = folder / "manifest.json"
    try:
        manifest = files.parse(Manifest, files.read_json(path), str(path))
    except (OSError, UserError):
        return None
    return manifest if manifest.built_from == built_from else None


def _sound(folder: Path) -> Store | None:
    try:
        opened = store.open_store(folder)
        store.verify(opened)
    except UserError:
        return None
    return opened


def _shuffled(listing: Listing, split: str) -> dict[str, int]:
    """Name → class, in the store's order: sorted by the hash of the name."""
    labels = {name: label for name, label, _ in listing.pictures[split]}
    order = sorted(labels, key=lambda name: hashlib.sha256(name.encode()).digest())
    return {name: labels[name] for name in order}


def _parts(split: str, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    for number, start in enumerate(range(0, len(names), store.SHARD_PICTURES)):
        yield f"{split}-{number:05d}.npy", names[start : start + store.SHARD_PICTURES]


def pooled(shards: int, workers: int) -> bool:
    """Whether each of several processes builds shards of its own; else all threads share every shard."""
    return workers > 1 and shards >= FEW_SHARDS * workers


def run(jobs: "list[Job]", workers: int, pool: bool, tick: Callable[[int], object]) -> "Iterator[Built]":
    """Builds all shards, in a `pool` of processes or here; they come in any order. `tick` is told of pictures done."""
    from replicate.pictures import shards

    if not pool:
        for job in jobs:
            yield shards.build(job, tick, workers)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=shards.begin_worker) as processes:
        try:
            for future in as_completed([processes.submit(shards.build, job) for job in jobs]):
                tick(len(future.result().job.names))
                yield future.result()
        except BrokenProcessPool:
            raise UserError("a worker was killed (out of memory?); run it again, with fewer --workers") from None
        finally:
            processes.shutdown(cancel_futures=True)


def _broken(profile: Profile, listing: Listing, left_out: list[LeftOut], pictures: int) -> UserError:
    for picture in left_out:
        print(f"{listing.shown(picture.file)}: {picture.reason}", file=sys.stderr)
    return UserError(
        f"{len(left_out)} of {pictures} pictures cannot be read (listed above): repair or remove them, or set "
        f"pictures.skip_broken: true in {profile.params_file.relative_to(profile.root)}"
    )


def _write_lists(
    folder: Path, listing: Listing, order: dict[str, dict[str, int]], left_out: set[str]
) -> dict[str, str]:
    """train.csv and val.csv without the pictures left out; returns their hashes."""
    hashes = {}
    for split, labels in order.items():
        rows = [(name, label) for name, label in labels.items() if name not in left_out]
        empty = sorted(set(range(len(listing.classes))) - {label for _, label in rows})
        if empty:
            name = escaped(f"{split}/{listing.classes[empty[0]]}")
            raise UserError(f"{listing.folder}: {name}: none of its pictures can be read")
        files.write_text(folder / f"{split}.csv", store.list_text(rows))
        hashes[split] = files.sha256(folder / f"{split}.csv")
    return hashes


def record(built: Store) -> dict[str, Any]:
    """What git keeps of a store: exact content only, so the same on every machine."""
    manifest = built.manifest
    return {
        "kind": "store",
        "source": manifest.source,
        "side": manifest.side,
        "filter": manifest.filter,
        "skip_broken": manifest.skip_broken,
        "identity": built.identity,
        "classes": len(manifest.classes),
        "mean_colour": [round(math.fsum(built.mean[..., c].ravel().tolist()) / built.side**2, 6) for c in range(3)],
    } | {
        name: {
            "pictures": len(split),
            "per_class": dict(zip(built.classes, np.bincount(split.labels).tolist(), strict=True)),
            "greyscale": manifest.split(name).greyscale,
            "cmyk": manifest.split(name).cmyk,
            "not_jpeg": manifest.split(name).not_jpeg,
            "exif_rotated": manifest.split(name).exif_rotated,
            "left_out": [picture.model_dump() for picture in manifest.split(name).left_out],
        }
        for name, split in (("train", built.train), ("val", built.val))
    }


def _summary(built: Store, listing: Listing) -> str:
    manifest = built.manifest
    both = (manifest.train, manifest.val)

    def count(what: str) -> int:
        return sum(getattr(split, what) for split in both)

    left_out = [picture for split in both for picture in split.left_out]
    lines = [
        f"The store holds {len(built.train)} training and {len(built.val)} validation pictures of "
        f"{len(built.classes)} classes at {built.side}x{built.side} ({manifest.filter}). "
        f"Among them were {count('greyscale')} in grey (three equal channels now), {count('cmyk')} in CMYK, "
        f"{count('not_jpeg')} that are no JPEG, and {count('exif_rotated')} with an EXIF orientation (ignored). "
        f"Left out: {len(left_out) or 'none'}. Passed over as no pictures: {listing.ignored or 'none'}."
        f"{' ' if listing.remark else ''}{listing.remark}"
    ]
    return "\n".join(lines + [f"  left out: {escaped(picture.file)}: {picture.reason}" for picture in left_out])
