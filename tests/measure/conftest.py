"""A clone without pictures, to plan in."""

from collections.abc import Callable
from pathlib import Path

import yaml

from replicate import settings
from tests.conftest import ROOT


def profile_of(root: Path, change: Callable[[dict], object] = lambda params: None, name: str = "imagenet") -> settings.Profile:
    """`root`, made a clone with one profile besides the demo; `change` is handed its parameters before they are written."""
    params = yaml.safe_load(settings.params_file(ROOT, name).read_text())
    change(params)
    (root / "pipelines" / name).mkdir(parents=True)
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    settings.params_file(root, name).write_text(yaml.safe_dump(params))
    return settings.load_from(root, name)
