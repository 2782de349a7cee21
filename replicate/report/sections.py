"""The parts of the page, in the order in which they are read."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from replicate.evidence.precision import departing
from replicate.evidence.statistics import chance
from replicate.networks import count, load, totals
from replicate.paper import claims
from replicate.report import data, figures
from replicate.report.figures import Log, Point
from replicate.report.table import Table
from replicate.report.tables import build
from replicate.report.tables_pictures import pca_record
from replicate.settings import Profile

KERNEL_CLAIMS = ("fig3-variety", "fig3-gpu-specialisation")  # what the page quotes beside the kernels


@dataclass(frozen=True)
class Figure:
    """`says` is caption and description in one."""

    name: str
    says: str
    svg: str

    def inline(self):  # type: ignore[no-untyped-def]
        from markupsafe import Markup

        return Markup(figures.inline(self.svg, self.says))  # drawn by us, now or by an earlier report


@dataclass(frozen=True)
class Section:
    key: str
    title: str
    words: list[str]
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    records: list[str] = field(default_factory=list)

    def says(self, note: str) -> bool:
        """Does one of its tables carry the profile's note already?"""
        return any(note in table.caption for table in self.tables)


def sections(profile: Profile) -> list[Section]:
    return [
        _about(profile),
        _score(profile),
        _trainings(profile),
        _errors(profile),
        _ablations(profile),
        _kernels(profile),
        _arithmetic(),
        _conv1(),
        _pictures(profile),
        _departures(profile),
        _errata(profile), _claims(profile),
        _provenance(profile),
    ]


def _about(profile: Profile) -> Section:
    settings = profile.settings
    return Section(
        "about",
        "What this is",
        [
            ("In 2012 Krizhevsky, Sutskever and Hinton described a convolutional network that names what photographs show; it "
            "is now called AlexNet. This suite rebuilds it from the paper's text, trains it and variants that lack one "
            "ingredient each, and holds the paper's statements against what can be derived or measured."),
            (f"This page is of the profile {profile.name}: {len(settings.trainings)} trainings on the pictures "
            f"{settings.source.name!r}, at {settings.recipe.crop} pixels a side. Everything on it was made by `{profile.repro}` "
            "and comes from the files named under each part; nothing was typed in."),
            ("An error is the share of validation pictures that a network got wrong: top-1 if the right class was not its "
            "first answer, top-5 if it was not among its first five. A training is one network trained once from one seed; "
            "trainings that differ in nothing but the seed form a group, and n is how many there are."),
        ],
        records=[str(profile.params_file.relative_to(profile.root))],
    )


def _score(profile: Profile) -> Section:
    return Section(
        "score",
        "The score",
        [
            ("Each statement of the paper is judged by one rule. What was merely built as the paper states it is no evidence "
            "and is counted apart; what was not run counts for nothing.")
        ],
        [build("score", profile=profile)],
        records=["replicate/paper/claims.yaml", f"reports/{profile.name}/results.json"],
    )


def _trainings(profile: Profile) -> Section:
    return Section(
        "trainings",
        "What was run",
        ["Each row is one training, with the machine and the commit of the code that it ran on."],
        [build("trainings", profile=profile)],
        records=[f"reports/{profile.name}/records/TRAINING.json"],
    )


def _errors(profile: Profile) -> Section:
    found = data.results(profile)
    logs = {name: {t: _log(profile, t) for t in group.trainings} for name, group in found.groups.items()}
    classes = {group.classes for group in found.groups.values()}
    guessing = chance(classes.pop(), 1) if len(classes) == 1 else None
    grey = f"grey: the trainings of {found.baseline}"
    return Section(
        "errors",
        "Errors",
        [
            ("One view is the centre of the picture; ten views are its corners and centre and their mirror images, whose "
            "answers are averaged. An ensemble averages the answers of a group's trainings.")
        ],
        [build("errors", profile=profile)],
        [
            Figure(
                "error-curves",
                f"Top-1 error on the training pictures held out, after each epoch (%), one panel a group; {grey}.",
                figures.draw("error-curves", figures.curves, logs, found.baseline, "held_out_error",
                             "held-out error (%)", guessing),
            ),
            Figure(
                "loss-curves",
                f"Training loss in each epoch (nats a picture), one panel a group; {grey}.",
                figures.draw("loss-curves", figures.curves, logs, found.baseline, "train_loss", "training loss (nats)", None),
            ),
        ],
        [f"reports/{profile.name}/results.json", f"reports/{profile.name}/logs/*.csv"],
    )  # fmt: skip


def _log(profile: Profile, training: str) -> Log:
    path = profile.log(training)
    if not path.is_file():
        raise data.missing(profile, f"log of {training!r}")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in ("epoch", "train_loss", "held_out_error")}


def _ablations(profile: Profile) -> Section:
    found = data.results(profile)
    points = []
    for name, group in sorted(found.groups.items(), key=lambda item: item[0] != found.baseline):
        error = group.errors["ten.top1"]
        difference = group.differences.get("ten.top1")
        points.append(Point(name, error.values, error.mean, error.low, error.high, difference.mean if difference else None))
    guessing = chance(found.groups[found.baseline].classes, 1)
    return Section(
        "ablations",
        "What each ingredient is worth",
        [
            ("Each group differs from the baseline in the one thing that its row names. With one training on a side there is "
            "no interval: chance alone (other initial weights, another order of pictures) moves the error too.")
        ],
        [build("ablations", profile=profile), *([build("precision", profile=profile)] if departing(profile.settings) else [])],
        [
            Figure(
                "ablations",
                f"Top-1 error with ten views (%) of every group. Grey band: 95 % interval of {found.baseline}; ticks: single "
                "trainings; hollow: one training only, no interval.",
                figures.draw("ablations", figures.ablations, points, guessing),
            )
        ],
        [f"reports/{profile.name}/results.json", "replicate/paper/claims.yaml"],
    )


