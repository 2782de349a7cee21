"""The paper as data: what it claims, and the readings of its first layer. Reads YAML, nothing else."""

from replicate.paper.claims import Claim, Tolerance, claims
from replicate.paper.readings import Reading, readings

__all__ = ["Claim", "Reading", "Tolerance", "claims", "readings"]
