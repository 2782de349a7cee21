import click

from replicate import networks
from replicate.networks.arithmetic import faults
from replicate.networks.description import Network


@click.command()
@click.option("--network", "name", metavar="NAME", help="Check this network only.  [default: all with published counts]")
def command(name: str | None) -> None:
    """Hold the layer shapes and counts of networks against published ones.

    Derives every layer's output, parameters and multiply-accumulates from the network's description and compares them
    with the counts that others have published. The network `paper` is also held against what the paper says of its
    shapes; where the paper contradicts its own description, that is printed and is no fault. Ends with status 1, and
    names the layer, where a description is off.
    """
    checked = [networks.load(name)] if name else [n for n in map(networks.load, networks.names()) if n.published]
    right = [_check(network) for network in checked]
    if not all(right):
        raise SystemExit(1)


def _check(network: Network) -> bool:
    """Prints the network's line, and below it where the paper is off; False where the description is."""
    found, beside = faults(network), []
    if network.name == "paper":
        from replicate.report.shape_claims import shape_claims

        claims = shape_claims()
        found += [f"{claim.id}: {claim.here}, the paper says {claim.said}" for claim in claims if claim.fault]
        agree = sum(claim.agrees for claim in claims)
        beside = [f"{agree} of {len(claims)} statements of the paper on its shapes follow from it"]
        beside += [f"the paper is off, {c.id}: says {c.said}, derived {c.here}" for c in claims if not c.agrees and not c.fault]
    sums = networks.totals(networks.count(network))
    line = f"{network.name}: {sums.parameters:,} parameters, {sums.macs:,} MACs; {_against(network)}"
    if found:
        line = f"{network.name}: OFF: {'; '.join(found)}"
    click.echo("\n  ".join([line, *beside]))
    return not found


def _against(network: Network) -> str:
    """What the counts were held against."""
    published = network.published
    if published is None:
        return "no published counts to compare with"
    held = {"parameters": published.parameters, "MACs": published.macs, f"{len(published.layers)} layers": published.layers}
    return f"{', '.join(what for what, count in held.items() if count)} as in {published.source}"
