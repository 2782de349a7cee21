"""A profile in a temporary folder, with parameters of one's choice; and pictures for it."""

import copy
import shutil
from pathlib import Path

import pytest

from replicate.errors import UserError
from replicate.files import parse, read_yaml
from replicate.pictures import sources, store
from replicate.pictures.prepare import prepare
from replicate.settings import Profile, Settings

PARAMS = read_yaml(Path(__file__).parents[2] / "params.yaml")
FOLDER = {"kind": "folder", "name": "mine"}
DRAWN = {"kind": "drawn", "name": "drawn", "seed": 3, "train_per_class": 4, "val_per_class": 2}


def profile_at(root: Path, source=FOLDER, **pictures) -> Profile:
    params = copy.deepcopy(PARAMS)
    params["source"] = source
    params["pictures"] = {"side": 32, "filter": "bilinear", "skip_broken": False} | pictures
    params["recipe"]["crop"] = 16
    return Profile("test", root, parse(Settings, params, "test"))


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """`profile(source={...}, side=…)`: a profile called `test` whose root is the temporary folder."""
    monkeypatch.delenv("REPLICATE_DATA", raising=False)
    return lambda source=FOLDER, **pictures: profile_at(tmp_path, source, **pictures)


@pytest.fixture
def drawn(profile, monkeypatch):
    """A drawn profile in shards of 16 pictures: three for training, two for validation."""
    monkeypatch.setattr(store, "SHARD_PICTURES", 16)
    ours = profile(DRAWN)
    sources.provide(ours)
    return ours


@pytest.fixture
def mine(profile, drawn, tmp_path):
    """`mine(**parameters)`: the same pictures as a folder of the user's, in another profile."""
    source = tmp_path / "data" / "test" / "source"
    shutil.copytree(drawn.pictures, source)
    return lambda **parameters: profile(**parameters)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(profile, match):
    with pytest.raises(UserError, match=match) as error:
        prepare(profile, workers=1)
    assert "\n" not in str(error.value)
