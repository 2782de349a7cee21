"""`replicate check model`: what it prints, how it ends, and what it does not do."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from safetensors.torch import save_file

from replicate.commands.main import cli
from replicate.errors import UserError
from replicate.modules import build

MODEL = """
import torch
from torch import nn
print("a word of the model's own")

class Small(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 11, 4)
        self.fc = nn.LazyLinear(classes)

    def forward(self, x):
        return self.fc(torch.relu(self.conv1(x)).view(x.size(0), -1))

def needs(classes):
    return Small(classes)

def ends():
    raise SystemExit(0)

class NoLayers(nn.Module):
    def forward(self, x):
        return x
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("mine", None)


def check(*arguments):
    return CliRunner().invoke(cli, ["check", "model", *arguments])


def test_the_same_network_ends_with_0_and_another_with_1():
    same, other = (check("torchvision.models:alexnet", "--network", name) for name in ("torchvision", "paper"))
    assert (same.exit_code, other.exit_code) == (0, 1)
    assert same.stdout.startswith("torchvision.models:alexnet is the network torchvision")
    assert "differs from paper" in other.stdout.splitlines()[0] and "groups 1 rather than 2" in " ".join(other.stdout.split())


def test_without_a_network_the_nearest_is_named_with_status_0(here):
    for where in ("mine:Small", "mine.py:Small"):
        done = check(where)
        assert done.exit_code == 0
        assert done.stdout.startswith(f"{where}: nearest known network: ")


def test_json_is_one_object_whatever_the_model_prints(here):
    done = check("mine:Small", "--format", "json", "--network", "paper", "--classes", "10", "--input", "3x64x64")
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert data["input"] == [3, 64, 64] and data["network"] == "paper" and not data["same"]
    assert "classes" not in {d["about"] for d in data["differences"]}


def test_a_file_of_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(dict(build("demo", classes=10).state_dict()), path)
    done = check(str(path), "--network", "demo")
    assert done.exit_code == 0
    assert "what it shows agrees with demo" in " ".join(done.stdout.split()) and "kernels, groups and counts only" in " ".join(
        done.stdout.split()
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine:needs"], "give a function that needs no arguments"),
        (["mine:ends"], "cannot be made: it ends the program"),
        (["mine:NoLayers"], "no convolution and no linear layer"),
        (["mine:Smal"], "did you mean 'Small'"),
        (["yours:Small"], "ModuleNotFoundError"),
        (["mine:Small", "--network", "papper"], "did you mean 'paper'"),
        (["mine:Small", "--input", "64"], "such as 3x227x227"),
        (["weights.pt"], "can run code"),
    ],
)
def test_what_a_user_gets_wrong_is_an_error(arguments, said, here):
    with pytest.raises(UserError, match=said):
        raise check(*arguments).exception


def test_wrong_options_are_usage():
    assert check("a:b", "--classes", "1").exit_code == 2
    assert check().exit_code == 2


def test_an_error_is_one_line(here):
    done = subprocess.run([sys.executable, "-m", "replicate", "check", "model", "mine:Smal"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("Error: unknown attribute of mine 'Smal'") and "Traceback" not in done.stderr


def test_the_help_says_that_dropout_counts_with_its_rescaling():
    assert "nn.Dropout, and so every ordinary PyTorch model, divides by 1-p" in " ".join(check("--help").stdout.split())


def test_the_help_says_that_a_model_s_module_is_run():
    assert "runs its module" in " ".join(check("--help").stdout.split())
