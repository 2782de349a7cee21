"""Tables start fast: nothing that they need from here brings a heavy library with it."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "numba", "scipy", "pandas", "matplotlib")


def test_judging_a_bare_clone_imports_nothing_heavy():
    code = (
        "import sys; from replicate import settings; from replicate.evidence.verdicts import judge\n"
        "from replicate.evidence.departures import departures\n"
        "profile = settings.load(); judge(profile.settings, profile.name, None); departures(profile.settings)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
