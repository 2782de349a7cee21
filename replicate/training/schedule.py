"""The learning rates and when training ends (section 5), from nothing but the errors seen so far.

A schedule is a pure function of the held-out errors after each epoch (percent), so a restart needs no state.
"""

from dataclasses import dataclass

from replicate.settings import Fixed, Plateau, Recipe


@dataclass(frozen=True)
class Stand:
    """After some epochs: how often the rate was divided, and whether training is over."""

    drops: int
    over: bool


def stand(schedule: Plateau | Fixed, errors: list[float]) -> Stand:
    """Where `schedule` stands after epochs that ended with these held-out errors."""
    if isinstance(schedule, Fixed):
        return Stand(sum(e <= len(errors) for e in schedule.drop_after), len(errors) >= schedule.epochs)
    drops, best, since = 0, float("inf"), 0
    for error in errors:
        if error <= round(best - schedule.threshold, 9):  # 45.3 - 0.1 is not quite 45.2 in binary
            best, since = error, 0
        else:
            since += 1
        if since == schedule.patience:
            if drops == schedule.drops:
                return Stand(drops, True)
            drops, since = drops + 1, 0
    return Stand(drops, len(errors) >= schedule.max_epochs)


def rate(recipe: Recipe, errors: list[float], parameter: str | None = None) -> float:
    """The rate of a parameter (`conv1.weight`) in the epoch that follows these errors; without one the common rate.

    Who is named in `own_rates` has the last rate there that is in force; the schedule lowers only what is not named.
    """
    if parameter is not None:
        own = [own.rate for own in recipe.own_rates if own.after <= len(errors) and own.names(parameter)]
        if own:
            return own[-1]
    return recipe.learning_rate / recipe.rate_divisor ** stand(recipe.schedule, errors).drops


def most_epochs(schedule: Plateau | Fixed) -> int:
    return schedule.epochs if isinstance(schedule, Fixed) else schedule.max_epochs
