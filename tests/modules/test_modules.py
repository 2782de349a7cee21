"""The network as a module: rounding up, towers, dropout, initial weights, weights files."""

import pytest
import torch

from replicate.errors import UserError
from replicate.modules import build, initialise, weights
from replicate.modules.layers import Conv2d, Dropout
from replicate.networks import load


def test_convolution_reads_zeros_beyond_the_right_and_lower_edge():
    x = torch.randn(1, 3, 224, 224)
    conv = Conv2d(3, 4, 11, 4, excess=3)
    padded = torch.nn.functional.pad(x, (0, 3, 0, 3))
    assert conv(x).shape[-1] == 55
    torch.testing.assert_close(conv(x), torch.nn.functional.conv2d(padded, conv.weight, conv.bias, stride=4))


def test_towers_meet_where_figure_2_says():
    net = initialise(build("demo", classes=10), seed=1).double().eval()
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64) * 50
    outputs = {}
    for part, module in net.named_children():
        module.register_forward_hook(lambda m, i, out, part=part: outputs.__setitem__(part, out.clone()))

    def second_half_changed(zeroed):
        """Which layers' second towers notice that the first tower of layer 1 is silent."""
        net(x)
        before = dict(outputs)
        kept = net.conv1.weight.data.clone(), net.conv1.bias.data.clone()
        if zeroed:
            net.conv1.weight.data[:8], net.conv1.bias.data[:8] = 0, 0
        net(x)
        net.conv1.weight.data, net.conv1.bias.data = kept
        return {p for p in outputs if not torch.equal(outputs[p][:, outputs[p].shape[1] // 2 :], before[p][:, before[p].shape[1] // 2 :])}

    assert second_half_changed(zeroed=False) == set()
    assert {"conv1", "lrn1", "pool1", "conv2", "lrn2", "pool2"} & second_half_changed(zeroed=True) == set()
    assert {"conv3", "conv4", "conv5", "fc6", "fc8"} <= second_half_changed(zeroed=True)


def test_without_conv3_towers_meet_in_fc6_only():
    net = initialise(build("demo-no-conv3", classes=10), seed=1)
    assert [name for name, m in net.named_children() if isinstance(m, Conv2d) and m.groups == 1] == ["conv1"]


def test_dropout_halves_at_test_and_does_not_rescale_in_training():
    drop, x = Dropout("d", 0.5, "test"), torch.ones(4, 1000)
    assert set(drop.train()(x).unique().tolist()) == {0.0, 1.0}
    assert drop.eval()(x).unique().tolist() == [0.5]
    library = Dropout("d", 0.5, "train")
    assert set(library.train()(x).unique().tolist()) == {0.0, 2.0}
    assert library.eval()(x).unique().tolist() == [1.0]


def test_dropout_masks_are_a_function_of_seed_step_and_layer():
    net = build("demo", classes=10)
    x = torch.ones(8, 256)

    def masks(seed, step):
        net.set_dropout_key(seed, step)
        return net.dropout6(x), net.dropout7(x)

    first = masks(1, 5)
    assert all(torch.equal(a, b) for a, b in zip(first, masks(1, 5), strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], masks(1, 6)[0])
    assert not torch.equal(first[0], masks(2, 5)[0])
    assert abs(torch.cat(masks(3, 0)).mean().item() - 0.5) < 0.05


def test_initial_weights_follow_the_description():
    net = initialise(build("paper"), seed=1)
    for layer in load("paper").layers:
        if layer.kind in ("conv", "linear"):
            module = net.get_submodule(layer.name)
            assert module.weight.std().item() == pytest.approx(layer.init.std, rel=0.02), layer.name
            assert module.bias.unique().tolist() == [layer.init.bias], layer.name


def test_initial_weights_depend_on_seed_and_name_only():
    a, b, other = (initialise(build(n, classes=10), seed=s) for n, s in (("demo", 1), ("demo-no-conv3", 1), ("demo", 2)))
    assert torch.equal(a.conv2.weight, b.conv2.weight)
    assert not torch.equal(a.conv2.weight, other.conv2.weight)
    assert not torch.equal(a.fc7.weight.flatten()[:100], a.fc8.weight.flatten()[:100])


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(path, dict(build("demo-no-conv4", classes=10).named_parameters()), {})
    with pytest.raises(UserError, match="conv4.bias is not there"):
        weights.load_into(build("demo", classes=10), weights.read(path)[0], path)


def test_a_damaged_weights_file_is_one_line(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(path, dict(build("demo", classes=10).named_parameters()), {"a": 1})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable safetensors"):
        weights.read(path)
    with pytest.raises(UserError, match="no such file"):
        weights.read(tmp_path / "missing.safetensors")


def test_input_of_another_size_is_refused():
    with pytest.raises(ValueError, match="built for 3x32x32"):
        build("demo", classes=10)(torch.zeros(1, 3, 56, 56))
