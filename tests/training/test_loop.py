"""A training as a whole: what it computes, that it goes on after a kill with the same bits, and what it refuses."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from replicate import files, settings
from replicate.errors import UserError
from replicate.modules import build, initialise
from replicate.pictures.crops import Reading
from replicate.pictures.pca import read as read_pca
from replicate.pictures.store import open_store
from replicate.training import checkpoint
from replicate.training.feed import Feed, hold_out
from replicate.training.loop import train, update
from replicate.training.update import PaperSGD

# Of methods 2 and 3, which differ in float32's last bits. A change here means that trainings compute something else: raise `method` in every profile's params.yaml.
LOSSES = [3.7689086304759547, 3.659524315517395, 3.3061170638521813]


def test_three_updates_compute_what_they_always_did(small_profile):
    profile, store = small_profile, open_store(small_profile.store)
    recipe = profile.settings.recipe
    net = initialise(build("demo", classes=len(store.classes)), seed=1).double()
    optimizer = PaperSGD.of(recipe, net.named_parameters())
    feed = Feed(recipe, net, store.train, Reading.of(net.description.input, store.mean), read_pca(profile.pca), seed=1)
    losses = []
    for step, pictures, labels in feed.epoch(0, 0):
        net.set_dropout_key(1, step)
        losses.append(update(net, optimizer, pictures, labels)[0])
    assert losses[:3] == pytest.approx(LOSSES, abs=1e-9)


def test_training_writes_weights_a_log_and_their_story(small_profile):
    path = train(small_profile, "base-1", "replicate train base-1")
    log = small_profile.log("base-1").read_text().splitlines()
    assert log[0].startswith("epoch,updates,learning_rate,train_loss")
    assert len(log) == 1 + small_profile.settings.recipe.schedule.epochs
    rates = [float(line.split(",")[2]) for line in log[1:]]
    assert rates == [0.01, 0.001]  # divided by 10 after the first epoch
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(json.loads(file.read(size))["__metadata__"]["replicate"])
    assert header["trained"]["command"] == "replicate train base-1"
    assert header["store"] == open_store(small_profile.store).identity
    assert not (small_profile.state / "checkpoints/demo/base-1/checkpoint.safetensors").exists()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_training_ends_with_the_same_bits(small_profile, monkeypatch, precision):
    params = small_profile.params_file
    params.write_text(params.read_text().replace("precision: float32", f"precision: {precision}"))
    small_profile = settings.load_from(small_profile.root, "demo")
    assert small_profile.settings.recipe.precision == precision
    whole = load_file(train(small_profile, "base-1", ""))
    small_profile.weights("base-1").unlink()

    import replicate.training.loop as loop

    monkeypatch.setattr(checkpoint, "SECONDS", 0)  # a checkpoint after every update
    updates = 0

    def stops_after_five(*args):
        nonlocal updates
        updates += 1
        if updates == 6:
            raise RuntimeError("as if killed")
        return update(*args)

    monkeypatch.setattr(loop, "update", stops_after_five)
    with pytest.raises(RuntimeError):
        train(small_profile, "base-1", "")
    monkeypatch.setattr(loop, "update", update)
    resumed = load_file(train(small_profile, "base-1", ""))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_other_settings_is_refused(small_profile, monkeypatch):
    import replicate.training.loop as loop

    monkeypatch.setattr(loop, "_finish_epoch", lambda *args: 1 / 0)
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    with pytest.raises(ZeroDivisionError):
        train(small_profile, "base-1", "")
    monkeypatch.undo()
    recipe = small_profile.settings.recipe.model_copy(update={"momentum": 0.5})
    small_profile.settings = small_profile.settings.model_copy(update={"recipe": recipe})
    with pytest.raises(UserError, match=r"other settings.*rm -r .*base-1"):
        train(small_profile, "base-1", "")


def test_a_second_trainer_is_refused(small_profile):
    folder = small_profile.state / "checkpoints" / "demo" / "base-1"
    with files.lock(folder / "lock", ""), pytest.raises(UserError, match="'base-1' of profile 'demo' is already running"):
        train(small_profile, "base-1", "")


def test_a_loss_that_is_no_number_stops_with_its_update(small_profile, monkeypatch):
    import replicate.training.loop as loop

    monkeypatch.setattr(loop, "update", lambda *args: (float("nan"), 0))
    with pytest.raises(UserError, match="the loss is nan, not a finite number after update 1;"):
        train(small_profile, "base-1", "")


def test_a_pca_of_other_pictures_is_refused(small_profile):
    pca = files.read_json(small_profile.pca)
    files.write_json(small_profile.pca, pca | {"store": "0" * 64})
    with pytest.raises(UserError, match="of other pictures than the store; run `replicate pca"):
        train(small_profile, "base-1", "")


def test_a_batch_larger_than_the_set_is_one_line(small_profile):
    recipe = small_profile.settings.recipe.model_copy(update={"batch_size": 4000})
    small_profile.settings = small_profile.settings.model_copy(update={"recipe": recipe})
    with pytest.raises(UserError, match="batch_size 4000"):
        train(small_profile, "base-1", "")


def test_held_out_pictures_are_a_share_of_each_class():
    labels = np.repeat([0, 1, 2, 3], [100, 50, 7, 1])
    held, learning = hold_out(labels, 0.02)
    assert np.bincount(labels[held]).tolist() == [2, 1, 1]
    assert sorted([*held, *learning]) == list(range(158))


def test_an_epoch_shows_every_picture_that_learns_once(small_profile):
    store = open_store(small_profile.store)
    net = build("demo", classes=len(store.classes))
    recipe = small_profile.settings.recipe.model_copy(update={"batch_size": 1})
    feed = Feed(recipe, net, store.train, Reading.of(net.description.input, store.mean), read_pca(small_profile.pca), seed=1)
    seen = []
    feed.split.take, take = lambda which: (seen.extend(which), take(which))[1], feed.split.take
    list(feed.epoch(0, 0))
    assert sorted(seen) == feed.learning.tolist()
    assert seen != sorted(seen)


@pytest.mark.slow
def test_sigterm_keeps_what_was_learned(small_clone):
    """The process ends by itself with one line, and the same command goes on."""
    text = (small_clone / "params.yaml").read_text().replace("epochs: 2 ", "epochs: 400 ")
    (small_clone / "params.yaml").write_text(text)
    command = [sys.executable, "-m", "replicate", "train", "base-1"]
    trainer = subprocess.Popen(command, cwd=small_clone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert "epoch 1" in trainer.stdout.readline()
    second = subprocess.run(command, cwd=small_clone, capture_output=True, text=True)
    assert second.returncode == 1 and second.stderr.count("\n") == 1 and "already running" in second.stderr
    trainer.send_signal(signal.SIGTERM)
    _, error = trainer.communicate(timeout=60)
    assert trainer.returncode == 1 and "goes on from there" in error and error.count("\n") == 1
    again = subprocess.Popen(command, cwd=small_clone, stdout=subprocess.PIPE, text=True)
    assert "goes on after epoch" in again.stdout.readline()
    again.kill()
    again.wait()
    assert not (small_clone / "models").exists()
