"""How long the stages other than training take here, from a small part of each: `replicate plan`.

Times are in seconds; None where there is nothing to measure them on.
"""

import hashlib
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from math import ceil, prod
from pathlib import Path
from shutil import copy, copyfile, copytree
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import yaml

from replicate import files
from replicate.errors import UserError
from replicate.evaluation.retrieval import retrieval
from replicate.evaluation.scores import error_rates
from replicate.machine import cores
from replicate.networks import Network, count, load
from replicate.paper import claims
from replicate.pictures import draw, ilsvrc, imagenette, shards, sources
from replicate.pictures import prepare as preparation
from replicate.pictures.listing import SPLITS, Listing, scan
from replicate.pictures.pca import sums
from replicate.pictures.store import SHARD_PICTURES, read_manifest
from replicate.randomness import generator
from replicate.settings import Drawn, Profile

SAMPLE = 200  # pictures that are drawn, copied or decoded at a time
ROUNDS = 9  # of samples that are prepared on every core, after those that its start and empty caches hold up
AMONG = 1000  # pictures among which neighbours are looked for, and whose answers are scored
UNPACKED = 2.0  # seconds for which an archive is unpacked
TRIVIAL = 3  # stages that DVC runs, to see what it takes for one
FILES = 10_000  # in a folder that a stage leaves to the next, to see what DVC takes for one
FIGURE = "from matplotlib.figure import Figure; Figure().subplots().get_figure().savefig('/dev/null', format='svg')"
BEGINS = {  # what a stage's process begins with; a compiled kernel is to be read from disk
    "check": "import replicate.pictures.sources",
    "source": "import replicate.pictures.sources, replicate.pictures.draw",
    "prepare": "import replicate.pictures.prepare, replicate.pictures.shards",
    "pca": "import numpy; from replicate.pictures import pca, sums; sums.moments(numpy.frombuffer(bytes(600), 'uint8'))",
    "train": "import replicate.training.loop",
    "evaluate": "import replicate.evaluation.predict",
    "compare": "import replicate.evidence.compare, scipy.stats",
    "report": f"import replicate.report.page, pandas, jinja2; {FIGURE}",
}


class Counts(NamedTuple):
    """How many pictures and classes a profile has; no pictures: nobody knows yet. `known` says from where."""

    train: int
    val: int
    classes: int
    known: str


class Dvc(NamedTuple):
    """What DVC takes, in seconds: to `start`, and for `each` stage; and for each file of a folder that a stage has left, to
    hash it and look for changes `before` the stage that reads it, and to look again `after` that."""

    start: float
    each: float
    before: float
    after: float


def counts(profile: Profile) -> Counts:
    """From the store, else the pictures, else what git keeps of a store, else the parameters, else the paper."""
    source, record = profile.settings.source, profile.record("store")
    try:
        manifest = read_manifest(profile.store)
        return Counts(manifest.train.pictures, manifest.val.pictures, len(manifest.classes), "the store")
    except UserError:
        pass
    if found := listing(profile):
        return Counts(*(len(found.pictures[split]) for split in SPLITS), len(found.classes), "the pictures")
    if record.is_file() and (kept := files.read_json(record))["source"] == source.name:
        return Counts(kept["train"]["pictures"], kept["val"]["pictures"], kept["classes"], str(record.relative_to(profile.root)))
    if isinstance(source, Drawn):
        classes = len(draw.CLASSES)
        return Counts(classes * source.train_per_class, classes * source.val_per_class, classes, "the parameters")
    if source.kind in (*ilsvrc.CONTESTS, "kaggle"):
        said, seen = claims()["train-images-1.2m"].value, "test-150k" if getattr(source, "evaluate", "") == "test" else "val-50k"
        return Counts(said["images"], claims()[seen].value, said["classes"], "the paper, which says about so many (section 2)")
    return Counts(0, 0, max(load(training.network).classes for training in profile.settings.trainings.values()), "")


def listing(profile: Profile) -> Listing | None:
    """The pictures, once the stage `source` has made them ready."""
    if not profile.pictures.is_dir():
        return None
    try:
        return sources.listing(profile)
    except UserError:
        return None


