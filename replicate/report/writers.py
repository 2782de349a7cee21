"""A table as text, Markdown, CSV, LaTeX or JSON. Each writer gives caption, heads with units, rows and note.

- `text` fits `width` characters: wide text columns are wrapped inside their cells.
- `csv` begins with the caption and the note as comment lines and holds raw numbers: a number should not travel without
  its caption. Read it with `pandas.read_csv(file, comment="#")`; all text is quoted, so that a `#` in a cell is safe.
- `latex` needs the package booktabs and nothing else.
- `json` holds raw numbers: `{"name", "caption", "columns": [{"key", "head", "unit"}], "rows": [{key: value}], "note"}`.

pandas is imported by the writers that use it, since it costs more time than a table takes.
"""

import csv as csv_module
import json as json_module
import textwrap
from collections.abc import Callable
from typing import Any

from replicate.report.table import Table

NARROWEST, LONGEST_WORD = 12, 20  # characters: what a wrapped column keeps at least, and what it breaks words at
GAP = "  "


def text(table: Table, width: int = 100) -> str:
    heads = [column.title for column in table.columns]
    cells = table.shown()
    widths = _fit(table, heads, cells, width)
    lines = textwrap.wrap(table.caption, width) + [""]
    lines += _lines(table, heads, widths, bottom=True) + ["-" * (sum(widths) + len(GAP) * (len(widths) - 1))]
    for row in cells:
        lines += _lines(table, row, widths)
    return "\n".join(lines + [""] + textwrap.wrap(table.note, width)) + "\n"


def _fit(table: Table, heads: list[str], cells: list[list[str]], width: int) -> list[int]:
    """Column widths; the widest that may wrap gives way until all fit. Numbers wrap in their heads only."""
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    least = []
    for index, column in enumerate(table.columns):
        head = max(map(len, heads[index].split()))
        if column.is_number:
            body = max((len(row[index]) for row in cells), default=0)
        else:
            words = [len(word) for row in cells for word in row[index].split()]
            body = max(NARROWEST, min(LONGEST_WORD, max(words, default=0)))
        least.append(min(widths[index], max(head, body)))
    while sum(widths) + len(GAP) * (len(widths) - 1) > width and widths != least:
        most = max(w for w, bound in zip(widths, least, strict=True) if w > bound)
        widths[next(i for i, w in enumerate(widths) if w == most and w > least[i])] -= 1
    return widths


def _lines(table: Table, cells: list[str], widths: list[int], bottom: bool = False) -> list[str]:
    """One row, over as many lines as its longest cell needs; heads stand at the bottom, cells at the top."""
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    padded = [[""] * (height - len(w)) + w if bottom else w + [""] * (height - len(w)) for w in wrapped]
    return [
        GAP.join(
            line.rjust(width) if column.is_number else line.ljust(width)
            for line, width, column in zip(row, widths, table.columns, strict=True)
        ).rstrip()
        for row in zip(*padded, strict=True)
    ]


def markdown(table: Table) -> str:
    body = _frame(table.shown(), [column.title for column in table.columns])
    body = body.map(lambda cell: cell.replace("|", "\\|").replace("\n", " "))
    align = ["right" if column.is_number else "left" for column in table.columns]
    grid = body.to_markdown(index=False, disable_numparse=True, colalign=align) if len(body) else "*No rows.*"
    return "\n\n".join(filter(None, [table.caption, grid, table.note and f"*{table.note}*"])) + "\n"


def csv(table: Table) -> str:
    data = {}
    for column in table.columns:
        values = [row[column.key] for row in table.rows]
        kind = ("Int64" if column.is_whole else "Float64") if column.is_number else "object"
        data[column.title] = _pandas().Series(values, dtype=kind)
    comments = "".join(f"# {' '.join(line.split())}\n" for line in (table.caption, table.note) if line)
    return comments + _pandas().DataFrame(data).to_csv(index=False, quoting=csv_module.QUOTE_NONNUMERIC, lineterminator="\n")


def latex(table: Table) -> str:
    heads = [_tex(column.title) for column in table.columns]
    body = _frame([[_tex(cell) for cell in row] for row in table.shown()], heads)
    wide = [not c.is_number and any(len(c.show(row[c.key])) > 40 for row in table.rows) for c in table.columns]
    share = 0.8 / max(1, sum(wide))
    align = "".join(
        f"p{{{share:.2f}\\linewidth}}" if is_wide else ("r" if column.is_number else "l")
        for column, is_wide in zip(table.columns, wide, strict=True)
    )
    caption = f"{_tex(table.caption)} {_tex(table.note)}"
    # escape=False: _tex has escaped cells, heads and caption, which pandas would do for the cells only
    grid = body.to_latex(index=False, escape=False, caption=caption, label=f"tab:{table.name}", column_format=align)
    return "% needs \\usepackage{booktabs}\n" + grid


def json(table: Table) -> str:
    value: dict[str, Any] = {
        "name": table.name,
        "caption": table.caption,
        "columns": [{"key": c.key, "head": c.head, "unit": c.unit} for c in table.columns],
        "rows": table.rows,
        "note": table.note,
    }
    return json_module.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


WRITERS: dict[str, Callable[[Table], str]] = {
    "text": text,
    "markdown": markdown,
    "csv": csv,
    "latex": latex,
    "json": json,
}


def _pandas() -> Any:
    import pandas

    return pandas


def _frame(cells: list[list[str]], heads: list[str]) -> Any:
    return _pandas().DataFrame(cells, columns=heads, dtype="object")


_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "<": "$<$", ">": "$>$",
        "–": "--", "—": "---", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "·": r"$\cdot$", "→": r"$\to$",
        "≤": r"$\leq$", "≥": r"$\geq$", "≠": r"$\neq$", "≈": r"$\approx$", "√": r"$\surd$", "…": r"\ldots{}",
        "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "⌈": r"$\lceil$", "⌉": r"$\rceil$", "²": r"$^2$", "°": r"$^\circ$",
        "α": r"$\alpha$", "β": r"$\beta$", "λ": r"$\lambda$", "σ": r"$\sigma$", "Δ": r"$\Delta$",
    }
)  # fmt: skip


def _tex(words: str) -> str:
    return words.translate(_TEX)
