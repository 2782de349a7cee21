"""What the paper itself says of its network's shapes and counts, held against the network `paper`."""

from dataclasses import dataclass

from replicate.evidence.measures_arithmetic import ARITHMETIC
from replicate.evidence.measures_settings import NETWORK
from replicate.evidence.shown import said, shown
from replicate.evidence.tolerance import within
from replicate.networks import load
from replicate.paper import claims

# Measures that read layers, sizes or counts of a network and nothing of a recipe.
SHAPES = {
    "census", "conv_shape", "widths", "linear_widths", "pooling", "kernels_per_tower", "towers",
    "reads_all_towers", "map_side", "layer_neurons", "input_size", "parameters", "neurons", "conv_shares", "parameter_share",
}  # fmt: skip


@dataclass(frozen=True)
class ShapeClaim:
    """`agrees` within the claim's tolerance; `fault` where the description fails to follow what it should be built to."""

    id: str
    says: str
    said: str
    here: str
    agrees: bool
    fault: bool


def shape_claims() -> list[ShapeClaim]:
    """Every such claim. One that does not follow from the paper's own description is no fault: there the paper is off."""
    network = load("paper")
    found = []
    for claim in claims().values():
        if claim.measure_name not in SHAPES:
            continue
        name, arguments = claim.measure_name, claim.measure_arguments
        derived = name in ARITHMETIC
        here = ARITHMETIC[name](**arguments).value if derived else NETWORK[name](network, **arguments)
        agrees = within(claim.tolerance, claim.value, here)
        found.append(
            ShapeClaim(claim.id, claim.says, said(claim), shown(here, claim.unit), agrees, not agrees and not derived)
        )
    return found
