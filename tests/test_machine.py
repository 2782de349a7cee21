"""What is said of the machine, and how much of it is used."""

import os

import pytest

from replicate import machine


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be kept to some cores")
def test_only_the_cores_that_a_process_may_use_are_counted():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert machine.cores() == len(before)


def test_a_machine_has_a_name_also_where_the_system_tells_none(monkeypatch):
    assert f", {os.cpu_count()} logical cores" in machine.name()

    def missing(*_):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert machine.name() == f"{machine.platform.processor() or machine.platform.machine()}, {os.cpu_count()} logical cores"
