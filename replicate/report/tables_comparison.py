"""Tables that set the text, the code of 2012 and other networks of that name side by side, and what others got out of them."""

from replicate.evidence.side_by_side import cells
from replicate.paper import claims
from replicate.paper.comparison import CODE, COLUMNS, TEXT, items
from replicate.paper.reproductions import Reproduction
from replicate.paper.reproductions import reproductions as published
from replicate.paper.runs import Result, Run, runs, view_gains
from replicate.report.table import Column, Row, Table

HEADS = {"code145": "2012 code", "caffe": "Caffe", "caffenet": "CaffeNet"}  # of the others the network's own name
PAPERS_ROW = "table2-1cnn"  # the paper's error of one net on the pictures on which all others report
VIEWS, TOPS, PERCENT = ("centre", "ten"), ("top1", "top5"), ".2f"


def text_vs_code() -> Table:
    """Item by item: the text, the 2012 code and four networks that are called AlexNet."""
    rows: list[Row] = []
    for item in items():
        found = cells(item)
        if any(found[column] is not None for column in COLUMNS if column not in (TEXT, CODE)):
            rows.append({"item": item.item, **found})
    return Table(
        name="text-vs-code",
        caption="The text, the 2012 code and four networks that are called AlexNet, item by item.",
        columns=[Column("item", "item"), *(Column(column, HEADS.get(column, column)) for column in COLUMNS)],
        rows=rows,
        note=(
            "Networks are read from their descriptions in replicate/networks (paper, code145, caffe, caffenet, torchvision, "
            "cuda-convnet2); how they were trained from replicate/paper/text_vs_code.yaml, of the paper from claims.yaml. Where "
            "the text is open or at odds with itself, the column paper has that network's reading. – is not known. What the code's differences mean, and where they are seen: table code-2012."
        ),
    )


def code_2012() -> Table:
    """Where the 2012 code did otherwise than the text says, what it means, and in which file it is seen."""
    rows: list[Row] = []
    for item in items():
        found = cells(item)
        if found[TEXT] != found[CODE] or item.effect:
            rows.append(
                {
                    "item": item.item,
                    "paper": found[TEXT],
                    "code": found[CODE],
                    "effect": item.effect or None,
                    "evidence": item.evidence,
                }
            )
    return Table(
        name="code-2012",
        caption="Where the 2012 code is otherwise than the text, or says what the text leaves open.",
        columns=[
            Column("item", "item"),
            Column("paper", "the text"),
            Column("code", "2012 code"),
            Column("effect", "what it means"),
            Column("evidence", "evidence"),
        ],
        rows=rows,
        note=(
            "The networks paper and code145 of replicate/networks, and replicate/paper/text_vs_code.yaml. Where the text is open "
            "or at odds with itself, the column has the reading of the network paper. Files are of "
            "computerhistory/AlexNet-Source-Code (released in 2025)."
        ),
    )


def reproductions() -> Table:
    """What others got, in percent of error, after the paper's own figure and the 2012 log's."""
    rows = [*_ours(), *(_published(one) for one in published())]
    return Table(
        name="reproductions",
        caption=(
            "Published errors of this network and its kin on the validation pictures of ILSVRC-2012, centre view and ten "
            "views apart."
        ),
        columns=[
            Column("who", "whose"),
            Column("network", "network"),
            Column("centre1", "centre, top-1", "%", PERCENT),
            Column("centre5", "centre, top-5", "%", PERCENT),
            Column("ten1", "ten, top-1", "%", PERCENT),
            Column("ten5", "ten, top-5", "%", PERCENT),
            Column("reported", "printed as"),
            Column("source", "source"),
        ],
        rows=rows,
        note=(
            "Errors; where a source prints accuracies, 100 less those. Network: the description in replicate/networks, where "
            "there is one. The paper's row is from claims.yaml, the log's from runs_2012.yaml, the others from "
            f"reproductions.yaml, all in replicate/paper. {_views_apart()}"
        ),
    )


def _published(one: Reproduction) -> Row:
    words = [one.source, one.note]
    if one.unstated:
        figures = [f"top-{top[-1]} {one.error('unstated', top):{PERCENT}} %" for top in TOPS if one.error("unstated", top)]
        words.insert(0, f"{', '.join(figures)}, views not stated")
    return {
        "who": one.who if one.trained else f"{one.who} (same weights)",
        "network": one.network,
        **{f"{views}{top[-1]}": one.error(views, top) for views in VIEWS for top in TOPS},
        "reported": one.reported,
        "source": "; ".join(filter(None, words)),
    }


def _ours() -> list[Row]:
    """The row of Table 2, run 145 behind it, and the lowest and highest error of the other runs of its network."""
    paper = claims()[PAPERS_ROW]
    log = {name: _on_2012(run) for name, run in runs().items() if run.network == CODE}
    behind = next(name for name, results in log.items() if any(one.claim == PAPERS_ROW for one in results.values()))
    others = [results for name, results in log.items() if name != behind and results]
    row: Row = {"who": "the paper, one net", "network": TEXT, "reported": "error", "source": f"{paper.place}, {paper.id}"}
    rows = [row | {f"{views}{top[-1]}": paper.value[top] if views == "ten" else None for views in VIEWS for top in TOPS}]
    for who, results, pick in (
        (f"the 2012 log, run {behind}", [log[behind]], min),
        (f"the 2012 log, lowest of {len(others)} other runs", others, min),
        ("the 2012 log, highest of them", others, max),
    ):
        row = {"who": who, "network": CODE, "reported": "error", "source": "table runs-2012"}
        for views in VIEWS:
            for top in TOPS:
                found = [one[views].percent(top) for one in results if views in one]
                row[f"{views}{top[-1]}"] = pick(found, default=None)
        rows.append(row)
    return rows


def _views_apart() -> str:
    """By how much ten views are better than one, over all runs of the 2012 log that have both."""
    gains = {top: view_gains(top) for top in TOPS}
    said = [f"{min(found):.1f} to {max(found):.1f} points in top-{top[-1]}" for top, found in gains.items()]
    return (
        f"Over {len(gains[TOPS[0]])} runs of the 2012 log on ILSVRC-2012 ten views gain {' and '.join(said)}: the two kinds of column must "
        "not be compared."
    )


def _on_2012(run: Run) -> dict[str | None, Result]:
    """Its results on the validation pictures of ILSVRC-2012, by views."""
    return {one.views: one for one in run.results if (one.data, one.split) == ("ILSVRC-2012", "validation")}
