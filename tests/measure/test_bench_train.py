"""`bench train`: what is compared computes the same, the parts are told apart, and words follow from figures; no test asserts a time."""

import re
import time
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from replicate import settings
from replicate.commands.bench import train as command
from replicate.measure import limits
from replicate.measure.plain import plain
from replicate.measure.shares import COPIES, DATA, DROPOUT, NORMAL, OPTIMIZER, PARTS, REST, feeding, shares
from replicate.measure.train import FEED, NEWCOMER, OURS, PLAIN, PRODUCT, THEIRS, Bench, Case, bench
from replicate.modules import build, fused, initialise
from replicate.networks import count, load
from replicate.training.loop import update
from replicate.training.update import PaperSGD
from tests.conftest import ROOT


def small_case() -> Case:
    return Case.of(settings.load_from(ROOT, "imagenet"), batch=4, side=64, classes=5)


@pytest.mark.parametrize("side", [64, 67, 96])
def test_the_plain_network_is_the_same_function(side):
    """Dropout aside: the paper's halves at test, where torch's does nothing."""
    ours, own = initialise(build("paper", 5, side), seed=1).eval(), plain(load("paper"), 5, side).eval()
    own.load_state_dict(ours.state_dict())
    for name in ("dropout6", "dropout7"):
        ours.set_submodule(name, torch.nn.Identity())
    x = 50 * torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(own(x), ours(x), rtol=1e-5, atol=1e-5)
    kinds = {type(module).__module__ for name, module in own.named_modules() if name and not list(module.children())}
    assert all(kind.startswith("torch.nn.modules") for kind in kinds)


def test_a_layer_that_plain_has_no_module_for_is_no_other_one():
    with pytest.raises(NotImplementedError, match="tanh"):
        plain(load("tanh"), 10, 224)


def test_useful_work_is_three_products_a_weight_but_two_in_the_first_layer():
    case = small_case()
    rows = [row for row in count(case.network, 64, 5) if row.learned]
    assert case.flops == 2 * 4 * sum((2 if row.name == "conv1" else 3) * row.macs for row in rows)


@pytest.fixture(scope="module")
def found() -> Bench:
    return bench(small_case(), rounds=2)


def test_every_way_is_timed_in_every_round(found):
    precisions = list(found.parts)
    assert precisions == (["float32", "bfloat16"] if found.units else ["float32"])
    both = [(what, precision) for what in (OURS, THEIRS, PRODUCT) for precision in precisions]
    assert set(found.seconds) == {*both, (PLAIN, "float32"), (NEWCOMER, "float32"), (FEED, "float32")}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in found.seconds.values())
    assert all(sum(parts.values()) == pytest.approx(100) for parts in found.parts.values())
    rows = {(row["what"], row["precision"]): row for row in found.rows()}
    assert rows[PLAIN, "float32"]["times"] == 1
    assert all(row["low"] <= row["rate"] <= row["high"] for row in rows.values())


def trained(name: str, precision: str):
    """A step of a small net, as `shares` wants it."""
    net = initialise(build(name, 5), seed=1).to(memory_format=torch.channels_last).train()
    optimizer = PaperSGD(net.parameters(), 0.01, 0.9, 0.0005)
    pictures, labels = torch.randn(16, 3, net.side, net.side).contiguous(memory_format=torch.channels_last), torch.arange(16) % 5

    def step() -> None:
        with feeding():
            time.sleep(0.01)
        update(net, optimizer, pictures, labels, precision)

    return net, step


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_parts_of_a_step(precision):
    net, step = trained("demo", precision)
    step()
    found = shares(net, step, 2)
    assert list(found) == list(PARTS) and sum(found.values()) == pytest.approx(100)
    assert min(found.values()) > 0
    assert found[REST] < 50  # forward and backward are recognised
    (demo := trained("demo-no-dropout", precision))[1]()
    assert shares(*demo, 1)[DROPOUT] == 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_looking_does_not_change_what_is_run(monkeypatch):
    """Layers that one kernel does together go apart as soon as somebody watches one of them."""
    net, step = trained("demo", "float32")
    runs, run = [], fused.run
    monkeypatch.setattr(fused, "run", lambda part, x: runs.append(type(run(part, x).grad_fn).__name__) or run(part, x))
    step()
    alone, _ = runs.copy(), runs.clear()
    shares(net, step, 1)
    assert runs == alone


