"""Every profile without its data: the pipeline lists, all parameters validate, each network takes one training step."""

import re
import subprocess

import numpy as np
import pytest
import torch
import yaml

from replicate import networks, settings
from replicate.modules import build, initialise
from replicate.pictures import draw
from replicate.pictures.crops import Reading
from replicate.pictures.decode import decode
from replicate.training.loop import update
from replicate.training.update import PaperSGD
from tests.conftest import ROOT

PROFILES = settings.profiles(ROOT)


@pytest.fixture(params=PROFILES)
def profile(request):
    return settings.load_from(ROOT, request.param)


def pipeline(profile) -> dict:
    return yaml.safe_load((ROOT / profile.pipeline).read_text())


def test_the_profiles_are_there():
    assert set(PROFILES) >= {"demo", "imagenette", "imagenet"}


def test_stages_are_the_same_in_every_profile(profile):
    assert list(pipeline(profile)["stages"]) == ["check", "source", "prepare", "pca", "train", "evaluate", "compare", "report"]


def test_dvc_reads_the_pipeline(profile):
    folder = (ROOT / profile.pipeline).parent
    done = subprocess.run(["dvc", "stage", "list", "--name-only"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in profile.settings.trainings:
        assert f"train@{name}" in done.stdout.split()


def test_stages_read_their_own_profile_s_parameters(profile):
    """Under `wdir`, a parameter without a file silently means the root's params.yaml."""
    own = str(profile.params_file.relative_to(ROOT))
    known = set(settings.Settings.model_fields)
    for name, stage in pipeline(profile)["stages"].items():
        for entry in stage.get("do", stage).get("params", []):
            assert list(entry) == [own], name
            assert {key.split(".")[0] for key in entry[own]} <= known, name


def test_every_parameter_line_has_its_meaning(profile):
    """Those of `pictures` and `recipe`, two spaces deep; overrides further in repeat them."""
    found = re.findall(r"^  (\w+):(.*)$", profile.params_file.read_text(), flags=re.MULTILINE)
    known = settings.Recipe.model_fields | settings.Pictures.model_fields
    lines = [(key, rest) for key, rest in found if key in known]
    assert {key for key, _ in lines} == set(known)
    for key, rest in lines:
        assert "# " in rest, key


def test_fc6_reads_the_same_with_either_pooling(profile):
    side = profile.settings.recipe.crop
    nets = ["demo", "demo-non-overlapping"] if profile.name == "demo" else ["paper", "non-overlapping"]
    fc6 = [next(row.input[1:] for row in networks.count(networks.load(net), side=side) if row.name == "fc6") for net in nets]
    assert fc6[0] == fc6[1]


def test_the_imagenet_recipe_is_the_paper_s_in_full():
    recipe = settings.load_from(ROOT, "imagenet").settings.recipe
    assert recipe.schedule.rule == "plateau" and recipe.crops == "random" and recipe.reflections


IMAGENET = settings.load_from(ROOT, "imagenet").settings


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({training.network for training in IMAGENET.trainings.values()}))
def test_one_step_of_each_imagenet_network_at_full_size(name, tmp_path):
    """On drawn pictures, decoded as `prepare` does; the loss on the same pictures falls."""
    recipe = IMAGENET.recipe
    draw.draw(tmp_path / "drawn", seed=1, train_per_class=1, val_per_class=1)
    files = sorted(tmp_path.glob("drawn/train/*/*"))[:2]
    pictures = np.stack([decode(path.read_bytes(), IMAGENET.pictures.side, IMAGENET.pictures.filter) for path in files])
    net = initialise(build(name), seed=1).to(memory_format=torch.channels_last)
    reading = Reading.of(net.description.input, pictures.mean(0, dtype=np.float32))
    pixels = torch.from_numpy(reading.centre(pictures, recipe.crop)).permute(0, 3, 1, 2)
    labels = torch.tensor([0, 1])
    optimizer = PaperSGD(net.parameters(), recipe.learning_rate, recipe.momentum, recipe.weight_decay)
    before, _ = update(net.eval(), optimizer, pixels, labels)  # without dropout, whose masks would differ
    after = torch.nn.functional.cross_entropy(net(pixels), labels).item()
    assert np.isfinite(before) and after < before
