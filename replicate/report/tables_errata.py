"""What is off in the paper: where the rule finds it, and where the 2012 code or the public record has it otherwise."""

from replicate.evidence.measures import DERIVED, family
from replicate.evidence.results import Verdict
from replicate.evidence.shown import said
from replicate.paper import Claim, claims
from replicate.report import data
from replicate.report.table import Column, Row, Table
from replicate.settings import Profile

ITSELF = "off by its own definitions"
SEEN = "otherwise when counted, measured or on public record"
DONE = "the 2012 code, log or record has it otherwise"


def errata(profile: Profile) -> Table:
    """Statements that are off, those that contradict the paper itself first."""
    found = [(kind, claims()[one.id], one) for one in data.verdicts(profile) if (kind := _kind(claims()[one.id], one))]
    rows = [_row(*one) for kind in (ITSELF, SEEN, DONE) for one in found if one[0] == kind]
    return Table(
        name="errata",
        caption=f"What is off in the paper, profile {profile.name}. {profile.settings.note}",
        columns=[
            Column("kind", "how it is off"),
            Column("place", "place"),
            Column("says", "the paper says"),
            Column("printed", "printed"),
            Column("correct", "derived, counted or measured"),
            Column("how", "how it follows"),
            Column("code_2012", "2012 code, its log and the public record"),
            Column("claim", "statement"),
        ],
        rows=rows,
        note=(
            f"Statements from replicate/paper/claims.yaml, verdicts {data.verdicts_origin(profile)}. Nothing in the columns "
            "'derived' and 'how it follows' is typed; what the code does otherwise is no slip of the text."
        ),
    )


def _kind(claim: Claim, verdict: Verdict) -> str | None:
    if verdict.verdict in ("paper is off", "differs"):
        return ITSELF if verdict.verdict == "paper is off" else SEEN
    return DONE if claim.status_2012 and claim.status_2012.endswith("differs") else None


def _row(kind: str, claim: Claim, verdict: Verdict) -> Row:
    how = None
    if kind == ITSELF and family(claim.measure_name) == "derived":
        how = "; ".join(DERIVED[claim.measure_name](**claim.measure_arguments).steps)
    elif kind != DONE:
        how = verdict.reason
    return {
        "kind": kind,
        "place": claim.place,
        "says": claim.says,
        "printed": said(claim) or None,
        "correct": None if kind == DONE else verdict.measured,
        "how": how,
        "code_2012": claim.code_2012,
        "claim": claim.id,
    }
