"""The machine that this runs on: its processor's name, and how many cores this process may use."""

import os
import platform


def name() -> str:
    """The processor's name where the system tells it, and its logical cores, whoever may use them."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return f"{names[0]}, {os.cpu_count()} logical cores"
    except (OSError, IndexError):
        return f"{platform.processor() or platform.machine()}, {os.cpu_count()} logical cores"


def cores() -> int:
    """Those that this process may use: a scheduler or a container may have given it some only."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
