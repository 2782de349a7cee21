"""The rule, case by case, on made-up results."""

import pytest

from replicate import settings
from replicate.evidence.departures import departures
from replicate.evidence.results import VERDICTS
from replicate.evidence.verdicts import judge
from replicate.paper import claims
from replicate.settings import Profile, load_from
from tests.conftest import ROOT

BASE, LRN, CROPS = ("base", "paper"), ("base", "no-lrn"), ("no-crops", "paper")
OF_BASE = {"ten.top1": [40.6, 40.7, 40.8], "ten.top5": [18.1, 18.2, 18.3], "centre.top1": [42.4, 42.6, 42.5], "centre.top5": [19.6, 19.8, 19.7]}  # fmt: skip


def worse(top1: float, top5: float, seeds: int = 3, spread: float = 0.1) -> dict:
    """The base's errors with so many points more."""
    steps = [spread * (i - (seeds - 1) / 2) for i in range(seeds)]
    return {"ten.top1": [40.7 + top1 + s for s in steps], "ten.top5": [18.2 + top5 + s for s in steps]}


@pytest.fixture
def verdict(settings_on, results_of, profiles):
    def judged(claim: str, source: str, errors: dict | None, classes: int = 1000, pictures: int = 50000, **recipe):
        results = results_of(source, errors, classes, pictures) if errors else None
        found = judge(settings_on(source, **recipe), "made-up", results, profiles)
        return next(one for one in found if one.id == claim)

    return judged


# claim, source, errors -> verdict, part of the reason
TABLE = [
    # a difference at full scale: the interval against the tolerance
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(1.4, 1.2)}, "agrees", "inside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(4.0, 3.0)}, "differs", "outside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(1.4, 3.0)}, "differs", "outside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(-1.4, -1.2)}, "differs", "outside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(2.0, 1.2)}, "undecided", "edge"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(1.4, 1.2, seeds=2)}, "undecided", "2 seeds against 3"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(1.4, 1.2, spread=3)}, "undecided", "covers zero"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE}, "not run", "trains no"),
    ("lrn-gain", "ilsvrc2012", None, "not run", "run `dvc repro pipelines/imagenet/dvc.yaml`"),
    # a sign, a range, a bound
    ("pool-gain", "ilsvrc2012", {BASE: OF_BASE, ("base", "non-overlapping"): worse(0.4, 0.3)}, "agrees", "inside"),
    ("middle-layer-conv3", "ilsvrc2012", {BASE: OF_BASE, ("base", "no-conv3"): worse(2, 2)}, "agrees", "inside"),
    ("middle-layer-conv3", "ilsvrc2012", {BASE: OF_BASE, ("base", "no-conv3"): worse(6, 2)}, "differs", "outside"),
    ("colour-gain", "ilsvrc2012", {BASE: OF_BASE, ("no-colour-noise", "paper"): worse(1.6, 1)}, "agrees", "inside"),
    ("colour-gain", "ilsvrc2012", {BASE: OF_BASE, ("no-colour-noise", "paper"): worse(0.5, 1)}, "differs", "outside"),
    # an error rate
    ("table2-1cnn", "ilsvrc2012", {BASE: OF_BASE}, "agrees", "inside"),
    ("table2-1cnn", "ilsvrc2012", {BASE: worse(5, 5)}, "differs", "outside"),
    ("table2-1cnn", "ilsvrc2012", {BASE: worse(0, 0, spread=0)}, "undecided", "do not differ"),
    ("test-error-2010", "ilsvrc2012", {BASE: OF_BASE}, "not run", "needs ilsvrc2010"),
    # a smaller source: the direction only, and only where the claim allows it
    ("lrn-gain", "imagenette-256q60", {BASE: OF_BASE, LRN: worse(9, -9)}, "same direction at smaller scale", "size"),
    ("lrn-gain", "imagenette-256q60", {BASE: OF_BASE, LRN: worse(-2, 1)}, "opposite direction", "size"),
    ("lrn-gain", "imagenette-256q60", {BASE: OF_BASE, LRN: worse(0.05, 1)}, "undecided", "covers zero"),
    ("lrn-gain", "imagenette-256q60", {BASE: OF_BASE, LRN: worse(9, 9, seeds=1)}, "undecided", "1 seed against 3"),
    ("ten-views-gain", "imagenette-256q60", {BASE: OF_BASE}, "same direction at smaller scale", "size"),
    ("pool-gain", "imagenette-256q60", {BASE: OF_BASE, ("base", "non-overlapping"): worse(5, 5)}, "not run", "needs ilsvrc2012"),
    ("table2-1cnn", "imagenette-256q60", {BASE: OF_BASE}, "not run", "needs ilsvrc2012"),
    # a net that saw centre views only is judged on the centre view, however it fares on ten
    ("without-crops-overfits", "imagenette-256q60", {BASE: OF_BASE, CROPS: worse(-5, -5) | {"centre.top1": [50.1, 50.2, 50.3]}}, "same direction at smaller scale", "size"),
    ("without-crops-overfits", "imagenette-256q60", {BASE: OF_BASE, CROPS: worse(5, 5) | {"centre.top1": [30.1, 30.2, 30.3]}}, "opposite direction", "size"),
    # drawn pictures never decide about a number
    ("lrn-gain", "drawn", {BASE: OF_BASE, LRN: worse(1.4, 1.2)}, "not run", "drawn pictures"),
    ("table2-1cnn", "drawn", {BASE: OF_BASE}, "not run", "drawn pictures"),
    ("ten-views-gain", "drawn", {BASE: OF_BASE}, "not run", "drawn pictures"),
    # the rest
    ("fig2-neurons-1", "drawn", None, "paper is off", "kernels"),
    ("parameters-60m", "drawn", None, "agrees", "added up"),
    ("mnist-0.3", "drawn", None, "cited", "others"),
    ("train-time-5-6-days", "ilsvrc2012", {BASE: OF_BASE}, "cannot be checked", "gone"),
    ("lrn-cifar", "ilsvrc2012", {BASE: OF_BASE}, "not run", "needs cifar10"),
    ("momentum", "ilsvrc2012", None, "built as stated", "no evidence"),
    ("classes-1000", "ilsvrc2012", None, "not run", "known once"),
    ("colour-pca-formula", "ilsvrc2012", None, "not run", "departs: sqrt"),
    ("relu-every-layer", "ilsvrc2012", None, "not run", "softmax"),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "source", "errors", "expected", "reason"), TABLE, ids=lambda v: str(v)[:24])