def _kernels(profile: Profile) -> Section:
    """Of the baseline's first training; git keeps the figure, not the predictions that it is drawn from."""
    group = (found := data.results(profile)).groups[found.baseline]
    path, drawn = profile.predictions(group.trainings[0]), profile.reports / "figures" / "kernels.svg"
    title = "What the first layer learned"
    missing = f"the predictions of {group.trainings[0]} are not here; `{profile.repro}` makes them."
    scale = "Mid-grey is a weight of zero; each kernel is scaled to its own largest weight."
    words = [
        ("The kernels of the first convolution as little colour pictures, arranged as in the paper's Figure 3: one tower "
        "above the other. Nothing was counted in them; look for yourself."),
        *(f"The paper: {claim.says}" for claim in claims().values() if claim.id in KERNEL_CLAIMS),
    ]  # fmt: skip
    if path.is_file():
        shape, svg = _draw_kernels(path, load(group.network).towers)
        figure = Figure("kernels", f"{shape[0]} kernels of {shape[2]}×{shape[3]}×3 of {group.trainings[0]}. {scale}", svg)
    elif drawn.is_file():
        path = drawn
        words.append(f"This figure was drawn by an earlier report and is shown again as it was: {missing}")
        figure = Figure("kernels", f"Kernels of the first convolution. {scale}", drawn.read_text(encoding="utf-8"))
    else:
        return Section("kernels", title, [f"Not shown: {missing}"])
    return Section("kernels", title, words, figures=[figure], records=[str(path.relative_to(profile.root))])


def _draw_kernels(predictions: Path, towers: int) -> tuple[tuple[int, ...], str]:
    import numpy as np

    with np.load(predictions, allow_pickle=False) as arrays:
        weights = arrays["conv1"]
    return weights.shape, figures.draw("kernels", figures.kernels, weights, towers)


def _arithmetic() -> Section:
    network = load("paper")
    rows = [row for row in count(network) if row.learned]
    sums = totals(rows)
    shares = [(row.name, 100 * row.parameters / sums.parameters, 100 * row.macs / sums.macs) for row in rows]
    return Section(
        "arithmetic",
        "The paper's network, counted",
        [
            ("These numbers follow from the description of the network alone: no training, no measurement, the same on every "
            "machine. A multiply-accumulate (MAC) is one multiplication and one addition.")
        ],
        [build("params", network="paper"), build("flops", network="paper"), build("shapes", network="paper")],
        [
            Figure(
                "layers",
                "Where the parameters live and where the compute lives: share of each layer in the whole network (%).",
                figures.draw("layers", figures.layers, shares),
            )
        ],
        ["replicate/networks/paper.yaml"],
    )


def _conv1() -> Section:
    claim = next(c for c in claims().values() if c.measure_name == "map_side")
    words = [f"The paper: {claim.says}", f"How that is derived: {claim.derivation}." if claim.derivation else ""]
    return Section(
        "conv1",
        "224 or 227",
        [*filter(None, words), f"What the 2012 code shows: {claim.code_2012}" if claim.code_2012 else ""],
        [build("arithmetic")],
        records=["replicate/paper/conv1_readings.yaml", "replicate/paper/claims.yaml"],
    )


def _pictures(profile: Profile) -> Section:
    return Section(
        "pictures",
        "The pictures",
        ["Every picture was resized so that its shorter side fits, and cut to a square from its middle (section 2)."],
        [build("data", profile=profile), build("pca", profile=profile)],
        _noise(profile),
        [f"reports/{profile.name}/records/store.json", f"reports/{profile.name}/records/pca.json"],
    )


def _noise(profile: Profile) -> list[Figure]:
    noise, found = profile.settings.recipe.colour_noise, pca_record(profile)
    if noise.reading != "sqrt":
        return []
    vectors = [[row[index] for row in found.eigenvectors] for index in range(len(found.eigenvalues))]
    return [
        Figure(
            "colour-noise",
            f"What the colour noise of the recipe does to a mid-grey pixel: α·√λ along each axis, α of s.d. {noise.std:g}.",
            figures.draw("colour-noise", figures.colour_noise, found.standard_deviations, vectors, noise.std),
        )
    ]


def _departures(profile: Profile) -> Section:
    return Section(
        "departures",
        "What differs from the paper",
        ["Every setting of this profile that is not the paper's."],
        [build("departures", profile=profile)],
        records=[str(profile.params_file.relative_to(profile.root))],
    )


def _claims(profile: Profile) -> Section:
    return Section(
        "claims",
        "Every statement, judged",
        ["Said is what the paper says, measured what was derived or measured here."],
        [build("claims", profile=profile)],
        records=["replicate/paper/claims.yaml", f"reports/{profile.name}/results.json"],
    )


def _errata(profile: Profile) -> Section:
    return Section(
        "errata",
        "What is off in the paper",
        ["Statements that the paper's own definitions contradict, that the public record contradicts, or that the 2012 code parts from."],
        [build("errata", profile=profile)],
        records=["replicate/paper/claims.yaml"],
    )


def _provenance(profile: Profile) -> Section:
    return Section(
        "provenance",
        "Where every number comes from",
        [
            ("A record is a small file with one measurement, and with what is needed to make it again: the command, the seed, "
            "the commit of the code and the identity of the pictures.")
        ],
        [build("provenance", profile=profile)],
        records=[f"reports/{profile.name}/records/*.json"],
    )
