"""The stage `prepare`: a folder of pictures → the store (section 2: rescale, crop the centre, subtract the mean).

Which files count as pictures is said in `sources.scan`. Every one of them ends in the store or in a list: those that
cannot be read are all named with the reason, and the run stops, unless `pictures.skip_broken` is true; then the
manifest lists them.

A store is built beside the old one, in `.store-unfinished`, and takes its place when it is whole. Shards are kept as
they are done, with a `progress.json` that says what they were made from, so that a run that was killed goes on. A
store that was made from the same files and parameters keeps its good shards (by their hashes), and only the missing
or altered ones are made again. The bytes are the same for any number of workers.
"""

import hashlib
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from replicate import files
from replicate.errors import UserError
from replicate.pictures import folders, shards, store
from replicate.pictures.sources import SPLITS, Listing, picture_folder, scan
from replicate.pictures.store import LeftOut, Manifest, Shard, SplitManifest, Store
from replicate.settings import Pictures, Profile, Strict

FEW_PICTURES = 4000  # below, starting processes costs more than it saves


class Progress(Strict):
    """The shards that are done, by file name, and what they were made from."""

    built_from: str
    shards: dict[str, Shard]


def prepare(profile: Profile, workers: int | None = None) -> str:
    """Builds or repairs the store of a profile; returns a paragraph that says what was read, converted, left out.

    `workers` is the number of processes (None: one per core). Writes `data/<profile>/store` and the record
    `reports/<profile>/records/store.json`. UserError for pictures that cannot be read (a store that was there stays),
    and for what `sources.scan` refuses.
    """
    source = picture_folder(profile)
    if not source.is_dir():
        raise UserError(
            f"no pictures for profile {profile.name!r} at {source.relative_to(profile.root)}; "
            f"run `replicate source --profile {profile.name}`"
        )
    busy = f"another `replicate prepare` of profile {profile.name!r} is running"
    with files.lock(profile.state / "prepare" / f"{profile.name}.lock", busy):
        listing = scan(source)
        built = _build(profile, source, listing, workers)
        files.write_json(profile.record("store"), record(built))
    return _summary(built, listing)


def _build(profile: Profile, source: Path, listing: Listing, workers: int | None) -> Store:
    settings = profile.settings.pictures
    built_from = files.identity(
        [store.FORMAT, settings.side, settings.filter, profile.settings.source.name, listing.classes, listing.pictures]
    )
    old = _finished(profile.store, built_from)
    if old and old.manifest.skip_broken == settings.skip_broken and _is_sound(old):
        return old
    unfinished = profile.store.parent / f".{profile.store.name}-unfinished"
    progress = _start(unfinished, built_from, profile.store)
    orders = {split: _shuffled(listing, split) for split in SPLITS}
    jobs = [
        shards.Job(split, path, source, names, settings.side, settings.filter, progress.shards.get(path.name))
        for split in SPLITS
        for path, names in _parts(unfinished, split, list(orders[split]))
    ]
    sums = np.zeros((settings.side, settings.side, 3), dtype=np.int64)
    for built in _run(jobs, workers):
        progress.shards[built.job.path.name] = built.shard
        files.write_json(unfinished / "progress.json", progress.model_dump())
        if built.job.split == "train":
            sums += built.sums
    done = {split: [progress.shards[job.path.name] for job in jobs if job.split == split] for split in SPLITS}
    _refuse_broken(profile, source, [p for split in SPLITS for s in done[split] for p in s.left_out])
    _write_rest(unfinished, done, orders, listing, sums, settings, profile.settings.source.name, built_from)
    folders.swap(unfinished, profile.store)
    return store.open_store(profile.store)


def _finished(folder: Path, built_from: str) -> Manifest | None:
    """The manifest of the store in `folder`, if it was made from the same files and parameters."""
    try:
        path = folder / "manifest.json"
        manifest = files.parse(Manifest, files.read_json(path), str(path))
    except (FileNotFoundError, UserError):
        return None
    return manifest if manifest.built_from == built_from else None


def _shuffled(listing: Listing, split: str) -> dict[str, int]:
    """Name → class, in the store's order: sorted by the hash of the name."""
    names = {name: label for name, label, _ in listing.pictures[split]}
    return {name: names[name] for name in sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())}
