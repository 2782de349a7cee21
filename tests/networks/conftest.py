"""A folder of networks to add files to."""

import pytest

from replicate.networks import description, load
from replicate.networks.description import aliases


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of networks with `paper` only."""
    (tmp_path / "paper.yaml").write_text(description.path("paper").read_text())
    monkeypatch.setattr(description, "FOLDER", tmp_path)
    for cached in (load, aliases):
        cached.cache_clear()
    yield tmp_path
    for cached in (load, aliases):
        cached.cache_clear()
