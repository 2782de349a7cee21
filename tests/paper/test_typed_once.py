"""The paper's numbers are typed in claims.yaml: no Python, template or test has those that could be nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicate.paper import claims
from tests.conftest import ROOT

NUMBER = re.compile(r"(?<![\w.,-])\d[\d,_]*(?:\.\d+)?(?![\w-])")
COMMON = {4096.0}  # a power of two that limits this and that
FILES = sorted(path for folder in ("replicate", "tests") for ending in ("py", "j2") for path in (ROOT / folder).rglob(f"*.{ending}"))


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def distinctive(number: float) -> bool:
    """Three significant digits with a fraction, four where it is whole, or ten thousand and more."""
    digits = len(f"{number:.10g}".replace(".", "").strip("0"))
    if number.is_integer():
        return number >= 10_000 or (number >= 1000 and digits >= 4)
    return digits >= 3


PAPERS = {number for claim in claims().values() for number in numbers(claim.value) if distinctive(number)} - COMMON


def typed(path: Path) -> Iterator[tuple[int, float]]:
    """(line, number) of every number in a file, those inside its strings too; docstrings and comments aside."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        for line, words in enumerate(text.splitlines(), 1):
            yield from ((line, value) for value in in_words(words))
        return
    tree = ast.parse(text)
    aside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in aside:
            if isinstance(node.value, str):
                yield from ((node.lineno, value) for value in in_words(node.value))
            else:
                yield from ((node.lineno, value) for value in numbers(node.value))


def in_words(text: str) -> Iterator[float]:
    for match in NUMBER.findall(text):
        yield float(match.replace(",", "").replace("_", ""))


def test_the_papers_numbers_are_known():
    """What is looked for: four times the sizes of Figure 2, the crops, the errors of the tables."""
    for claim in ("fig2-neurons-1", "augmentation-2048", "neurons-650k", "test-error-2010", "table2-1cnn"):
        assert set(numbers(claims()[claim].value)) & PAPERS, claim
    assert len(PAPERS) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_types_a_number_of_the_paper(path):
    found = [f"line {line}: {number:g}" for line, number in typed(path) if number in PAPERS]
    assert not found, f"read it from claims(): {'; '.join(found)}"


def test_a_typed_number_is_found(tmp_path):
    number = claims()["fig2-neurons-1"].value
    file = tmp_path / "a.py"
    file.write_text(f'"""About {number:,}."""\nx = {number}\ny = f"{number:,} of {{x}}"\nz = "claim-{number}"\n')
    assert [line for line, value in typed(file) if value == number] == [2, 3]
