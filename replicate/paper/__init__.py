"""The paper as data: what it claims, how its first layer is read, and what the 2012 record, others' trainings and popular
accounts say beside it. Reads YAML, nothing else."""

from replicate.paper.claims import Claim, Tolerance, claims
from replicate.paper.readings import Reading, readings

__all__ = ["Claim", "Reading", "Tolerance", "claims", "readings"]
