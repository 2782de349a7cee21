"""Models however they are given, where they run, and what is said of one that cannot be looked at."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from replicate.errors import UserError
from replicate.modules.tell.ask import ask
from replicate.modules.tell.look import look
from replicate.modules.tell.subject import Subject, opened
from tests.modules.told import SHAPE, layers, refused


def test_a_model_for_devices_that_are_not_here():
    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3).to("cuda:0"), nn.Conv2d(4, 4, 3).cuda(1)

        def forward(self, x):
            y = self.a(x.to("cuda:0"))
            return self.b(y.to(torch.device("cuda", 1))) + torch.zeros(1, device="cuda:1")

    assert [x.kind for x in layers(lambda: nn.DataParallel(Placed().cuda()))][:2] == ["conv", "conv"]


def test_a_model_that_the_meta_device_cannot_make_is_made_on_the_cpu():
    class Concrete(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1200, 2)
            self.largest = float(np.abs(self.fc.weight.detach().numpy()).max())

        def forward(self, x):
            return self.fc(x.flatten(1))

    seen = look(Subject(Concrete, "m"), [SHAPE])
    assert [x.kind for x in seen.layers] == ["linear"] and "made on the CPU" in seen.notes[0]


def test_a_model_that_runs_on_the_cpu_only():
    class Sized(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("shape", torch.tensor([-1, 1200]))
            self.fc = nn.Linear(1200, 2)

        def forward(self, x):
            return self.fc(x.reshape(self.shape.tolist()))

    assert [x.kind for x in layers(Sized)] == ["linear"]


def test_a_module_that_is_given_stays_as_it_was():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(2))
    assert [x.kind for x in layers(model)] == ["conv", "batch_norm", "dropout", "linear"]
    assert model.training and model[0].training and isinstance(model[0], nn.LazyConv2d)
    assert nn.parameter.is_lazy(model[4].weight) and not model[1].weight.is_meta and model[1].num_batches_tracked == 0
    assert not model[1]._forward_hooks


def test_a_model_that_does_not_run_is_quoted():
    model = nn.Sequential(nn.Conv2d(1, 4, 3))
    with pytest.raises(UserError, match=r"at 3×224×224: .*1 channels.*at 3×227×227: .*--input 1x224x224"):
        ask(model)
    with pytest.raises(UserError, match="--input CxHxW"):
        ask(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 2)))
    assert "cannot be made: ZeroDivisionError" in refused(lambda: nn.Linear(1 // 0, 2))


def test_a_forward_that_needs_more_than_pictures_is_said_to():
    class Two(nn.Module):
        def forward(self, x, y, scale=1):
            return x + y * scale

    assert "its forward takes x, y, scale, and is called with pictures only" in refused(Two)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_scripted_or_traced_module_is_not_followed():
    model = nn.Sequential(nn.Conv2d(3, 4, 20), nn.Flatten())
    traced = torch.jit.trace(model, torch.zeros(1, *SHAPE))
    for given in (lambda: torch.jit.script(model), torch.jit.script(model), lambda: traced):
        assert "is compiled by torch.jit" in refused(given)


def test_a_model_that_ends_the_program_is_one_line():
    class Ends(nn.Module):
        def forward(self, x):
            sys.exit(4)

    assert "cannot be made: it ends the program (exit status 3)" in refused(lambda: sys.exit(3))
    assert "does not run (at 3×20×20: SystemExit: 4)" in refused(Ends)


@pytest.mark.parametrize("last", [lambda: nn.Linear(2 * 55 * 55, 10), lambda: nn.Sequential(nn.LazyLinear(10), OnlyAt227())])
def test_without_an_input_the_second_side_is_tried(last):
    look = ask(lambda: nn.Sequential(KeepsSide(), nn.Conv2d(3, 2, 11, 4), nn.Flatten(), last()))[0]
    assert look.input == (3, 227, 227) and look.layers[-1].units == 2 * 55 * 55


class KeepsSide(nn.Module):
    def forward(self, x):
        KeepsSide.side = x.shape[-1]
        return x


class OnlyAt227(nn.Module):
    """Fails after the layers before it have taken their sizes."""

    def forward(self, x):
        assert KeepsSide.side == 227
        return x


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("torchvision.models:alexnt", "did you mean 'alexnet'"),
        ("torchvision.modles:alexnet", "cannot be imported: ModuleNotFoundError"),
        ("torchvision.models", "package.module:factory"),
        ("missing.py:factory", "missing.py: no such file"),
        ("math:pi", "neither a torch module nor something that makes one"),
        ("torch.nn:Linear", "needs arguments; give a function without any"),
        ("os:getcwd", "gives str, no torch module"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(where, said):
    with pytest.raises(UserError) as error:
        look(opened(where), [SHAPE])
    assert said in str(error.value)
