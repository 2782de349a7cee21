"""Which of the paper's figures belongs beside which of ours: found through each claim's measure, never typed again."""

from replicate.evidence.results import Group
from replicate.paper import Claim, claims

PAPER = "paper"


def errors_of_paper() -> list[tuple[str, str, str, dict[str, float]]]:
    """Claims on the error of the network itself: (claim, place, views, {"ten.top1": %, …})."""
    found = []
    for claim in claims().values():
        if claim.measure_name == "errors" and claim.measure_arguments["network"] == PAPER and isinstance(claim.value, dict):
            views = claim.measure_arguments["views"]
            figures = {f"{views}.{key}": value for key, value in claim.value.items() if isinstance(value, int | float)}
            found.append((claim.id, claim.place, views, figures))
    return found


def claims_on(group: Group, baseline: Group) -> list[Claim]:
    """Claims on the difference between a group and the baseline: same run, and the same change to the network."""
    return [
        claim
        for claim in claims().values()
        if claim.measure_name == "difference"
        and claim.measure_arguments["run"] == group.run
        and claim.measure_arguments["network"] == in_words_of_the_paper(group.network, baseline.network)
    ]


def in_words_of_the_paper(network: str, baseline: str) -> str:
    """`demo-no-lrn` of the baseline `demo` is what `no-lrn` is of `paper`."""
    if network == baseline:
        return "paper"
    return network.removeprefix(f"{baseline}-")


def figure(claims_on_it: list[Claim]) -> str | None:
    """The differences in top-1 error that claims state, in points; or that they state a direction and no figure."""
    figures = []
    for claim in claims_on_it:
        value = claim.value.get("top1") if isinstance(claim.value, dict) else None
        if value is not None:
            figures.append(f"{claim.tolerance.bound} {value:g}" if claim.tolerance.bound else f"{value:g}")
    if figures:
        return "; ".join(dict.fromkeys(figures))
    return "worse, no figure" if any(claim.tolerance.sign for claim in claims_on_it) else None
