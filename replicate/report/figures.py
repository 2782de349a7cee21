"""Figures: functions from data to an SVG text that is the same for the same data, wherever it is drawn.

`draw` gives the file for people and DVC (white background); `inline` makes it fit a page that may be light or dark.
Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

INK, PAPER, GRID = "#111214", "#fdfefe", "#8a8f98"  # all but GRID become the page's own colours
BLUE, ORANGE = "#0072b2", "#d55e00"

Log = dict[str, list[float]]  # a training's CSV log, column by column


def draw(name: str, function: Callable[..., Any], *data: Any) -> str:
    """The figure as SVG. `name` salts the ids, so that several figures can stand in one page."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    settings = {
        "svg.hashsalt": name, "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 10,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID, "xtick.color": INK, "ytick.color": INK,
        "axes.titlesize": 10, "axes.titleweight": "bold", "axes.facecolor": "none", "figure.facecolor": PAPER, "axes.spines.top": False,
        "axes.spines.right": False, "grid.color": GRID, "grid.alpha": 0.35, "legend.frameon": False,
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        figure = function(plt, *data)
        text = io.StringIO()
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def inline(svg: str, says: str) -> str:
    """The SVG for a page: ink in the page's colour, no background, no XML head, described by `says` (plain words)."""
    from markupsafe import escape

    body = svg[svg.index("<svg") :]
    for colour, own in ((INK, "currentColor"), (PAPER, "none"), (BLUE, "var(--blue)"), (ORANGE, "var(--orange)")):
        body = body.replace(colour, own)
    return body.replace("<svg ", f'<svg role="img" aria-label="{escape(says)}" ', 1)


