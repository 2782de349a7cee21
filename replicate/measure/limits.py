"""What `bench train` found, in words: which targets are met, and what limits the speed."""

from statistics import median

from replicate.measure.shares import CONVOLUTION, DATA, LINEAR, NORMAL
from replicate.measure.train import NEWCOMER, OURS, PLAIN, Bench

# How many times as fast as the plain network under the same allocator, by what multiplies bfloat16 matrices; "": either.
TIMES = {("float32", ""): 1.85, ("bfloat16", "AVX512-BF16"): 3.2, ("bfloat16", "AMX"): 6.0}
MOST = 15  # percent of a step for ReLU, LRN and pooling
MEANT = {"pixels": 224, "pictures a batch": 128, "classes": 1000, "threads": 2}
ROUNDS = 7  # at least


def targets(bench: Bench) -> list[str]:
    """A line a target: what was found, and whether it is met. The targets are for a processor and a run as in MEANT."""
    case = bench.case
    run = dict(zip(MEANT, (case.recipe.crop, case.batch, case.classes, bench.threads), strict=True))
    other = next((f"{value} {what}" for what, value in run.items() if value != MEANT[what]), None)
    if bench.device.type != "cpu":
        other = "a GPU"
    elif len(bench.seconds[OURS, "float32"]) < ROUNDS:
        other = f"fewer than {ROUNDS} rounds"

    def judged(line: str, met: bool, target: str) -> str:
        verdict = f"not judged, the target ({target}) is not for {other}" if other else f"{'met' if met else 'MISSED'} ({target})"
        return f"{line}: {verdict}"

    lines = []
    for precision, parts in bench.parts.items():
        ours, plain, newcomer = (OURS, precision), (PLAIN, "float32"), (NEWCOMER, "float32")
        times = bench.times(ours, plain)
        line = f"{precision}, times plain under the same allocator: {spread(times)}"
        if newcomer in bench.seconds:
            line += f" (times plain as a newcomer starts it: {spread(bench.times(ours, newcomer))})"
        least = TIMES.get((precision, bench.units), TIMES.get((precision, "")))
        lines.append(judged(line, median(times) >= least, f"at least {least:g}") if least else line)
        share = parts[NORMAL]
        lines.append(judged(f"{precision}, {NORMAL}: {share:.1f} % of a step", share <= MOST, f"at most {MOST} %"))
    return lines


def limit(bench: Bench, precision: str) -> str:
    """What limits our step: the largest of three shares of it. The products of matrices, were they as fast as the one that
    was timed; what the layers that consist of them take beyond that; all other parts."""
    parts = bench.parts[precision]
    layers = parts[CONVOLUTION] + parts[LINEAR]
    work = min(layers, bench.fraction(OURS, precision) * (100 - parts[DATA]))  # the fraction is of a step without feeding
    most = max((part for part in parts if part not in (CONVOLUTION, LINEAR)), key=lambda part: parts[part])
    shares = {
        "arithmetic": work,
        "convolutions and fully connected layers that are slower than one large product of matrices": layers - work,
        "what is no product of matrices": 100 - layers,
    }
    return (
        f"{precision} is limited by {max(shares, key=lambda one: shares[one])}: convolutions and fully connected layers take "
        f"{layers:.0f} % of a step, where {work:.0f} % would do at the rate of that product; of the other {100 - layers:.0f} %, "
        f"most is {most} ({parts[most]:.1f} %)."
    )


def spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
