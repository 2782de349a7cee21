"""The table of what popular accounts say of the paper, and what shows whether they are right."""

from collections import Counter

from replicate.evidence.folklore import evidence
from replicate.paper.folklore import tales
from replicate.report.table import Column, Table


def folklore() -> Table:
    """Every account with its verdict; what shows it is computed here and now."""
    found = tales()
    counts = Counter(tale.verdict for tale in found)
    return Table(
        name="folklore",
        caption=(
            f"What popular accounts say of the paper: {len(found)} statements, of which "
            f"{', '.join(f'{number} {verdict}' for verdict, number in counts.most_common())}."
        ),
        columns=[
            Column("says", "they say"),
            Column("verdict", "verdict"),
            Column("right", "what is right"),
            Column("shown", "shown by"),
        ],
        rows=[
            {"says": tale.says, "verdict": tale.verdict, "right": tale.right, "shown": evidence(tale.shown_by)}
            for tale in found
        ],
        note=(
            "Accounts from replicate/paper/folklore.yaml, in our words. The last column is computed when the table is made, "
            "from the networks' descriptions, the statements of claims.yaml and the 2012 ledger; citations are as typed."
        ),
    )