def curves(plt: Any, logs: dict[str, dict[str, Log]], baseline: str, column: str, label: str, chance: float | None) -> Any:
    """One panel a group of trainings, `column` over epochs, the baseline grey behind each. `logs`: group → training → log."""
    columns = min(4, len(logs))
    rows = -(-len(logs) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.6 * columns + 0.6, 2.1 * rows + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for index, (group, trainings) in enumerate(logs.items()):
        axis = axes.flat[index]
        for log in logs.get(baseline, {}).values():
            axis.plot(log["epoch"], log[column], color=GRID, linewidth=1, alpha=0.8, zorder=1)
        for log in trainings.values():
            axis.plot(log["epoch"], log[column], color=BLUE, linewidth=1.6, marker="o", markersize=2.5, zorder=2)
        if chance is not None:
            axis.axhline(chance, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            if index == 0:
                axis.annotate("chance", (1, chance), xycoords=("axes fraction", "data"), xytext=(0, -3),
                              textcoords="offset points", ha="right", va="top", fontsize=8, color=ORANGE)  # fmt: skip
        n = len(trainings)
        axis.set_title(group if n == 1 else f"{group} ({n} seeds)", loc="left")
        axis.grid(True)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes.flat[0].set_ylim(bottom=0)  # shared: only once all is drawn
    for axis in axes.flat[len(logs) :]:
        axis.set_visible(False)
    for index in range(len(logs)):  # the lowest panel of each column says what its axis is
        if index + columns >= len(logs):
            axes.flat[index].set_xlabel("epoch")
            axes.flat[index].tick_params(labelbottom=True)
    figure.supylabel(label, fontsize=10, x=0.01)
    figure.tight_layout()
    return figure


def kernels(plt: Any, weights: np.ndarray, towers: int) -> Any:
    """First-layer kernels (out, 3, k, k), tower 1 above tower 2 as in Figure 3. Grey is 0; each kernel fills its range."""
    out, _, side, _ = weights.shape
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    shown = 0.5 + 0.5 * weights.transpose(0, 2, 3, 1) / np.where(largest == 0, 1, largest)
    each = out // towers
    columns = min(16, each)
    rows = -(-each // columns)
    figure, axes = plt.subplots(towers, 1, figsize=(7.2, 0.45 * rows * towers * 16 / columns + 0.5 * towers), squeeze=False)
    for tower, axis in enumerate(axes.flat):
        gap = 1  # pixel between kernels
        canvas = np.ones((rows * (side + gap) - gap, columns * (side + gap) - gap, 4))
        canvas[..., 3] = 0
        for index in range(each):
            row, column = divmod(index, columns)
            y, x = row * (side + gap), column * (side + gap)
            canvas[y : y + side, x : x + side, :3] = shown[tower * each + index]
            canvas[y : y + side, x : x + side, 3] = 1
        axis.imshow(canvas, interpolation="nearest")
        axis.set_axis_off()
        if towers > 1:
            axis.set_title(f"tower {tower + 1}", loc="left")
    figure.tight_layout()
    return figure


def layers(plt: Any, rows: list[tuple[str, float, float]]) -> Any:
    """Where the parameters live and where the compute lives: (layer, % of parameters, % of MACs) as two bars a layer."""
    figure, axis = plt.subplots(figsize=(7.2, 0.5 * len(rows) + 0.9))
    place = np.arange(len(rows))
    for offset, index, colour, label in ((-0.2, 1, BLUE, "parameters"), (0.2, 2, ORANGE, "multiply-accumulates")):
        shares = [row[index] for row in rows]
        bars = axis.barh(place + offset, shares, height=0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.1f %%", padding=3, fontsize=9, color=INK)
    axis.set_yticks(place, [row[0] for row in rows])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.15 * max(max(row[1:]) for row in rows))
    axis.set_xlabel("share of the whole network (%)")
    axis.tick_params(axis="y", length=0)
    axis.legend(loc="center right")
    return figure


@dataclass(frozen=True)
class Point:
    """A group's top-1 error with ten views (%), as in results.json; `difference` is None for the baseline."""

    name: str
    values: list[float]
    mean: float
    low: float | None
    high: float | None
    difference: float | None


def ablations(plt: Any, points: list[Point], chance: float) -> Any:
    """Mean and interval of every group; ticks are single trainings, the grey band is the baseline's interval."""
    figure, axis = plt.subplots(figsize=(7.2, 0.36 * len(points) + 1.2))
    for place, point in enumerate(points):
        is_baseline = point.difference is None
        colour = GRID if is_baseline else BLUE
        if point.low is not None and point.high is not None:
            axis.plot([point.low, point.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            if is_baseline:
                axis.axvspan(point.low, point.high, color=GRID, alpha=0.15, linewidth=0, zorder=0)
        if is_baseline:
            axis.axvline(point.mean, color=GRID, linewidth=1.2, zorder=0)
        alone = len(point.values) == 1
        axis.plot(point.mean, place, "o", markersize=7, color=colour, markerfacecolor=PAPER if alone else colour)
        if not alone:
            axis.plot(point.values, [place] * len(point.values), "|", markersize=11, color=INK, markeredgewidth=1)
        label = f"{point.mean:.1f} %" + ("" if is_baseline else f" ({point.difference:+.1f})").replace("-", "−")
        axis.annotate(label, (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axis.margins(x=0.06)
    if chance <= axis.get_xlim()[1]:
        axis.axvline(chance, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
        axis.annotate("chance", (chance, 1), xycoords=("data", "axes fraction"), xytext=(-3, 2), ha="right",
                      textcoords="offset points", fontsize=8, color=ORANGE)  # fmt: skip
    axis.set_yticks(range(len(points)), [f"{point.name} (n = {len(point.values)})" for point in points])
    axis.set_ylim(len(points) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(True, axis="x")
    axis.set_xlabel("top-1 error, ten views (%); in brackets: points more than the baseline")
    return figure


def colour_noise(plt: Any, deviations: list[float], vectors: list[list[float]], std: float) -> Any:
    """A mid-grey pixel moved along each eigenvector by -3 to 3 s.d. of the noise.

    `deviations`: √λ of pixels 0..255, largest first; `vectors`: one eigenvector (R, G, B) each; `std`: s.d. of α.
    """
    steps = np.arange(-3, 4)
    strip = np.stack([128 + np.outer(steps * std * d, v) for d, v in zip(deviations, vectors, strict=True)])
    figure, axis = plt.subplots(figsize=(7.2, 0.8 + 0.7 * len(deviations)))
    axis.imshow(np.clip(strip, 0, 255).round().astype(np.uint8), interpolation="nearest", aspect="auto")
    axis.set_xticks(range(len(steps)), [f"{step:+d}" if step else "0" for step in steps])
    axis.set_yticks(range(len(deviations)), [f"axis {i + 1} (√λ {d:.1f})" for i, d in enumerate(deviations)])
    axis.set_xlabel(f"shift in s.d. of the noise (one is {std:g}·√λ grey levels of 255)")
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_xticks(np.arange(len(steps) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(deviations) + 1) - 0.5, minor=True)
    axis.grid(True, which="minor", color=PAPER, linewidth=4, alpha=1)
    axis.tick_params(which="minor", length=0)
    return figure
