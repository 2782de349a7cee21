"""The timing that decides whether augmentation is free: a record of both sides, and only where there is a GPU."""

import pytest
import torch

from replicate import records
from replicate.errors import UserError
from replicate.measure import augmentation
from replicate.records import Augmentation


def test_both_sides_are_timed_batch_by_batch(small_profile, monkeypatch):
    monkeypatch.setattr(augmentation, "WARM", 1)
    monkeypatch.setattr(augmentation, "TIMED", 2)
    found = augmentation.time_augmentation(small_profile, "replicate bench augmentation", device="cpu")
    values = Augmentation.model_validate(found.values)
    assert len(values.augmentation_seconds) == len(values.step_seconds) == 2
    assert min(values.augmentation_seconds + values.step_seconds) > 0
    assert (values.network, values.batch_size, values.crop) == ("demo", 32, 32)
    assert records.read(small_profile.root / augmentation.RECORD) == found and found.provenance.device == "cpu"


def test_without_a_gpu_nothing_is_timed(small_profile, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no GPU here"):
        augmentation.time_augmentation(small_profile, "")
    assert not (small_profile.root / augmentation.RECORD).exists()
