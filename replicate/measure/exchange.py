"""What crosses between the devices of a training, in bytes, computed from the network's description: `replicate plan --devices N`."""

from replicate.errors import UserError
from replicate.networks import Network, count, totals
from replicate.networks.memory import NUMBER
from replicate.networks.traffic import traffic
from replicate.settings import Recipe, Strict

BYTES = {"float32": NUMBER, "bfloat16": 2}  # of a number that towers exchange; gradients are float32


class CrossingBytes(Strict):
    """Of one network on `devices`: so many towers, times so many parts of each batch. Bytes that one device receives."""

    network: str
    towers: int
    parts: int
    a_picture: int
    a_step: int
    gradients_a_step: int


def exchange(network: Network, recipe: Recipe, devices: int, classes: int) -> CrossingBytes:
    """Between towers, of the pictures in a device's part of the batch; and of the gradients of its weights, averaged over the
    parts in a ring, which hands on 2·(n - 1)/n of them. UserError for devices that the network cannot be divided between."""
    if devices % network.towers or recipe.batch_size % (parts := devices // network.towers):
        raise UserError(
            f"network {network.name!r} has {network.towers} towers and batches of {recipe.batch_size}: {devices} devices cannot "
            "each take one tower and an equal part of the batch"
        )
    numbers = sum(one.forward + one.backward for one in traffic(network, recipe.crop, classes)) * BYTES[recipe.precision]
    weights = NUMBER * totals(count(network, recipe.crop, classes)).parameters // network.towers
    return CrossingBytes(
        network=network.name, towers=network.towers, parts=parts, a_picture=numbers,
        a_step=numbers * (recipe.batch_size // parts), gradients_a_step=2 * weights * (parts - 1) // parts,
    )  # fmt: skip
