"""What crosses between two processes, counted while they train, is what the description says."""

import shutil
import subprocess
import sys

import pytest

from replicate import records
from replicate.measure.towers import RECORD
from replicate.networks import load
from replicate.networks.traffic import traffic
from replicate.records import Towers
from tests.conftest import ROOT


@pytest.mark.slow
def test_bench_towers_counts_what_was_computed(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    command = [sys.executable, "-m", "replicate", "bench", "towers", "--batch", "4", "--side", "64", "--rounds", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written:") == 1
    found = Towers.model_validate(records.read(tmp_path / RECORD).values)
    computed = traffic(load(found.network), found.side, found.classes)
    assert [(row.layer, row.forward_values, row.backward_values) for row in found.rows] == [
        (one.layer, one.forward, one.backward) for one in computed
    ]
    assert len(found.one_process_seconds) == len(found.two_rank_seconds) == 2
    assert found.exchange_share > 0 and found.bytes_per_second > 0
