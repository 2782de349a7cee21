"""Measures of how an experiment of its own is set up: read from the runs of a profile that make it, whatever its baseline."""

from collections.abc import Callable
from typing import Any

from replicate.evidence.measures_results import groups_needed
from replicate.networks import load
from replicate.networks.description import Dropout
from replicate.paper import claims
from replicate.settings import Settings


def fitted_freely(settings: Settings, of: str) -> dict[str, Any] | None:
    """What keeps the trainings of the claim `of` from fitting as they like, and whether each has a learning rate of its own.

    None where the profile has no such runs.
    """
    pairs = groups_needed(claims()[of])
    if not all(run in settings.runs for run, _ in pairs):
        return None
    recipes = [settings.recipe_of(run) for run, _ in pairs]
    layers = [layer for _, network in pairs for layer in load(network).layers]
    return {
        "weight decay": max(recipe.weight_decay for recipe in recipes),
        "layers with dropout": sum(isinstance(layer, Dropout) for layer in layers),
        "random crops": any(recipe.crops == "random" for recipe in recipes),
        "reflections": any(recipe.reflections for recipe in recipes),
        "colour noise": any(recipe.colour_noise.reading != "none" for recipe in recipes),
        "own learning rate": all("learning_rate" in settings.runs[run] for run, _ in pairs),
    }


PROTOCOLS: dict[str, Callable[..., dict[str, Any] | None]] = {fitted_freely.__name__: fitted_freely}
