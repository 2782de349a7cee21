"""The generated parts of the top-level README, between markers; `make readme` renews them, a test compares them."""

import re
from pathlib import Path

from replicate import files, settings
from replicate.errors import UserError
from replicate.report import data, tables, writers
from replicate.report.table import Column, Table

PROFILE = "imagenette"  # whose records are committed


def render(text: str, root: Path) -> str:
    """`text` with everything between `<!-- NAME:begin -->` and `<!-- NAME:end -->` made anew from the records."""
    parts = blocks(settings.load_from(root, PROFILE))

    def renewed(match: re.Match[str]) -> str:
        if match["name"] not in parts:
            raise UserError(f"README.md: no generated part is called {match['name']!r}; known: {', '.join(parts)}")
        return f"<!-- {match['name']}:begin -->\n{parts[match['name']]}\n<!-- {match['name']}:end -->"

    return re.sub(r"<!-- (?P<name>\w+):begin -->.*?<!-- (?P=name):end -->", renewed, text, flags=re.DOTALL)


def blocks(profile: settings.Profile) -> dict[str, str]:
    """Markdown of each generated part: the score, the errors, and how long the profile took."""
    score = tables.build("score", profile=profile)
    kept = [column for column in score.columns if column.key in ("verdict", "claims", "counts")]
    rows = [{column.key: row[column.key] for column in kept} for row in score.rows]
    errors = [
        {
            "group": name,
            "network": group.network,
            "n": len(group.seeds),
            "centre": group.errors["centre.top1"].mean,
            "ten": group.errors["ten.top1"].mean,
            "sd": group.errors["ten.top1"].sd,
        }
        for name, group in data.results(profile).groups.items()
    ]
    columns = [
        Column("group", "trainings"),
        Column("network", "network"),
        Column("n", "seeds", format="d"),
        Column("centre", "top-1 error, centre view", "%", ".1f"),
        Column("ten", "ten views", "%", ".1f"),
        Column("sd", "s.d. over seeds", "points", ".1f"),
    ]
    return {
        "score": _markdown(Table("score", "", kept, rows, "")),
        "errors": _markdown(Table("errors", "", columns, errors, "")),
        "time": _time(profile),
    }


def _markdown(table: Table) -> str:
    return writers.markdown(table).strip()


def _time(profile: settings.Profile) -> str:
    found = data.evaluations(profile).values()
    hours = sum(e.trained.seconds + record.provenance.seconds for e, record in found) / 3600
    machines = {e.trained.machine for e, _ in found}
    return f"Its {len(found)} trainings and their evaluation took {hours:.1f} hours on {' and '.join(sorted(machines))}."


def main() -> None:
    root = settings.clone_root()
    path = root / "README.md"
    files.write_text(path, render(path.read_text(encoding="utf-8"), root))


if __name__ == "__main__":
    main()
