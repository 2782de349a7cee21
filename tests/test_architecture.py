"""The rooms and their doors; cheap starts; what the repository may not say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_rooms_import_only_through_their_doors():
    done = subprocess.run([str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("module", ["networks", "paper", "pictures", "evaluation", "evidence", "report", "training", "settings", "records"])
def test_opening_a_room_imports_nothing_heavy(module):
    code = (
        f"import sys, replicate.{module};"
        "print(*sorted({'torch', 'torchvision', 'numba', 'scipy', 'matplotlib', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_every_package_of_the_suite_has_a_purpose_in_its_docstring():
    for init in (ROOT / "replicate").glob("*/__init__.py"):
        assert init.read_text().startswith('"""') and len(init.read_text().split('"""')[1]) > 40, init