def test_the_rule(verdict, claim, source, errors, expected, reason):
    found = verdict(claim, source, errors)
    assert found.verdict == expected, found
    assert reason in found.reason


def test_a_number_is_printed_with_interval_unit_and_seeds(verdict):
    found = verdict("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(1.4, 1.2)})
    assert found.said == "top-1 1.4, top-5 1.2 points"
    assert found.measured.startswith("top-1 1.40 points (") and found.measured.endswith("3 seeds against 3")
    assert found.n == 3
    low, high = found.values["top1"]["low"], found.values["top1"]["high"]
    assert low < 1.4 < high


def test_the_sign_of_the_views_is_centre_less_ten(verdict):
    turned = {f"{'ten' if key.startswith('centre') else 'centre'}.{key.split('.')[1]}": v for key, v in OF_BASE.items()}
    assert verdict("ten-views-gain", "imagenette-256q60", {BASE: turned}).verdict == "opposite direction"


def test_other_settings_on_the_papers_data_decide_nothing(verdict):
    errors = {BASE: OF_BASE, LRN: worse(1.4, 1.2)}
    found = verdict("lrn-gain", "ilsvrc2012", errors, batch_size=256)
    assert found.verdict == "undecided" and "batch-size" in found.reason and "size says nothing" in found.reason
    assert found.measured.startswith("top-1 1.40 points")
    found = verdict("table2-1cnn", "ilsvrc2012", errors, batch_size=256)
    assert found.verdict == "not run" and "departs" in found.reason


def test_a_part_of_the_classes_is_not_the_papers_data(verdict):
    assert verdict("table2-1cnn", "ilsvrc2012", {BASE: OF_BASE}, classes=10).verdict == "not run"


def test_a_setting_that_the_profile_leaves_is_not_run(verdict):
    found = verdict("batch-size", "ilsvrc2012", None, batch_size=32)
    assert found.verdict == "not run"
    assert found.reason == "this profile departs: 32 pictures; needs the paper's setting, run `dvc repro`"  # made-up demo
    assert verdict("batch-size", "ilsvrc2012", None).verdict == "built as stated"


def test_a_setting_is_advised_only_where_a_profile_has_it(settings_on, profiles):
    profiles["demo"] = Profile("demo", ROOT, settings_on("drawn", batch_size=32))
    own = settings_on("drawn", batch_size=32, momentum=0.8)
    found = {one.id: one.reason for one in judge(own, "demo", None, profiles)}
    assert found["batch-size"].endswith("needs the paper's setting, run `dvc repro pipelines/imagenette/dvc.yaml`")
    assert found["momentum"].endswith("needs the paper's setting, run `dvc repro`")
    assert found["pictures-of-ilsvrc"].endswith("needs the paper's setting")  # no pipeline is on those of 2010
    alone = {one.id: one.reason for one in judge(own, "demo", None, {})}
    assert alone["batch-size"] == "this profile departs: 32 pictures; needs the paper's setting"


def test_counted_pictures(verdict):
    assert verdict("val-50k", "ilsvrc2012", {BASE: OF_BASE}).verdict == "agrees"
    assert verdict("val-50k", "ilsvrc2012", {BASE: OF_BASE}, pictures=49999).verdict == "differs"
    assert verdict("val-50k", "imagenette-256q60", {BASE: OF_BASE}).verdict == "not run"


def test_a_bare_clone_judges_the_arithmetic_and_runs_nothing(settings_on, profiles):
    for source in ("drawn", "imagenette-256q60", "ilsvrc2012"):
        found = {one.id: one for one in judge(settings_on(source), "made-up", None, profiles)}
        assert list(found) == list(claims())
        for name, claim in claims().items():
            one = found[name]
            assert one.verdict in VERDICTS
            assert (one.verdict in ("agrees", "paper is off")) == (claim.kind == "arithmetic"), name
            if one.verdict == "not run":
                assert not one.measured and any(word in one.reason for word in ("needs", "departs", "known once")), name
            else:
                assert one.verdict in ("agrees", "paper is off", "built as stated", "cited", "cannot be checked")


def test_a_command_is_advised_only_where_it_gives_what_is_needed(settings_on, profiles):
    found = {one.id: one for one in judge(settings_on("drawn"), "demo", None, profiles)}
    assert "run `dvc repro pipelines/imagenet/dvc.yaml`" in found["lrn-gain"].reason
    assert "run `dvc repro pipelines/imagenette/dvc.yaml`" in found["ten-views-gain"].reason
    assert "run `dvc" not in found["test-error-2010"].reason  # no pipeline reads ilsvrc2010
    assert "run `dvc" not in found["gpu-gain"].reason and "trainings of" in found["gpu-gain"].reason
    alone = {one.id: one for one in judge(settings_on("drawn"), "demo", None, {})}
    assert not any("run `dvc" in one.reason for one in alone.values())


def test_departures_of_the_papers_own_settings_are_those_left_knowingly(settings_on):
    found = departures(settings_on("ilsvrc2012"))
    assert {one.claim for one in found} == {"relu-every-layer", "colour-pca-formula", "pictures-of-ilsvrc"}
    assert all(one.why for one in found)


def test_every_departure_of_the_pipeline_imagenet_has_its_reason():
    found = departures(load_from(ROOT, "imagenet").settings)
    assert found and all(one.why for one in found), [one.claim for one in found if not one.why]


@pytest.mark.parametrize("profile", settings.profiles(ROOT))
def test_the_pictures_of_every_profile_are_among_its_departures(profile):
    own = load_from(ROOT, profile).settings
    row = next(one for one in departures(own) if one.claim == "pictures-of-ilsvrc")
    assert row.here == own.source.name and row.why


def test_every_departure_is_a_row(settings_on):
    schedule = {"rule": "fixed", "drop_after": [2], "epochs": 4}
    left = {"crop": 96, "batch_size": 32, "momentum": 0.8, "weight_decay": 0.001, "learning_rate": 0.02, "rate_divisor": 5,
            "reflections": False, "colour_noise": {"reading": "none", "std": 0.1}, "schedule": schedule}  # fmt: skip
    rows = {one.claim: one for one in departures(settings_on("ilsvrc2012", **left), classes=10)}
    expected = {"input-224", "batch-size", "momentum", "weight-decay", "learning-rate", "rate-divisor", "random-crops",
                "colour-pca-formula", "colour-std", "rate-rule", "rate-drops", "epochs-90", "classes-1000", "relu-every-layer",
                "pictures-of-ilsvrc"}  # fmt: skip
    assert set(rows) == expected
    assert (rows["batch-size"].paper, rows["batch-size"].here) == ("128 pictures", "32 pictures")
    assert (rows["random-crops"].paper, rows["random-crops"].here) == ("reflections yes", "reflections no")


def test_a_narrower_network_departs_layer_by_layer(settings_on):
    settings = settings_on("drawn")
    trainings = {
        name: t.model_copy(update={"network": "demo"}) for name, t in settings.trainings.items() if name.startswith("base")
    }
    rows = {one.claim for one in departures(settings.model_copy(update={"trainings": trainings}))}
    assert {f"conv{n}-shape" for n in range(1, 6)} | {"fc-hidden", "init-gaussian-0.01", "classes-1000"} <= rows