def begin(profile: Profile, stage: str) -> float:
    """Until a process of this stage has read the parameters and imported what it needs, and the report's drawn its first figure."""
    code = f"from replicate.commands.options import open_profile; open_profile({profile.name!r}); {BEGINS[stage]}"
    run = partial(subprocess.run, [sys.executable, "-c", code], cwd=profile.root, check=True)
    run()  # in a new clone the first compiles
    return seconds(run)


def dvc(profile: Profile) -> Dvc | None:
    """In a pipeline of the profile's size, from the times when stages that do next to nothing end, each after the other."""
    if not (profile.root / profile.pipeline).is_file():
        return None
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for file in profile.root.glob("*.yaml"):
            copy(file, root)
        copytree(profile.root / "pipelines", root / "pipelines")
        here = (root / profile.pipeline).parent
        lock = (profile.root / profile.pipeline).with_name("dvc.lock")
        if lock.is_file():
            copy(lock, here)
        (here / "made").mkdir()
        for number in range(FILES):
            (here / "made" / str(number)).touch()
        names = ["first", "leaves", "reads", *(f"nothing-{number}" for number in range(TRIVIAL))]
        chain = {name: {"cmd": f"echo > {name}", "deps": [], "outs": [{name: {"cache": False}}]} for name in names}
        for before, name in pairwise(names):
            chain[name]["deps"].append(before)
        chain["leaves"]["cmd"] = "mv made left && echo > leaves"
        chain["leaves"]["outs"].append({"left": {"cache": False}})
        chain["reads"]["deps"].append("left")
        pipeline = files.read_yaml(root / profile.pipeline)
        pipeline["stages"] |= chain
        files.write_text(root / profile.pipeline, yaml.safe_dump(pipeline, sort_keys=False))

        command = [sys.executable, "-m", "dvc"]
        quiet = os.environ | {"DVC_NO_ANALYTICS": "1"}
        subprocess.run([*command, "init", "--no-scm", "--quiet"], cwd=root, check=True, env=quiet)
        run = partial(subprocess.run, [*command, "repro", names[-1], "--quiet"], cwd=here, check=True, env=quiet)
        whole = seconds(run)
        first, leaves, reads, *others = ((here / name).stat().st_mtime for name in names)
    each = (others[-1] - others[0]) / (TRIVIAL - 1)
    spent = {"start": whole - (others[-1] - first) - each, "each": each}
    by_file = {"before": (reads - leaves - each) / FILES, "after": (others[0] - reads - each) / FILES}
    return Dvc(**{what: max(0.0, took) for what, took in (spent | by_file).items()})


def left_to_prepare(profile: Profile, found: Counts) -> tuple[int, int]:
    """How many files the stage `source` leaves to `prepare`, and their bytes, 0 where they are not here yet."""
    here = [file.stat().st_size for file in profile.pictures.rglob("*") if file.is_file()]
    written = found.train + found.val if profile.settings.source.kind in ("drawn", "imagenette") else 0
    return len(here) or written, sum(here)


def source(profile: Profile, pictures: int, md5: float) -> tuple[float | None, str]:
    """To make all `pictures` ready, and what that follows from. `md5`: a byte."""
    kind = profile.settings.source.kind
    if kind == "drawn":
        with TemporaryDirectory() as folder:
            return pictures * seconds(lambda: _drawn(profile, Path(folder))) / SAMPLE, f"{SAMPLE} pictures drawn"
    if kind == "imagenette":
        return _unpacked(profile)
    if kind in ilsvrc.CONTESTS and all(path.is_file() for path in ilsvrc.needed(profile)):
        size = sum(path.stat().st_size for path in ilsvrc.needed(profile))
        return 2 * md5 * size, f"MD5 sums of {size / 1e9:,.1f} GB, the suite's and DVC's, as fast as of memory"
    return None, "unknown: the pictures are not here"


def _drawn(profile: Profile, folder: Path) -> Listing:
    """SAMPLE pictures of the demo's."""
    each = SAMPLE // (2 * len(draw.CLASSES))
    draw.draw(folder / "drawn", profile.settings.source.seed, each, each)
    return scan(folder / "drawn")