def test_a_part_that_takes_long_is_seen_where_it_is():
    net, step = trained("demo", "float32")
    for name, part in (("relu6", NORMAL), ("dropout6", DROPOUT)):
        step()
        hook = net.get_submodule(name).register_forward_hook(lambda *_: time.sleep(0.3))
        found = shares(net, step, 1)
        hook.remove()
        assert max(found, key=found.get) == part
    found = shares(net, lambda: (feeding().__enter__(), time.sleep(0.3)), 1)
    assert found[DATA] + found[REST] > 99 and found[OPTIMIZER] == found[COPIES] == 0


def test_one_slow_step_of_several_is_not_taken_for_all():
    net, step = trained("demo", "float32")
    step()
    seconds = iter([0, 5, 0])
    hook = net.get_submodule("relu6").register_forward_hook(lambda *_: time.sleep(next(seconds)))
    found = shares(net, step, 3)
    hook.remove()
    assert not list(seconds) and found[NORMAL] < 50


def made_up(ours: float, parts: dict[str, float], **other) -> Bench:
    """A step of ours in float32 that takes `ours` times what its useful work takes as one product of matrices."""
    case = replace(small_case(), classes=1000)
    case = replace(case, recipe=case.recipe.model_copy(update={"crop": 224, "batch_size": 128}))
    rounds, product = other.pop("rounds", 7), 2 * 64**3 / case.flops
    seconds = {(OURS, "float32"): ours, (PLAIN, "float32"): 4.0, (NEWCOMER, "float32"): 8.0, (PRODUCT, "float32"): product}
    parts = {"float32": dict.fromkeys(PARTS, 0.0) | parts}
    values = {"device": torch.device("cpu"), "units": "AMX", "threads": 2, "side": 64} | other
    return Bench(case=case, seconds={way: [one] * rounds for way, one in seconds.items()}, parts=parts, **values)


@pytest.mark.parametrize(
    ("ours", "parts", "said"),
    [
        (1.25, {"convolution": 85, "optimizer": 10, "loss": 5}, "limited by arithmetic: .* 85 % .* 80 % would do .* optimizer"),
        (4.0, {"convolution": 60, "fully connected layers": 5, "dropout": 35}, "slower than one large product.* 25 % would do .* dropout .35"),
        (4.0, {"convolution": 30, "casts and copies": 60, "loss": 10}, "no product of matrices: .* casts and copies .60.0 %"),
        (0.5, {"convolution": 90, "loss": 10}, "arithmetic: .* 90 % of a step, where 90 % would do"),  # faster than mm
    ],
)
def test_what_limits_a_step_follows_from_its_parts(ours, parts, said):
    assert re.search(said, limits.limit(made_up(ours, parts), "float32"))


def test_targets_are_judged_on_what_they_are_for():
    met = limits.targets(made_up(2.0, {NORMAL: 15.0}))
    assert met[0].endswith("2.00 (2.00 to 2.00) (times plain as a newcomer starts it: 4.00 (4.00 to 4.00)): met (at least 1.85)")
    assert met[1].endswith("15.0 % of a step: met (at most 15 %)")
    missed = limits.targets(made_up(2.5, {NORMAL: 15.1}))
    assert all("MISSED" in line for line in missed)
    for other in ({"rounds": 6}, {"threads": 1}, {"device": torch.device("cuda")}):
        assert all("not judged" in line for line in limits.targets(made_up(2.0, {}, **other)))


def test_the_command_prints_it_all(found, monkeypatch):
    monkeypatch.chdir(ROOT)
    asked = []
    monkeypatch.setattr("replicate.measure.train.bench", lambda *arguments: asked.append(arguments) or found)
    done = CliRunner().invoke(command, ["--side", "64", "--batch", "4", "--rounds", "2", "--classes", "5"], catch_exceptions=False)
    assert asked == [(small_case(), 2)]
    for said in ("newcomer", "data alone", "ReLU, LRN and pooling", "is limited by", "GFLOP/s in float32", "torchvision", "threads"):
        assert said in done.output
