"""Networks as data: a YAML file each, and the arithmetic of their shapes, parameters and MACs. No torch."""

from replicate.networks.arithmetic import Row, Totals, count, totals
from replicate.networks.description import Network, load, names

__all__ = ["Network", "Row", "Totals", "count", "load", "names", "totals"]
