"""Tables of the paper's statements: the score, every verdict, the readings of the first layer, what differs here."""

from collections import Counter

from replicate.errors import UserError
from replicate.evidence.results import VERDICTS
from replicate.evidence.statistics import ENOUGH_SEEDS
from replicate.report import data
from replicate.report.table import Column, Row, Table
from replicate.settings import Profile

# What each word says, and whether it counts as evidence for or against the paper.
MEANINGS = {
    "agrees": ("evidence", "what was derived or measured is what the paper says, within the stated tolerance"),
    "differs": ("evidence", "what was measured, or the public record, is something else"),
    "paper is off": ("evidence", "contradicts the paper's own definitions or another of its statements"),
    "same direction at smaller scale": ("evidence", "the effect goes the same way on smaller pictures or networks"),
    "opposite direction": ("evidence", "the effect goes the other way on smaller pictures or networks"),
    "undecided": (
        "evidence missing",
        f"the interval covers zero, there are fewer than {ENOUGH_SEEDS} seeds, other settings than the paper's, a lower bound only, or "
        "readings of the text that part",
    ),
    "built as stated": ("counted apart", "our network or recipe follows the statement, which proves nothing"),
    "cited": ("no evidence", "somebody else's result, quoted by the paper"),
    "cannot be checked": ("no evidence", "nothing that could be run would tell"),
    "not run": ("no evidence", "needs data, a machine or a run that is not here; the table of statements says which"),
}


def score(profile: Profile) -> Table:
    """How many statements got which verdict."""
    verdicts = data.verdicts(profile)
    counts = Counter(verdict.verdict for verdict in verdicts)
    return Table(
        name="score",
        caption=f"How the paper's {len(verdicts)} statements fare in profile {profile.name}. {profile.settings.note}",
        columns=[
            Column("verdict", "verdict"),
            Column("claims", "statements", format="d"),
            Column("counts", "counts as"),
            Column("meaning", "what it means"),
        ],
        rows=[
            {"verdict": word, "claims": counts[word], "counts": MEANINGS[word][0], "meaning": MEANINGS[word][1]}
            for word in VERDICTS
        ],
        note=f"Statements from replicate/paper/claims.yaml, verdicts {data.verdicts_origin(profile)}.",
    )


def claims(profile: Profile, status: str | None = None, section: str | None = None) -> Table:
    """Every statement with its verdict; `status` (a verdict, or what is known of 2012) and `section` choose among them."""
    from replicate.paper import claims as all_claims

    known = all_claims()
    if section and not any(claim.stands_in(section) for claim in known.values()):
        places = dict.fromkeys(place for claim in known.values() for place in claim.places)
        raise UserError(f"no statement stands in section {section!r}; known: {', '.join(sorted(places))}")
    rows: list[Row] = []
    for verdict in data.verdicts(profile):
        claim = known[verdict.id]
        if status not in (None, verdict.verdict, claim.status_2012) or (section and not claim.stands_in(section)):
            continue
        rows.append(
            {
                "id": verdict.id,
                "place": claim.place,
                "says": claim.says,
                "said": verdict.said or None,
                "measured": verdict.measured or None,
                "n": verdict.n,
                "verdict": verdict.verdict,
                "reason": verdict.reason or None,
                "status_2012": claim.status_2012,
                "code_2012": claim.code_2012,
            }
        )
    chosen = ", ".join(filter(None, [section and f"section {section}", status and f"status {status!r}"]))
    return Table(
        name="claims",
        caption=(
            f"{f'Statements of the paper ({chosen})' if chosen else 'Every statement of the paper'} and what is to be said of "
            f"{'them' if chosen else 'it'}, profile {profile.name}. {profile.settings.note}"
        ),
        columns=[
            Column("id", "statement"),
            Column("place", "place"),
            Column("says", "the paper says"),
            Column("said", "figure"),
            Column("measured", "derived or measured"),
            Column("n", "n", "trainings", "d"),
            Column("verdict", "verdict"),
            Column("reason", "why"),
            Column("status_2012", "in 2012"),
            Column("code_2012", "2012 code, its log and the public record"),
        ],
        rows=rows,
        note=f"Statements from replicate/paper/claims.yaml, verdicts {data.verdicts_origin(profile)}.",
    ).without_empty("n")


def arithmetic() -> Table:
    """The ways in which 224 or 227 pixels do and do not give the maps of Figure 2."""
    from replicate.networks import load
    from replicate.networks.readings import derive
    from replicate.paper import claims as all_claims
    from replicate.paper import readings

    network = load("paper")
    figure2 = next(c for c in all_claims().values() if c.measure == {"map_side": {"network": "paper", "layer": "conv1"}})
    rows: list[Row] = []
    for reading in readings():
        found = derive(network, reading.side, reading.zeros, reading.conv_rounding, reading.pool_rounding)
        whole, rest = divmod(found.quotient, 1)
        rows.append(
            {
                "reading": reading.id,
                "side": reading.side,
                "zeros": f"{reading.zeros[0]} + {reading.zeros[1]}",
                "rounding": f"{reading.conv_rounding}, {reading.pool_rounding}",
                "quotient": f"{whole} {rest}" if rest else f"{whole}",
                "agrees": "yes" if found.conv1_side == figure2.value else "no",
                "sides": " ".join(str(side) for name, side in found.sides if name == "conv1" or name.startswith("pool")),
                "fc6": found.fc6_inputs,
                "parameters": found.parameters,
                "macs": found.macs,
                "where": reading.where,
            }
        )
    return Table(
        name="arithmetic",
        caption=f"Ways to read the first layer, and whether they give the maps of Figure 2 ({figure2.value}×{figure2.value}).",
        columns=[
            Column("reading", "reading"),
            Column("side", "input", "pixels", "d"),
            Column("zeros", "zeros", "before + after"),
            Column("rounding", "rounds", "conv, pool"),
            Column("quotient", "positions"),
            Column("agrees", "as in Figure 2?"),
            Column("sides", "conv1, pool1, pool2, pool5", "pixels"),
            Column("fc6", "inputs of fc6", format=",d"),
            Column("parameters", "parameters", format=",d"),
            Column("macs", "MACs", "a view", ",d"),
            Column("where", "who reads it so"),
        ],
        rows=rows,
        note=(
            "Positions: 1 + (input + zeros − kernel)/stride, before rounding. Readings from "
            "replicate/paper/conv1_readings.yaml, the rest derived from replicate/networks/paper.yaml; nothing was measured."
        ),
    )


def departures(profile: Profile) -> Table:
    """What the profile's baseline does otherwise than the paper says."""
    from replicate.evidence.departures import departures as departures_of

    classes = data.results(profile).groups[profile.settings.baseline].classes if data.has_results(profile) else None
    return Table(
        name="departures",
        caption=f"What profile {profile.name} does otherwise than the paper says. {profile.settings.note}",
        columns=[
            Column("place", "place"),
            Column("what", "the paper says"),
            Column("paper", "in the paper"),
            Column("here", "here"),
            Column("why", "why"),
            Column("claim", "statement"),
        ],
        rows=[
            {
                "place": one.place,
                "what": one.what,
                "paper": one.paper,
                "here": one.here,
                "why": one.why,
                "claim": one.claim,
            }
            for one in departures_of(profile.settings, classes)
        ],
        note=(
            f"Settings of {profile.params_file.relative_to(profile.root)} and of its baseline's network, held against "
            "replicate/paper/claims.yaml."
        ),
    ).without_empty("why")
