"""Evaluation of a trained network: views, predictions, the record, and what is refused."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from replicate import records
from replicate.commands.classify import command as classify_command
from replicate.errors import UserError
from replicate.evaluation.predict import classify, evaluate, last_hidden, load_trained, probabilities
from replicate.evaluation.scores import error_rates, read_predictions
from replicate.modules import build, initialise, weights
from replicate.pictures.crops import Reading
from replicate.pictures.store import open_store
from replicate.training.loop import train


@pytest.fixture
def trained(small_profile):
    train(small_profile, "base-1", "replicate train base-1")
    return small_profile


def test_ten_views_are_the_mean_of_ten_single_views(small_profile):
    store = open_store(small_profile.store)
    net = initialise(build("demo", classes=10), seed=1).eval()
    reading = Reading.of(net.description.input, store.mean)
    pictures = store.val.take(np.arange(3))
    centre, ten = probabilities(net, reading, pictures)
    pixels = pictures.astype(np.float32) - store.mean
    views = []
    for flip in (False, True):
        for row, column in ((0, 0), (0, 4), (2, 2), (4, 0), (4, 4)):
            crop = pixels[:, row : row + 32, column : column + 32]
            crop = np.ascontiguousarray((crop[:, :, ::-1] if flip else crop).transpose(0, 3, 1, 2))
            with torch.no_grad():
                views.append(net(torch.from_numpy(crop)).softmax(1).numpy())
    np.testing.assert_allclose(ten, np.mean(views, axis=0), atol=1e-6)
    np.testing.assert_allclose(centre, views[2], atol=1e-6)


def test_the_record_is_what_the_predictions_say(trained):
    record = evaluate(trained, "base-1", "replicate evaluate base-1")
    assert records.read(trained.record("base-1")) == record
    saved = read_predictions(trained.predictions("base-1"))
    assert len(saved.labels) == record.values["pictures"] == len(open_store(trained.store).val)
    for view in ("centre", "ten"):
        np.testing.assert_allclose(getattr(saved, view).sum(1), 1, atol=1e-5)
        assert record.values["errors"][view] == error_rates(getattr(saved, view), saved.labels)
    assert saved.conv1.shape == (16, 3, 5, 5)
    assert record.provenance.command == "replicate evaluate base-1"
    assert record.values["trained"]["command"] == "replicate train base-1"


def test_the_last_hidden_layer_is_what_the_last_layer_reads(small_profile):
    net = initialise(build("demo", classes=10), seed=1).eval()
    pictures = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 3, 32, 32)).astype(np.float32) * 50)
    with torch.no_grad(), last_hidden(net) as seen:
        logits = [net(pictures), net(pictures.flip(0))]
    assert len(seen) == 2 and seen[0].min() == 0  # after the ReLU, halved
    last = net.fc8
    for features, answer in zip(seen, logits, strict=True):
        torch.testing.assert_close(features @ last.weight.T + last.bias, answer)
    with torch.no_grad():
        net(pictures)
    assert len(seen) == 2  # it looks no longer


def test_neighbours_by_features_and_by_pixels_of_the_centre_view_are_recorded(trained):
    values = evaluate(trained, "base-1", "").values["retrieval"]
    store = open_store(trained.store)
    n, side = len(store.val), 32
    at = (store.side - side) // 2
    pixels = store.val.take(np.arange(n))[:, at : at + side, at : at + side].reshape(n, -1).astype(np.int64)
    apart = ((pixels[:, None] - pixels[None]) ** 2).sum(-1)
    np.fill_diagonal(apart, apart.max() + 1)
    near = np.argsort(apart, axis=1, kind="stable")[:, :6]
    same = store.val.labels[near] == store.val.labels[:, None]
    assert values["queries"] == n
    assert values["precision"]["pixels"][5] == pytest.approx(100 * same.mean())
    net, _ = load_trained(trained, "base-1", store)
    reading = Reading.of(net.description.input, store.mean)
    with torch.no_grad(), last_hidden(net) as seen:
        net(torch.from_numpy(reading.centre(store.val.take(np.arange(n)), side)).permute(0, 3, 1, 2))
    features = seen[0].double()
    apart = torch.cdist(features, features).fill_diagonal_(torch.inf)
    same = store.val.labels[apart.argmin(1).numpy()] == store.val.labels
    assert values["precision"]["features"][0] == pytest.approx(100 * same.mean(), abs=2)


def test_no_weights_yet(small_profile):
    with pytest.raises(UserError, match="no weights; make them: replicate train base-1"):
        evaluate(small_profile, "base-1", "")


def test_weights_of_another_network(trained):
    trained.weights("lrn-off-1").parent.mkdir(parents=True)
    trained.weights("base-1").rename(trained.weights("lrn-off-1"))
    with pytest.raises(UserError, match="weights of network 'demo', but lrn-off-1 has 'demo-no-lrn'"):
        evaluate(trained, "lrn-off-1", "")
    assert not trained.predictions("lrn-off-1").exists()


def test_another_store(trained):
    manifest = trained.store / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"skip_broken": false', '"skip_broken": true'))
    with pytest.raises(UserError, match="weights of store "):
        evaluate(trained, "base-1", "")


def test_weights_of_another_seed(trained):
    tensors, header = weights.read(trained.weights("base-1"))
    weights.save(trained.weights("base-1"), tensors, header | {"seed": 7})
    with pytest.raises(UserError, match="weights of seed 7, but base-1 has 1"):
        evaluate(trained, "base-1", "")
    with pytest.raises(UserError, match="weights of seed 7"):
        classify(trained, "base-1", next(trained.pictures.glob("val/*/*.JPEG")))


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_altered_shard_is_named(trained, split):
    shard = trained.store / f"{split}-00000.npy"
    data = bytearray(shard.read_bytes())
    data[5000] ^= 1
    shard.unlink()
    shard.write_bytes(data)
    with pytest.raises(UserError, match=f"{split}-00000.npy is altered; run `replicate prepare"):
        (train if split == "train" else evaluate)(trained, "base-1", "")


def test_classify_names_five_classes(trained):
    picture = next(trained.pictures.glob("val/*/*.JPEG"))
    answers = classify(trained, "base-1", picture)
    assert len(answers) == 10 and sum(percent for _, percent in answers) == pytest.approx(100, abs=0.01)
    assert [p for _, p in answers] == sorted((p for _, p in answers), reverse=True)
    done = CliRunner().invoke(classify_command, [str(picture), "--training", "base-1"])
    assert done.exit_code == 0 and len(done.output.splitlines()) == 5
    assert done.output.splitlines()[0].split("%")[1].strip() == answers[0][0]


def test_classify_says_that_a_file_is_no_picture(trained, tmp_path):
    (tmp_path / "x.jpg").write_text("no picture")
    with pytest.raises(UserError, match="x.jpg: not a picture"):
        classify(trained, "base-1", tmp_path / "x.jpg")


def test_the_weights_file_knows_side_network_and_seed(trained):
    net, header = load_trained(trained, "base-1", open_store(trained.store))
    assert (net.side, header["network"], header["seed"]) == (32, "demo", 1)
