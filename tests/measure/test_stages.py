"""How long the stages other than training take, from a small part of each; no test asserts a time."""

import io
import os
import tarfile
from types import SimpleNamespace
from unittest.mock import ANY

import numba
import pytest

from replicate import files
from replicate.measure import stages
from replicate.measure.stages import Counts
from replicate.paper import claims
from replicate.pictures import pca, sums
from replicate.pictures.store import open_store
from tests.conftest import ROOT
from tests.measure.conftest import profile_of

IMAGENET, VAL, TEST = claims()["train-images-1.2m"].value, claims()["val-50k"].value, claims()["test-150k"].value


def test_where_the_counts_come_from(small_profile, tmp_path):
    assert stages.counts(small_profile) == Counts(200, 80, 10, "the store")
    (small_profile.store / "manifest.json").unlink()
    assert stages.counts(small_profile) == Counts(200, 80, 10, "the pictures")
    (small_profile.pictures / "val").rename(small_profile.pictures / "gone")
    assert stages.counts(small_profile) == Counts(200, 80, 10, "reports/demo/records/store.json")
    small_profile.record("store").unlink()
    assert stages.counts(small_profile) == Counts(200, 80, 10, "the parameters")
    imagenet = stages.counts(profile_of(tmp_path / "a"))
    assert imagenet[:3] == (IMAGENET["images"], VAL, IMAGENET["classes"]) and "paper" in imagenet.known
    tests = {"kind": "ilsvrc2010", "name": "ilsvrc2010", "evaluate": "test"}
    assert stages.counts(profile_of(tmp_path / "b", lambda params: params.update(source=tests))).val == TEST
    assert stages.counts(profile_of(tmp_path / "c", lambda params: params.update(source={"kind": "folder", "name": "x"}))).train == 0


def test_the_record_of_other_pictures_is_not_counted(small_profile):
    (small_profile.store / "manifest.json").unlink()
    (small_profile.pictures / "val").rename(small_profile.pictures / "gone")
    record = files.read_json(small_profile.record("store"))
    files.write_json(small_profile.record("store"), record | {"source": "others"})
    assert stages.counts(small_profile).known == "the parameters"


@pytest.mark.parametrize("stage", ["check", "pca"])
def test_a_stage_begins(small_profile, stage):
    assert stages.begin(small_profile, stage) > 0


def test_what_every_stage_begins_with_is_there(small_clone):
    for code in stages.BEGINS.values():
        exec(code, {})  # noqa: S102


def test_the_kernel_of_pca_is_the_one_that_a_store_needs(small_profile, monkeypatch):
    """Numba compiles another one for pixels of another kind, at the first run in a clone."""
    kinds = []
    monkeypatch.setattr(sums, "_add_products", lambda x, *rest: kinds.append(numba.typeof(x)))
    exec(stages.BEGINS["pca"], {})  # noqa: S102
    stages.pca(32)
    pca.sums(open_store(small_profile.store).train)
    assert len(kinds) > 2 and len(set(kinds)) == 1


def test_samples_of_the_pictures_are_prepared(small_profile):
    assert stages.prepare(small_profile, stages.counts(small_profile)) == (ANY, "10 times 200 pictures, spread over the set")
    for split in ("train", "val"):
        (small_profile.pictures / split).rename(small_profile.pictures / f"gone-{split}")
    seconds, how = stages.prepare(small_profile, Counts(2400, 800, 10, ""))  # the demo's can be drawn
    assert seconds > 0 and how.startswith("10 times 100 pictures")


@pytest.mark.slow
def test_many_pictures_are_prepared_in_processes_as_the_stage_does(small_profile, monkeypatch):
    pools = []
    run = stages.preparation.run
    monkeypatch.setattr(stages, "cores", lambda: 2)
    monkeypatch.setattr(stages.preparation, "run", lambda jobs, workers, pool, tick: pools.append(pool) or run(jobs, workers, pool, tick))
    seconds, how = stages.prepare(small_profile, Counts(9000, 1000, 10, ""))
    assert seconds > 0 and how.startswith("20 times 200 pictures") and pools == [False, True]  # compiles here


