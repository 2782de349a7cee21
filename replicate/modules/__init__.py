"""Torch modules built from descriptions: `build("paper")` gives the two-tower network of the paper."""

from replicate.modules.build import Net, build
from replicate.modules.initialise import initialise

__all__ = ["Net", "build", "initialise"]
