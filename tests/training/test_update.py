"""The printed update rule, by hand, across a drop of the rate; and where torch.optim.SGD differs from it, and by how much."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch.func import functional_call

from replicate.errors import UserError
from replicate.modules.layers import GroupedLinear
from replicate.paper import claims
from replicate.settings import OwnRate
from replicate.training import schedule
from replicate.training.update import PaperSGD, _flat, _foreach

MOMENTUM, DECAY = claims()["momentum"].value, claims()["weight-decay"].value
GRADIENTS = [0.3, -0.2, 0.5, 0.1, 0.4, -0.6]
RATES = [0.01, 0.01, 0.01, 0.001, 0.001, 0.001]


def by_hand(w):
    v, seen = 0.0, []
    for g, lr in zip(GRADIENTS, RATES, strict=True):
        v = MOMENTUM * v - DECAY * lr * w - lr * g
        w = w + v
        seen.append(w)
    return seen


def run(optimizer_class, w):
    p = torch.nn.Parameter(torch.tensor([w], dtype=torch.float64))
    optimizer = optimizer_class([p], lr=RATES[0], momentum=MOMENTUM, weight_decay=DECAY)
    seen = []
    for g, lr in zip(GRADIENTS, RATES, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        p.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        seen.append(p.item())
    return seen


def test_the_rule_is_the_paper_s():
    assert run(PaperSGD, 2.0) == pytest.approx(by_hand(2.0), abs=1e-15)


def test_torch_s_sgd_is_the_same_until_the_rate_drops_and_not_after():
    """Torch divides the whole velocity with the rate; the printed rule only what comes into it from then on."""
    ours, theirs = run(PaperSGD, 2.0), run(torch.optim.SGD, 2.0)
    assert ours[:3] == pytest.approx(theirs[:3], abs=1e-15)
    velocity = ours[2] - ours[1]
    assert ours[3] - theirs[3] == pytest.approx(MOMENTUM * velocity * (1 - RATES[3] / RATES[2]), abs=1e-12)
    assert abs(ours[3] - theirs[3]) > 1e-3


@pytest.fixture
def parameters():
    """A kernel in channels-last memory, a matrix, a bias and one number; with gradients, one of them in another order."""
    torch.manual_seed(0)
    kernel = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    found = [torch.nn.Parameter(value) for value in (kernel, torch.randn(700, 50), torch.randn(50), torch.randn(()))]
    for p in found:
        p.grad = torch.randn_like(p)
    found[1].grad = torch.randn(50, 700).t()
    return found


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-15), (torch.float32, 1e-6)])
def test_one_pass_and_torch_s_own_operations_give_the_same(parameters, dtype, close):
    weights = [torch.nn.Parameter(p.detach().to(dtype)) for p in parameters]
    for p, q in zip(weights, parameters, strict=True):
        p.grad = q.grad.to(dtype)
    plain, velocities = [p.detach().clone() for p in weights], [torch.zeros_like(p) for p in weights]
    optimizer = PaperSGD(weights, 0.1, MOMENTUM, DECAY)
    for _ in range(5):
        optimizer.step()
        _foreach(plain, velocities, [p.grad for p in weights], MOMENTUM, 0.1 * DECAY, 0.1)
    for p, q in zip(weights, plain, strict=True):
        torch.testing.assert_close(p.detach(), q, rtol=close, atol=close)


def test_one_pass_is_taken_wherever_memory_allows(parameters):
    """Not for the gradient that lies the other way round, nor in another precision."""
    assert [_flat(p, p.detach(), p.grad) is not None for p in parameters] == [True, False, True, True]
    half = parameters[2].detach().bfloat16()
    assert _flat(half, half, half) is None


def test_what_one_pass_changes_is_known_to_autograd():
    p = torch.nn.Parameter(torch.ones(3))
    loss = (p * p).sum()
    p.grad = torch.ones(3)
    PaperSGD([p], 0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_part_of_a_tensor_gets_the_bits_that_it_gets_in_the_whole():
    """As the towers of a layer must; also where a processor takes several numbers at once and some are left over."""
    torch.manual_seed(0)
    whole, gradient = torch.randn(10_007), torch.randn(10_007)

    def after(part: slice) -> torch.Tensor:
        p = torch.nn.Parameter(whole[part].clone())
        p.grad = gradient[part].clone()
        optimizer = PaperSGD([p], 0.1, MOMENTUM, DECAY)
        for _ in range(3):
            optimizer.step()
        return p.detach()

    parts = [after(slice(0, 4001)), after(slice(4001, None))]
    assert torch.equal(after(slice(None)), torch.cat(parts))


def test_a_rate_of_zero_skips_a_group_altogether(parameters):
    """Neither weights nor velocity change, and when the rate comes back the velocity is the one that was left."""
    frozen, free = parameters[2], parameters[0]
    optimizer = PaperSGD([{"params": [frozen]}, {"params": [free]}], 0.1, MOMENTUM, DECAY)
    optimizer.step()
    before = frozen.detach().clone(), optimizer.state[frozen]["velocity"].clone(), free.detach().clone()
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert torch.equal(frozen, before[0]) and torch.equal(optimizer.state[frozen]["velocity"], before[1])
    assert not torch.equal(free, before[2])


def test_state_goes_on_where_it_was_saved(parameters):
    """As any torch optimizer: state_dict, load_state_dict, groups with constants of their own."""
    groups = [{"params": parameters[:2], "weight_decay": 0.0}, {"params": parameters[2:], "lr": 0.2, "momentum": 0.5}]
    optimizer = PaperSGD(groups, 0.1, MOMENTUM, DECAY)
    optimizer.step()
    twins = copy.deepcopy(parameters)
    for twin, p in zip(twins, parameters, strict=True):
        twin.grad = p.grad
    other = PaperSGD([{"params": twins[:2]}, {"params": twins[2:]}], 1.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # as from a file
    assert [group["lr"] for group in other.param_groups] == [0.1, 0.2]
    assert other.state[twins[0]]["velocity"].stride() == twins[0].stride()
    for one in (optimizer, other):
        one.step()
    for p, twin in zip(parameters, twins, strict=True):
        assert torch.equal(p, twin)


def test_the_loss_of_a_closure_is_returned():
    p = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = PaperSGD([p], 0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert p.item() == pytest.approx(3.0 - 0.1 * 6.0)


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"momentum": -0.1}, {"weight_decay": -1e-9}, {"lr": float("nan")}])
def test_constants_below_zero_are_refused(wrong):
    p = torch.nn.Parameter(torch.zeros(1))
    (key,) = wrong
    with pytest.raises(ValueError, match=f"Invalid {key} value"):
        PaperSGD([p], **({"lr": 0.1} | wrong))
    with pytest.raises(ValueError, match=f"Invalid {key} value"):
        PaperSGD([{"params": [p]} | wrong], 0.1)


NAMED = {name: torch.nn.Parameter(torch.zeros(2)) for name in ("conv1.weight", "conv1.bias", "fc8.weight", "fc8.bias")}


def test_a_recipe_with_one_rate_and_decay_has_one_group(small_profile):
    (group,) = PaperSGD.of(small_profile.settings.recipe, NAMED.items()).param_groups
    assert group["param_names"] == list(NAMED) and group["weight_decay"] == DECAY


def test_groups_have_the_rates_and_the_decay_of_the_recipe(small_profile):
    """And keep them: whatever the epoch, all members of a group have the same rate."""
    own = [OwnRate(of="biases", after=0, rate=0.02), OwnRate(of="conv1.weight", after=2, rate=0.5), OwnRate(of="conv1", after=3, rate=0)]
    recipe = small_profile.settings.recipe.model_copy(update={"own_rates": own, "decays": "weights"})
    groups = PaperSGD.of(recipe, NAMED.items()).param_groups
    found = {name: (group["lr"], group["weight_decay"]) for group in groups for name in group["param_names"]}
    assert found == {
        "conv1.weight": (0.01, DECAY), "fc8.weight": (0.01, DECAY), "conv1.bias": (0.02, 0.0), "fc8.bias": (0.02, 0.0),
    }  # fmt: skip
    for epochs in range(5):
        for group in groups:
            assert len({schedule.rate(recipe, [50.0] * epochs, name) for name in group["param_names"]}) == 1


def test_an_own_rate_of_nothing_is_one_line(small_profile):
    recipe = small_profile.settings.recipe.model_copy(update={"own_rates": [OwnRate(of="conv9", after=0, rate=0.1)]})
    with pytest.raises(UserError, match="no parameter that 'conv9' names"):
        PaperSGD.of(recipe, NAMED.items())


@pytest.fixture
def mixed():
    """The kinds of layers whose weights are kept rounded, and one that autocast leaves alone: net, batch."""
    torch.manual_seed(0)
    layers = [("conv1", torch.nn.Conv2d(3, 8, 3)), ("norm", torch.nn.BatchNorm2d(8)), ("flat", torch.nn.Flatten())]
    layers += [("fc2", GroupedLinear(8 * 36, 10, 2)), ("fc3", torch.nn.Linear(10, 4))]
    net = torch.nn.Sequential(OrderedDict(layers)).to(memory_format=torch.channels_last)
    return net, torch.randn(6, 3, 8, 8).contiguous(memory_format=torch.channels_last)


def trained(net, x, with_halves: bool, between=lambda net: None):
    """Weights, velocities and loss after five updates in bfloat16, the rate dropping after two."""
    net = copy.deepcopy(net)
    optimizer = PaperSGD(net.parameters(), 0.1, MOMENTUM, DECAY)
    for step in range(5):
        optimizer.param_groups[0]["lr"] = 0.1 if step < 2 else 0.01
        with torch.autocast("cpu", torch.bfloat16):
            y = functional_call(net, optimizer.halves(net) if with_halves else {}, (x,))
        loss = y.float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert with_halves == (net.fc3.weight.grad is None)
        optimizer.step()
        between(net)
    return [*net.parameters(), *(optimizer.state[p]["velocity"] for p in net.parameters()), loss.detach()]


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_weights_kept_in_bfloat16_change_no_bit(mixed):
    net, x = mixed
    assert set(PaperSGD(net.parameters(), 0.1).halves(net)) == {f"{layer}.{kind}" for layer in ("conv1", "fc2", "fc3") for kind in ("weight", "bias")}
    plain = trained(*mixed, False)
    assert same(trained(*mixed, True), plain) and not same(plain[:1], [next(iter(net.parameters()))])


def test_who_changes_weights_in_between_is_heeded(mixed):
    """As when a training goes on from a checkpoint."""

    @torch.no_grad()
    def halve(net):
        net.fc3.weight *= 0.5

    assert same(trained(*mixed, True, halve), trained(*mixed, False, halve))


def test_a_bfloat16_gradient_that_lies_the_other_way_round(mixed):
    """Then torch's own operations do it, from the same numbers."""
    net, _ = mixed
    optimizer = PaperSGD(net.parameters(), 0.1, MOMENTUM)
    half = optimizer.halves(net)["fc3.weight"]
    half.grad = torch.randn(10, 4).bfloat16().t()
    expected = net.fc3.weight.detach() - 0.1 * half.grad.float()
    optimizer.step()
    torch.testing.assert_close(net.fc3.weight.detach(), expected)
    assert torch.equal(optimizer.halves(net)["fc3.weight"], net.fc3.weight.detach().bfloat16())


def test_a_copy_of_the_optimizer_goes_on_alike(mixed):
    """With the rounded weights in use, deeply copied together with the net."""
    net, x = mixed
    optimizer = PaperSGD(net.parameters(), 0.1, MOMENTUM)

    def step(net, optimizer):
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional_call(net, optimizer.halves(net), (x,)).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step(net, optimizer)
    twins = copy.deepcopy((net, optimizer))
    for one in ((net, optimizer), twins):
        step(*one)
    assert same(net.parameters(), twins[0].parameters())
