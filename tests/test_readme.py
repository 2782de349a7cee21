"""The README's generated parts are what the committed records give."""

import re

import pytest

from replicate.report.readme import PROFILE, render
from tests.conftest import ROOT


def test_generated_parts_are_up_to_date():
    if not (ROOT / "reports" / PROFILE / "results.json").exists():
        pytest.skip(f"no committed results of {PROFILE}")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- (\w+):begin -->", text)) == {"score", "errors", "time"}
    assert render(text, ROOT) == text, "run `make readme`"


def test_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) < 140


def test_every_file_that_is_linked_is_there():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("pipelines/*/README.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            if not target.startswith(("reports/", "../../reports/")) or (ROOT / "reports" / PROFILE).exists():
                assert (path.parent / target).exists(), f"{path.name}: {target}"
