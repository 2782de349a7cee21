"""A small clone: the demo with few pictures, two epochs and two trainings, prepared once for all tests."""

import hashlib
import os
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from replicate import settings

ROOT = Path(__file__).parent.parent
# Compiled kernels are kept between runs. Numba sees a change in a kernel's own file only, not in what it calls.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((ROOT / "replicate").rglob("*.py")))).hexdigest()
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".replicate" / "numba" / SOURCES[:16]))


def free_port() -> int:
    """By which nothing listens."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def small_params() -> dict:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["source"] |= {"train_per_class": 20, "val_per_class": 8}
    params["recipe"]["schedule"] = {"rule": "fixed", "drop_after": [1], "epochs": 2}
    params["trainings"] = {name: params["trainings"][name] for name in ("base-1", "base-2", "lrn-off-1")}
    return params


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A folder like a clone, its pictures drawn, its store and PCA made. Not to be written to: copy it."""
    from replicate.pictures.pca import compute
    from replicate.pictures.prepare import prepare
    from replicate.pictures.sources import provide

    root = tmp_path_factory.mktemp("prepared")
    (root / "pipelines").mkdir()
    text = yaml.safe_dump(small_params(), sort_keys=False).replace("epochs: 2\n", "epochs: 2 \n")
    (root / "params.yaml").write_text(text)
    profile = settings.load_from(root, "demo")
    provide(profile)
    prepare(profile, workers=1)
    compute(profile)
    return root


@pytest.fixture
def small_clone(prepared, tmp_path, monkeypatch) -> Path:
    """A copy of `prepared` to work in, as the working directory."""
    root = tmp_path / "clone"
    shutil.copytree(prepared, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def small_profile(small_clone) -> settings.Profile:
    return settings.load("demo")
