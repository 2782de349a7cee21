"""Tables of what the record of 2012 says: the runs of the release, and which nets the rows of Table 2 average."""

from collections import Counter
from statistics import mean

from replicate.networks import count, load, totals
from replicate.paper import Claim, claims
from replicate.paper.ensembles import Ensemble
from replicate.paper.ensembles import ensembles as rows_of_table2
from replicate.paper.runs import DIGITS, Pair, Result, Run, difference, pairs, runs
from replicate.report.table import Column, Row, Table

PERCENT, TOPS = ".3f", ("top1", "top5")
SHORT = {"validation": "val"}  # how claims.yaml writes a set of pictures in its keys


def runs_2012() -> Table:
    """The runs behind the paper's figures, differences between runs, then every other run of the 2012 release."""
    printed: list[Row] = []
    others: list[Row] = []
    for run in runs().values():
        for result in run.results or [None]:
            (printed if result and result.claim else others).append(_run_row(run, result))
    return Table(
        name="runs-2012",
        caption=(
            "What the 2012 configurations and the notes in them say of the paper's figures: the runs behind them, differences "
            "between runs (−), and every other run."
        ),
        columns=[
            Column("run", "run"),
            Column("what", "what it is (network)"),
            Column("pictures", "pictures, views"),
            Column("stopped", "epochs", format="d"),
            Column("parameters", "parameters", format=",d"),
            Column("top1", "top-1", "%", PERCENT),
            Column("top5", "top-5", "%", PERCENT),
            Column("paper", "beside the paper's figure"),
        ],
        rows=[*printed, *(_pair_row(pair) for pair in pairs()), *others],
        note=(
            "Errors; rows with a − are one run less another, in points. From the notes at the end of the runs' parameter files, "
            "which replicate/paper/runs_2012.yaml names; what it was is not in the note but told by the number of pictures or by "
            "the runs beside it where there is a ?. Parameters follow from the network in brackets, where there is one; the nets "
            "with a low-resolution branch are no plain list of layers, and theirs were counted from their configuration."
        ),
    )


def _run_row(run: Run, result: Result | None) -> Row:
    network = f" ({run.network})" if run.network else ""
    row: Row = {
        "run": run.run,
        "what": f"{run.what}{network}",
        "pictures": result.pictures if result else None,
        "stopped": run.stopped,
        "parameters": totals(count(load(run.network))).parameters if run.network else run.parameters,
        "top1": None,
        "top5": None,
        "paper": None,
    }
    if result:
        errors = result.percent("top1"), result.percent("top5")
        row |= {"top1": errors[0], "top5": errors[1]}
        row["paper"] = _beside(claims()[result.claim], errors, result.split) if result.claim else None
    return row


def _pair_row(pair: Pair) -> Row:
    apart = difference(pair)
    result = runs()[pair.run].result(pair.data, pair.split, pair.views[0])
    return {
        "run": pair.name,
        "what": f"gain by {pair.what}",
        "pictures": f"{result.pictures.rsplit(',', 1)[0]}, {' − '.join(dict.fromkeys(pair.views))}",
        "stopped": None,
        "parameters": None,
        "top1": apart[0],
        "top5": apart[1],
        "paper": _beside(claims()[pair.claim], apart, pair.split) if pair.claim else "not printed",
    }


def _beside(claim: Claim, log: tuple[float, float], split: str) -> str:
    """The printed figure and how far the log is from it: `ID: 1.0 and 2.0, the log −0.03 and +0.00`."""
    printed = [figure(claim, top, split) for top in TOPS]
    if None in printed:
        return f"{claim.id}: no figure"
    less = [f"{round(mine - theirs, 2) + 0.0:+.2f}".replace("-", "−") for mine, theirs in zip(log, printed, strict=True)]
    return f"{claim.id}: {printed[0]:.1f} and {printed[1]:.1f}, the log {less[0]} and {less[1]}"


def figure(claim: Claim, top: str, split: str) -> float | None:
    """What a statement prints of one error; None if it prints none. Where it has one set of pictures only, keys name none."""
    value = claim.value if isinstance(claim.value, dict) else {}
    return value.get(f"{top}_{SHORT.get(split, split)}", value.get(top))


def ensembles() -> Table:
    """The rows of Table 2 and the nets behind them."""
    rows: list[Row] = []
    for one in rows_of_table2():
        rows += _ensemble_rows(one)
    return Table(
        name="ensembles",
        caption="The rows of the paper's Table 2, and which nets they average by the contest's record. Errors on ILSVRC-2012.",
        columns=[
            Column("row", "row of Table 2"),
            Column("source", "figure"),
            Column("what", "what it is"),
            Column("parameters", "parameters", format=",d"),
            Column("top1_val", "top-1 val.", "%", PERCENT),
            Column("top5_val", "top-5 val.", "%", PERCENT),
            Column("top5_test", "top-5 test", "%", PERCENT),
        ],
        rows=rows,
        note=(
            "The paper's figures from claims.yaml, members and their errors with ten views from runs_2012.yaml, the record "
            "(file names and test errors of the contest's results page) from ensembles.yaml, all in replicate/paper. The "
            "release has neither weights nor predictions of the members, and its script can weight them by a search on the "
            "validation pictures, so that no average can be recomputed. What plain averages of our own trainings give "
            "stands in the table errors."
        ),
    )


def _ensemble_rows(one: Ensemble) -> list[Row]:
    """The paper's row, the record's, a row a member, and what the average gained on the members."""
    claim = claims()[one.claim]
    printed = {f"{top}_val": figure(claim, top, "validation") for top in TOPS}
    in_test = claim.value.get("top5_test") if isinstance(claim.value, dict) else claim.value
    rows = [_row(one, "the paper", claim.place, **printed, top5_test=in_test)]
    if one.file:
        rows.append(_row(one, "the record", one.file, top5_test=one.test_percent))
    found = []
    for member in one.members:
        run = _run_row(member.ledger, None)
        errors = _errors_on_2012(member.ledger)
        found += [errors] if errors else []
        rows.append(_row(one, f"run {member.run}", run["what"], parameters=run["parameters"], **errors))
    if len(one.members) > 1:
        means = {key: round(mean(errors[key] for errors in found), DIGITS) for key in printed}
        gained = {key: round(means[key] - printed[key], DIGITS) for key in printed}
        rows.append(_row(one, "mean of the members", f"of the {len(found)} with a figure; {_made_of(one)}", **means))
        rows.append(_row(one, "averaging gains", "that mean less the paper's figure, in points", **gained))
    return rows


def _row(one: Ensemble, source: str, what: str | None, **figures: float | None) -> Row:
    row: Row = {"row": one.name, "source": source, "what": what}
    return row | dict.fromkeys(("parameters", "top1_val", "top5_val", "top5_test")) | figures


def _errors_on_2012(run: Run) -> dict[str, float]:
    """On the validation pictures with ten views, in percent; empty if the log has none."""
    for one in run.results:
        if (one.data, one.split, one.views) == ("ILSVRC-2012", "validation", "ten"):
            return {f"{top}_val": one.percent(top) for top in TOPS}
    return {}


def _made_of(one: Ensemble) -> str:
    """`4 on the contest's pictures only, 2 on Fall 2009 before`."""
    kinds = Counter(member.pretrained for member in one.members)
    return ", ".join(f"{n} on {kind} before" if kind else f"{n} on the contest's pictures only" for kind, n in kinds.items())
