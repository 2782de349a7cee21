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


def test_judging_results_imports_nothing_heavy(settings_on, results_of, tmp_path):
    """All statistics stand in the results: a table of verdicts needs no scipy."""
    errors = {view + error: [20.0, 21.0, 22.5] for view in ("centre.", "ten.") for error in ("top1", "top5")}
    worse = {key: [value + 5 for value in values] for key, values in errors.items()}
    results = results_of("imagenette-256q60", {("base", "paper"): errors, ("base", "no-lrn"): worse})
    (tmp_path / "settings.json").write_text(settings_on("imagenette-256q60").model_dump_json())
    (tmp_path / "results.json").write_text(results.model_dump_json())
    code = (
        "import sys; from pathlib import Path; from replicate.evidence.results import Results\n"
        "from replicate.evidence.verdicts import judge; from replicate.settings import Settings\n"
        "settings = Settings.model_validate_json(Path('settings.json').read_text())\n"
        "found = judge(settings, 'made-up', Results.model_validate_json(Path('results.json').read_text()), {})\n"
        "print({one.id: one.verdict for one in found}['lrn-gain'])\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["same direction at smaller scale", "[]"]
