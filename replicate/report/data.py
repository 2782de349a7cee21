"""Reads what a pipeline left for the report: results, records; judges the claims from them. What is missing is said with what gets it."""

from replicate.errors import UserError
from replicate.evidence.results import Results, Verdict
from replicate.files import parse, read_json
from replicate.records import Evaluation, Record, read
from replicate.settings import Profile


def missing(profile: Profile, what: str) -> UserError:
    """The error for results that are not there: how to get them, and which profiles have committed ones."""
    others = sorted(path.parent.name for path in profile.root.glob("reports/*/results.json"))
    others = [name for name in others if name != profile.name]
    hint = f"; committed results: --profile {' or '.join(others)}" if others else ""
    return UserError(f"profile {profile.name!r} has no {what} yet; run `{profile.repro}`{hint}")


def has_results(profile: Profile) -> bool:
    return (profile.reports / "results.json").is_file()


def results(profile: Profile) -> Results:
    path = profile.reports / "results.json"
    if not path.is_file():
        raise missing(profile, "results")
    return parse(Results, read_json(path), str(path))


def verdicts(profile: Profile) -> list[Verdict]:
    """Every claim as it stands now, judged from the results; before there are any, what can be said without trainings.

    `verdicts.json`, which `compare` exports, is not read: the claims may have changed since.
    """
    from replicate.evidence.verdicts import judge

    found = results(profile) if has_results(profile) else None
    return judge(profile.settings, profile.name, found, root=profile.root)


def verdicts_origin(profile: Profile) -> str:
    """In words, to follow "verdicts"."""
    if has_results(profile):
        return f"judged from reports/{profile.name}/results.json"
    return f"judged without results (profile {profile.name} has none yet: `{profile.repro}`)"


def records(profile: Profile) -> dict[str, Record]:
    """Every record with a provenance, by name. Those of the pictures have none: they are the same on every machine."""
    found = {}
    for path in sorted((profile.reports / "records").glob("*.json")):
        if "provenance" in read_json(path):
            found[path.stem] = read(path)
    return found


def evaluations(profile: Profile) -> dict[str, tuple[Evaluation, Record]]:
    """The evaluated trainings, in the order of the parameters; an error if there is none."""
    found = {}
    for name in profile.settings.trainings:
        path = profile.record(name)
        if path.is_file():
            whole = read(path)
            found[name] = (parse(Evaluation, whole.values, str(path)), whole)
    if not found:
        raise missing(profile, "evaluated trainings")
    return found
