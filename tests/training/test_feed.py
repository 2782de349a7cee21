"""Batches: each part of a shared one, and the same crops on a GPU's way as on the processor's."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from replicate.errors import UserError
from replicate.modules import build
from replicate.pictures.crops import Reading
from replicate.pictures.pca import read as read_pca
from replicate.pictures.store import open_store
from replicate.training.feed import Feed, _ahead


@pytest.fixture
def feed(small_profile):
    """feed(replica, replicas, device, **overrides of the recipe)."""
    store, net = open_store(small_profile.store), build("demo")
    reading, pca = Reading.of(net.description.input, store.mean), read_pca(small_profile.pca)

    def make(replica=0, replicas=1, device="cpu", **recipe) -> Feed:
        own = small_profile.settings.recipe.model_copy(update={"crops_shared_by": 8} | recipe)
        return Feed(own, net.to(device), store.train, reading, pca, 1, replica, replicas)

    return make


@pytest.mark.parametrize("replicas", [2, 4])
def test_the_parts_of_a_batch_are_the_batch(feed, replicas):
    """Pictures, crops, colours and labels, whatever they share."""
    parts = [list(feed(replica, replicas).epoch(1, 1)) for replica in range(replicas)]
    whole = list(feed().epoch(1, 1))
    assert len(whole) > 1
    for (number, pictures, labels), *rest in zip(whole, *parts, strict=True):
        assert {part[0] for part in rest} == {number}
        assert all(len(part[2]) == len(labels) // replicas for part in rest)
        assert torch.equal(torch.cat([part[1] for part in rest]), pictures)
        assert torch.equal(torch.cat([part[2] for part in rest]), labels)


def test_each_held_out_picture_is_seen_by_one_replica(feed):
    which = np.arange(90)
    whole = [labels.tolist() for _, labels in feed().centre(which)]
    parts = [[labels.tolist() for _, labels in feed(replica, 2).centre(which)] for replica in range(2)]
    assert len(whole) == 3 and (parts[0], parts[1]) == (whole[::2], whole[1::2])


def test_a_batch_that_cannot_be_divided_is_one_line(feed):
    with pytest.raises(UserError, match="batch_size 32 cannot be divided into 3 equal parts"):
        feed(0, 3)


def test_neighbours_in_a_batch_share_their_crop(feed):
    """Pictures without noise of one colour each show nothing but where the mean was cut: equal within a block only."""
    off = feed().recipe.colour_noise.model_copy(update={"reading": "none"})
    one = feed(colour_noise=off)
    one.split.take = lambda which: np.zeros((len(which), 36, 36, 3), np.uint8)
    _, pictures, _ = next(one.epoch(0, 0))
    blocks = pictures.reshape(-1, 8, *pictures.shape[1:])
    assert (blocks == blocks[:, :1]).all()
    assert all(not torch.equal(blocks[i, 0], blocks[j, 0]) for i in range(len(blocks)) for j in range(i))


def test_the_division_reaches_the_network_and_ends(feed):
    noise = feed().recipe.colour_noise
    plain = feed(colour_noise=noise.model_copy(update={"reading": "none"}))
    ended = feed(colour_noise=noise.model_copy(update={"reading": "none", "divisor": 2, "until_epoch": 1}))
    for epoch, divisor in ((0, 2), (1, 1)):
        (_, expected, _), (_, pictures, _) = next(plain.epoch(epoch, 0)), next(ended.epoch(epoch, 0))
        torch.testing.assert_close(pictures, expected / divisor)
    (expected, _), (held_out, _) = next(plain.centre(np.arange(5))), next(ended.centre(np.arange(5)))
    assert torch.equal(held_out, expected)


def test_batches_made_ahead_come_in_order_one_at_a_time(monkeypatch):
    """Without a GPU: streams that do nothing. The next batch is begun when one is taken, no earlier, and an error comes through."""
    seen = []
    stream = SimpleNamespace(wait_stream=lambda other: seen.append("waits"))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda one: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)

    def batches():
        for number in range(4):
            seen.append(f"made {number}")
            yield number, SimpleNamespace(record_stream=lambda one: None), None
        raise OSError("the disk")

    ahead = _ahead(batches(), torch.device("cuda"))
    assert [next(ahead)[0] for _ in range(3)] == [0, 1, 2]
    assert [one for one in seen if one != "waits"][:3] == ["made 0", "made 1", "made 2"] and seen.count("waits") == 3
    assert next(ahead)[0] == 3
    with pytest.raises(OSError, match="the disk"):
        next(ahead)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_batches_that_the_processor_gets(feed):
    expected = [*feed().epoch(1, 1), *feed().centre(np.arange(90))]
    on_gpu = [*feed(device="cuda").epoch(1, 1), *feed(device="cuda").centre(np.arange(90))]
    for (*_, pictures, labels), (*_, there, others) in zip(expected, on_gpu, strict=True):
        assert there.device.type == "cuda"
        torch.testing.assert_close(there.cpu(), pictures)
        assert torch.equal(labels, others)
