"""Which of the paper's figures belongs beside which of ours: found through each claim's measure, never typed again."""

from replicate.evidence.results import Group
from replicate.paper import Claim, claims


def errors_of_paper() -> list[tuple[str, str, dict[str, float]]]:
    """Claims on the error of the network itself: (place and claim, views, {"views.top1": %, …})."""
    found = []
    for claim in claims().values():
        if claim.measure_name == "errors" and isinstance(claim.value, dict):
            views = claim.measure_arguments["views"]
            figures = {f"{views}.{key}": value for key, value in claim.value.items() if isinstance(value, int | float)}
            found.append((f"{claim.place} ({claim.id})", views, figures))
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


def figure(claim: Claim) -> str | None:
    """The difference in top-1 error that a claim states, in points, or that it states none."""
    value = claim.value.get("top1") if isinstance(claim.value, dict) else None
    if value is None:
        return "worse, no figure" if claim.tolerance.sign else None
    return f"{claim.tolerance.bound} {value:g}" if claim.tolerance.bound else f"{value:g}"
