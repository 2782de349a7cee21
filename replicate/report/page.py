"""The report of a profile: one self-contained HTML page, its Markdown twin, and the tables and figures as files."""

import re
from pathlib import Path
from typing import Any

from replicate import files
from replicate.report import writers
from replicate.report.sections import Section, sections
from replicate.settings import Profile

TITLE = "ImageNet Classification with Deep Convolutional Neural Networks, replicated"


def build(profile: Profile) -> Path:
    """Writes `report.html`, `README.md`, `tables/` and `figures/` of `reports/<profile>/`; returns the page's path.

    Everything is made before the first file is written, and every file replaces its predecessor in one step.
    """
    parts = sections(profile)
    note = profile.settings.note
    title = f"{TITLE}: profile {profile.name}"
    contents: dict[Path, str] = {}
    for section in parts:
        for table in section.tables:
            contents[profile.reports / "tables" / f"{table.name}.csv"] = writers.csv(table)
            contents[profile.reports / "tables" / f"{table.name}.md"] = writers.markdown(table)
        for figure in section.figures:
            contents[profile.reports / "figures" / f"{figure.name}.svg"] = figure.svg
    page = profile.reports / "report.html"
    contents[profile.reports / "README.md"] = render("page.md.j2", title, note, parts)
    contents[page] = render("page.html.j2", title, note, parts)
    for path, text in contents.items():
        files.write_text(path, text)
    for folder, kinds in (("tables", (".csv", ".md")), ("figures", (".svg",))):  # what an earlier report left
        for path in (profile.reports / folder).glob("*"):
            if path.suffix in kinds and path not in contents:
                path.unlink()
    return page


def render(template: str, title: str, note: str, parts: list[Section]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("replicate.report", "."),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["markdown"] = writers.markdown
    environment.filters["css_string"] = _css_string
    environment.filters["slug"] = lambda words: words.split(":")[0].replace(" ", "-")
    return environment.get_template(template).render(title=title, note=note, sections=parts)


def _prose(words: str) -> Any:
    """`words` for HTML: escaped, with what stands in backquotes as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(words))))


def _css_string(words: str) -> Any:
    """`words` as a string of a style sheet; whatever could end the string or the sheet is written as its number."""
    from markupsafe import Markup

    return Markup('"' + "".join(c if c.isalnum() or c in " .,;:-–()'" else f"\\{ord(c):06x}" for c in words) + '"')
