"""A store that is being built in `.store-unfinished`: what a run that was killed leaves, and how the next one goes on.

`progress.json` lists the shards that are done, and says what they are made from. It stays until the store is in its
place and all else is written, so that a kill at any time loses the shards under work and nothing more. What is unfinished
of other pictures or parameters than those of today goes as soon as `prepare` runs with these.
"""

import os
import shutil
from pathlib import Path

from replicate import files
from replicate.errors import UserError
from replicate.pictures.store import Manifest, Shard
from replicate.settings import Strict

PROGRESS = "progress.json"


class Progress(Strict):
    """The shards that are done, by file name, and what they were made from."""

    made_from: str
    shards: dict[str, Shard]


def beside(store: Path) -> Path:
    """Where the store that is to take the place of `store` is built."""
    return store.parent / f".{store.name}-unfinished"


def start(unfinished: Path, made_from: str, folder: Path, old: Manifest | None) -> Progress:
    """What is done already: by a run that was killed, or in the store `folder` of which some files are missing or altered."""
    progress = read(unfinished, made_from) or Progress(made_from=made_from, shards={})
    unfinished.mkdir(parents=True, exist_ok=True)
    for shard in [*old.train.shards, *old.val.shards] if old else []:
        if shard.file not in progress.shards and (folder / shard.file).is_file():
            progress.shards[shard.file] = shard
            (unfinished / shard.file).unlink(missing_ok=True)
            _link(folder / shard.file, unfinished / shard.file)
    write(unfinished, progress)
    for stray in unfinished.iterdir():  # temporary files of a run that was killed
        if stray.name not in (PROGRESS, *progress.shards):
            stray.unlink()
    return progress


def write(folder: Path, progress: Progress) -> None:
    files.write_json(folder / PROGRESS, progress.model_dump())


def read(folder: Path, made_from: str) -> Progress | None:
    """The progress in a folder, if it is of the same pictures and parameters."""
    path = folder / PROGRESS
    try:
        progress = files.parse(Progress, files.read_json(path), str(path))
    except (OSError, UserError):
        return None
    return progress if progress.made_from == made_from else None


def _link(file: Path, new: Path) -> None:
    try:
        os.link(file, new)  # shards are never written in place, so the old store keeps its own
    except OSError:
        shutil.copyfile(file, new)