@pytest.mark.parametrize(("workers", "pictures"), [(1, 9000), (2, 3000), (2, 9000)])
def test_all_pictures_take_the_start_and_the_rate_of_what_follows(small_profile, monkeypatch, workers, pictures):
    """Made up: 20 seconds until the first samples are done, as many as there are processes, then 10 pictures a second."""
    clock = iter([100.0])
    at_once, jobs_seen = 1 if pictures < 8 * 1024 else workers, []
    monkeypatch.setattr(stages, "SAMPLE", 10)
    monkeypatch.setattr(stages, "cores", lambda: workers)

    def run(jobs, *_):
        nonlocal clock
        for number, job in enumerate(jobs, 1):
            job.path.touch()
            if len(jobs) > 1:  # the first alone compiles
                jobs_seen.append(job)
                clock = iter([120.0 + number - at_once])
            yield SimpleNamespace(job=job)

    monkeypatch.setattr(stages.preparation, "run", run)
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(clock))
    seconds, _ = stages.prepare(small_profile, Counts(pictures, 0, 10, ""))
    assert seconds == pytest.approx(20 + (pictures - 10 * at_once) / 10)
    assert len(jobs_seen) == 10 * at_once
    assert len({name for job in jobs_seen for name in job.names}) == 10 * len(jobs_seen)


def test_a_set_that_is_smaller_than_a_sample_is_prepared_whole(small_profile):
    for folder in (small_profile.pictures / "train").iterdir():
        for picture in sorted(folder.iterdir())[1:]:
            picture.unlink()
    classes = len(list((small_profile.pictures / "train").iterdir()))
    seconds, how = stages.prepare(small_profile, Counts(classes, 80, classes, ""))
    assert seconds > 0 and how.startswith(f"10 times {classes} pictures")


def test_pictures_that_are_not_here_are_not_estimated(tmp_path, monkeypatch):
    monkeypatch.delenv("REPLICATE_DATA", raising=False)
    profile = profile_of(tmp_path, name="imagenette")
    seconds, why = stages.prepare(profile, Counts(1000, 100, 10, ""))
    assert seconds is None and "replicate source" in why
    assert stages.left_to_prepare(profile, Counts(1000, 100, 10, "")) == (1100, 0)
    assert stages.source(profile, 1000, 1e-9) == (None, "unknown: the pictures are not here")


def test_archives_are_unpacked_for_a_while(tmp_path, monkeypatch):
    profile = profile_of(tmp_path, name="imagenette")
    profile.source.mkdir(parents=True)
    for name in stages.imagenette.ARCHIVES:
        with tarfile.open(profile.source / name, "w:xz") as archive:
            for number in range(3):
                picture = tarfile.TarInfo(f"imagenette2/train/n1/{number}.JPEG")
                picture.size = 2**18
                archive.addfile(picture, io.BytesIO(os.urandom(2**18)))
    seconds, how = stages.source(profile, 1000, 1e-9)
    assert seconds > 0 and "unpacked" in how
    assert not profile.pictures.exists() and sorted(path.name for path in tmp_path.iterdir()) == ["data", "params.yaml", "pipelines"]


def test_samples_are_spread_from_first_to_last():
    assert stages.spread(list(range(10))) == stages.spread(list(range(10)), 3) == list(range(10))
    some = stages.spread(list(range(1000)))
    assert len(some) == stages.SAMPLE and some[:2] == [0, 5] and some[-1] == 995
    assert stages.spread(list(range(1000)), 7) == [one + 2 for one in some]


@pytest.mark.slow
def test_dvc_is_timed_without_running_the_pipeline(small_profile):
    for file in ("dvc.yaml", "dvc.lock"):
        (small_profile.root / file).write_bytes((ROOT / file).read_bytes())
    lock = (small_profile.root / "dvc.lock").read_bytes()
    dvc = stages.dvc(small_profile)
    assert dvc.start > 0 and dvc.each > 0 and dvc.before > 0
    assert (small_profile.root / "dvc.lock").read_bytes() == lock and not (small_profile.root / ".dvc").exists()
