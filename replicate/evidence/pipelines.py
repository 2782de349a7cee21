"""Which pipeline of the clone would give what a claim needs: the COMMAND of "not run: needs X, run COMMAND"."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from replicate import settings
from replicate.errors import UserError
from replicate.paper import Claim
from replicate.settings import Profile


def pipelines(root: Path | None = None) -> dict[str, Profile]:
    """The profiles of the clone at `root` (default: the one that the working directory is in, none outside a clone).

    One whose parameters are wrong gives no advice.
    """
    found = {}
    try:
        root = root or settings.clone_root()
    except UserError:
        return {}
    for name in settings.profiles(root):
        try:
            found[name] = settings.load_from(root, name)
        except UserError:  # its own commands say what is wrong with it
            continue
    return found


def needed(claim: Claim, small: str) -> str:
    """The data that a claim needs, in words."""
    return " or ".join(f"{need} (direction only)" if need == small else need for need in claim.needs)


def how_to_get(claim: Claim, groups: Sequence[tuple[str, str]], profiles: Mapping[str, Profile], small: str) -> str:
    """`needs X, run COMMAND`; `groups` are the (run, network) that must be trained there.

    A source whose name begins with `small` counts where the claim allows it; full scale comes first.
    """
    needs = needed(claim, small)
    full = [p for p in profiles.values() if p.settings.source.name in claim.full_scale]
    sign = [p for p in profiles.values() if small in claim.needs and p.settings.source.name.startswith(small)]
    for profile in full + sign:
        trained = {(training.run, training.network) for training in profile.settings.trainings.values()}
        if set(groups) <= trained:
            return f"needs {needs}, run `{profile.repro}`"
    if full or sign:
        lacking = " and ".join(f"network {network!r} with run {run!r}" for run, network in groups)
        file = (full + sign)[0].params_file.relative_to((full + sign)[0].root)
        return f"needs {needs}, and trainings of {lacking} in {file}"
    return f"needs {needs}; no pipeline of this version reads it"
