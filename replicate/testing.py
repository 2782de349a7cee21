"""For the tests of other projects: holds a torch model against a network that this suite describes.

from replicate.testing import assert_network

def test_the_model_is_the_paper_s_network():
    assert_network(MyAlexNet(), "paper")

def test_the_backbone_is_torchvision_s():
    assert_network(lambda: MyBackbone(num_classes=10), "torchvision", classes=10)
"""

from typing import Any


def assert_network(model: Any, network: str, input: tuple[int, int, int] | None = None, classes: int | None = None) -> None:
    """Raises AssertionError, with every difference on a line, unless `model` is the network `network`.

    `model`: an nn.Module (not changed), a callable that makes one, `"package.module:factory"`, or the path of a
    safetensors file, of which only kernels, groups and counts are seen. `input`: (channels, height, width), by default
    the network's own, then 3x224x224 and 3x227x227. `classes`: the network for so many classes instead of its own
    number. Raises replicate.errors.UserError if the model cannot be looked at.

    What a model does in training counts, with the rescaling of dropout: nn.Dropout divides by 1-p in training, the
    paper and the 2012 nets multiply by 1-p at test.
    """
    from replicate.modules.tell import words
    from replicate.modules.tell.ask import ask

    look, (comparison,) = ask(model, network, input, classes)
    if comparison.differences:
        raise AssertionError("\n  ".join([words.verdict(look, [comparison], True), *words.lines(comparison)]))
