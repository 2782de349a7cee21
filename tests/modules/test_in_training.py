"""A model in training beside the same in evaluation: dropout however it is written, and what else it does otherwise then."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from replicate.modules.tell import words
from replicate.modules.tell.ask import ask
from tests.modules.told import inside


@pytest.mark.parametrize(
    ("function", "p", "rescale"),
    [
        (lambda m, x: x * (torch.rand_like(x) >= 0.3) if m.training else x * 0.7, 0.3, "test"),
        (lambda m, x: x * (torch.rand(x.shape) < 0.8) / 0.8 if m.training else x, 0.2, "train"),
        (lambda m, x: x * torch.empty_like(x).bernoulli_(0.5) if m.training else x / 2, 0.5, "test"),
        (lambda m, x: F.dropout(x, 0.4, m.training), 0.4, "train"),
    ],
)
def test_dropout_is_seen_with_its_rescaling(function, p, rescale):
    assert inside(function) == [("dropout", {"p": pytest.approx(p, abs=1e-3), "rescale": rescale})]


@pytest.mark.parametrize("function", [lambda m, x: F.dropout(x), lambda m, x: x * (torch.rand_like(x) < 0.5)])
def test_dropout_that_forgets_to_stop_at_test_is_noticed(function):
    ((kind, settings),) = inside(function)
    assert kind == "dropout" and settings["p"] == 0.5 and "at test too" in settings["rescale"]


class Altered(nn.Module):
    """torchvision's network with `drop(module, x, dropout layer)`, `before(module, x)` and `after(module, x)` in its way."""

    def __init__(self, drop=lambda m, x, layer: layer(x), before=lambda m, x: x, after=lambda m, x: x):
        super().__init__()
        self.net, self.drop, self.before, self.after = torchvision.models.alexnet(), drop, before, after

    def forward(self, x):
        x = self.net.features(self.before(self, x)).flatten(1)
        for layer in self.net.classifier:
            x = self.drop(self, x, layer) if isinstance(layer, nn.Dropout) else layer(x)
        return self.after(self, x)


class KeepsDropoutOff(Altered):
    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():
            module.training &= not isinstance(module, nn.Dropout)
        return self


def differences(model, network="torchvision"):
    return words.lines(ask(model, network)[1][0])


@pytest.mark.parametrize(
    "drop",
    [
        lambda m, x, layer: layer(x),
        lambda m, x, layer: layer(x) if m.training else x,
        lambda m, x, layer: F.dropout(x, 0.5, m.training),
        lambda m, x, layer: 2 * x * torch.bernoulli(torch.full_like(x, 0.5)) if m.training else x,
    ],
)
def test_dropout_in_training_only_is_no_difference(drop):
    assert differences(lambda: Altered(drop)) == []


@pytest.mark.parametrize(
    "model",
    [
        lambda: Altered(lambda m, x, layer: F.dropout(x, 0.5, False)),
        lambda: Altered(lambda m, x, layer: x if m.training else layer(x)),
        KeepsDropoutOff,
    ],
    ids=["called with False", "called in evaluation only", "kept in evaluation by train()"],
)
def test_dropout_that_is_never_at_work_is_a_difference(model):
    assert differences(model) == ["dropout6: dropout never at work", "dropout7: dropout never at work"]


def test_dropout_that_is_never_at_work_is_none_to_a_network_without_any():
    def never(m, x, layer):
        return F.dropout(x, 0.5, False)

    def left_out(m, x, layer):
        return x

    assert differences(lambda: Altered(never), "no-dropout") == differences(lambda: Altered(left_out), "no-dropout")


def test_dropout_at_test_only_is_noticed():
    lines = differences(lambda: Altered(lambda m, x, layer: F.dropout(x, 0.5, not m.training)))
    assert ["outputs divided by 1-p, at test only rather than" in line for line in lines] == [True, True]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"after": lambda m, x: x * 0.5 if m.training else x}, "scale, factor 0.5 in training only"),
        ({"after": lambda m, x: x if m.training else F.relu(x)}, "relu in evaluation only"),
        ({"before": lambda m, x: x + torch.randn_like(x) if m.training else x}, "unrecognised: randn_like, add in training only"),
        ({"after": lambda m, x: x[:, :10] if m.training else x}, "its input or its answer in another order or number"),
    ],
)
def test_what_training_does_otherwise_is_one_difference(changed, said):
    (line,) = [line for line in differences(lambda: Altered(**changed)) if line.startswith("training")]
    assert line == f"training: does other things in training than in evaluation: {said}"


def test_another_way_in_training_is_listed_by_its_layers():
    class Shorter(Altered):
        def forward(self, x):
            if self.training:
                drop, fc6, relu, *_, fc8 = self.net.classifier
                return fc8(relu(fc6(drop(self.net.features(x).flatten(1)))))
            return super().forward(x)

    training, dropout = differences(Shorter)
    assert "linear 4096 (net.classifier.4) in evaluation only; relu" in training
    assert dropout == "dropout7: dropout never at work"


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (lambda m, x: x if x.mean() > 0 else -x, "reads the values"),
        (lambda m, x: x / (1 // 0), "ZeroDivisionError"),
    ],
)
def test_training_that_cannot_be_followed_is_a_difference_in_plain_words(before, said):
    (line,) = differences(lambda: Altered(before=lambda m, x: before(m, x) if m.training else x))
    assert line.startswith("training: could not be followed (") and said in line and "Untraceable" not in line
