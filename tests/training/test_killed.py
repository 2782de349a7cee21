"""`kill -9` at any moment: the training goes on from its last checkpoint and ends with the bits of one never stopped."""

import random
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

TRAIN = [sys.executable, "-m", "replicate", "train", "base-1"]
KILLS = 3


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(small_clone):
    text = (small_clone / "params.yaml").read_text().replace("epochs: 2 ", "epochs: 80 ")
    (small_clone / "params.yaml").write_text(text)
    weights, log = small_clone / "models/demo/base-1/weights.safetensors", small_clone / "reports/demo/logs/base-1.csv"
    subprocess.run(TRAIN, check=True, capture_output=True)
    whole, curve = load_file(weights), errors(log)
    weights.unlink()
    log.unlink()
    moments = random.Random()  # other moments in every run of the tests: any of them must do
    for turn in range(KILLS):
        trainer = subprocess.Popen(TRAIN, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if turn == 0 or moments.random() < 0.7:  # in training; else while it starts or restores
            trainer.stdout.readline()
        time.sleep(1 if turn == 0 else moments.uniform(0, 0.7))
        trainer.kill()
        trainer.communicate()
    last = subprocess.run(TRAIN, check=True, capture_output=True, text=True)
    assert "goes on after epoch" in last.stdout
    again = load_file(weights)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert errors(log) == curve
    assert not list(small_clone.glob(".replicate/checkpoints/demo/base-1/*.safetensors"))


def errors(log) -> list[list[str]]:
    """All columns of a log but the two that are times."""
    return [line.split(",")[:-2] for line in log.read_text().splitlines()]
