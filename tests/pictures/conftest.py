"""A profile in a temporary folder, with parameters of one's choice."""

import copy
from pathlib import Path

import pytest

from replicate.files import parse, read_yaml
from replicate.settings import Profile, Settings

PARAMS = read_yaml(Path(__file__).parents[2] / "params.yaml")
FOLDER = {"kind": "folder", "name": "mine"}


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