def _unpacked(profile: Profile) -> tuple[float | None, str]:
    """Copying Imagenette's pictures, or unpacking its archives."""
    try:
        found = imagenette.find(profile)
    except UserError:
        if imagenette.is_set(profile.pictures):
            return 0.0, "the pictures are there already"
        return None, "unknown: the pictures are not here"
    if isinstance(found, Path):
        names = [found / name for split in SPLITS for name, _, _ in scan(found).pictures[split]]
        with TemporaryDirectory(dir=profile.root) as folder:
            took = seconds(lambda: [copyfile(name, Path(folder, str(i))) for i, name in enumerate(spread(names))])
        return took * len(names) / len(spread(names)), f"{len(spread(names))} pictures copied"
    with TemporaryDirectory(dir=profile.root) as folder, open(found[0], "rb") as packed, lzma.open(packed) as archive:
        start = time.perf_counter()
        for _ in imagenette.unpacked(archive, found[0], Path(folder)):
            if time.perf_counter() - start > UNPACKED:
                break
        read, took = packed.tell(), time.perf_counter() - start
    return took / read * sum(path.stat().st_size for path in found), f"{read / 1e6:.0f} MB of an archive unpacked"


def prepare(profile: Profile, found: Counts) -> tuple[float | None, str]:
    """All pictures, decoded, resized and stored as the stage does it: the start of its first samples, and the rate of others."""
    made, there = profile.settings.pictures, sum(ceil(pictures / SHARD_PICTURES) for pictures in (found.train, found.val))
    pool = preparation.pooled(there, cores())
    at_once = cores() if pool else 1
    with TemporaryDirectory() as folder:
        listed = listing(profile)
        if listed is None and profile.settings.source.kind == "drawn":
            listed = _drawn(profile, Path(folder))
        if listed is None or not found.train:
            return None, f"unknown: no pictures here yet (replicate source --profile {profile.name})"
        names = [name for name, _, _ in listed.pictures["train"]]
        jobs = []
        for number in range(at_once * (1 + ROUNDS)):
            some, path = spread(names, number), Path(folder, f"train-{number:05d}.npy")
            places = [listed.place(name) for name in some]
            jobs.append(shards.Job("train", path, listed.folder, some, places, listed.raw, made.side, made.filter, None))
        for built in preparation.run(jobs[:1], cores(), False, lambda pictures: None):  # compiles
            built.job.path.unlink()
        ended = [time.perf_counter()]
        for built in preparation.run(jobs, cores(), pool, lambda pictures: None):
            ended.append(time.perf_counter())
            built.job.path.unlink()
    size, started = len(jobs[0].names), ended[at_once] - ended[0]
    each = (ended[-1] - ended[at_once]) / (size * at_once * ROUNDS)
    how = f"{len(jobs)} times {size} pictures, spread over the set"
    return started + max(0, found.train + found.val - size * at_once) * each, how


def pca(side: int) -> float:
    """A picture of `side` pixels, hashed and its colours summed on all cores."""
    block = generator(0, "pictures").integers(0, 256, (2**26 // side**2 // 3, side, side, 3), dtype=np.uint8)
    block.flags.writeable = False  # as a store's are, for which Numba compiles another kernel

    class Blocks:
        shards = cores()

        def __len__(self) -> int:
            return self.shards * len(block)

        def parts(self, shard: int) -> Iterator[np.ndarray]:
            hashlib.sha256(block)
            yield block

    sums(Blocks())
    return seconds(lambda: sums(Blocks())) / len(Blocks())


def neighbours(network: Network, crop: int, pictures: int) -> float:
    """To find the neighbours of all `pictures` in the last hidden layer and in pixels, as if it grew with their number."""
    some = min(AMONG, pictures)
    units = prod([row for row in count(network, crop) if row.learned][-1].input)
    random = generator(0, "neighbours")
    features = random.standard_normal((some, units), dtype=np.float32)
    pixels = random.integers(0, 256, (some, crop, crop, 3), dtype=np.uint8)
    return seconds(lambda: retrieval(features.__getitem__, pixels.__getitem__, np.arange(some) % 2)) * pictures / some


def score(classes: int) -> float:
    """A picture's answer, of which top-1 and top-5 error are counted."""
    answers = generator(0, "answers").random((AMONG, classes), dtype=np.float32)
    return seconds(lambda: error_rates(answers, np.arange(AMONG) % classes)) / AMONG


def spread(names: list, number: int = 0) -> list:
    """At most SAMPLE of them, from first to last; others with another `number`, if there are."""
    step = max(1, len(names) // SAMPLE)
    return names[number % step :: step][:SAMPLE]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
