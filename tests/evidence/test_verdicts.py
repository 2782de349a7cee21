"""The rule, case by case, on made-up results."""

import pytest

from replicate import settings
from replicate.evidence.departures import departures
from replicate.evidence.measures import DERIVED
from replicate.evidence.measures_public import PUBLIC
from replicate.evidence.results import VERDICTS
from replicate.evidence.verdicts import Case, judge, judge_claim
from replicate.paper import claims
from replicate.records import Record
from replicate.settings import Fixed, Profile, load_from
from tests.conftest import ROOT
from tests.evidence.conftest import PROVENANCE

BASE, LRN, CROPS = ("base", "paper"), ("base", "no-lrn"), ("no-crops", "paper")


def printed(claim: str) -> list[float]:
    """The paper's own figures, so that made-up results can agree with them."""
    return [claims()[claim].value[key] for key in ("top1", "top5") if key in claims()[claim].value]


TOP1, TOP5 = printed("table2-1cnn")
OF_BASE = {
    "ten.top1": [TOP1 - 0.1, TOP1, TOP1 + 0.1],
    "ten.top5": [TOP5 - 0.1, TOP5, TOP5 + 0.1],
    "centre.top1": [TOP1 + 1.7, TOP1 + 1.9, TOP1 + 1.8],
    "centre.top5": [TOP5 + 1.4, TOP5 + 1.6, TOP5 + 1.5],
}
GAIN = printed("lrn-gain")


def worse(top1: float, top5: float = 1.0, seeds: int = 3, spread: float = 0.1) -> dict:
    """The base's errors with so many points more."""
    steps = [spread * (i - (seeds - 1) / 2) for i in range(seeds)]
    return {"ten.top1": [TOP1 + top1 + s for s in steps], "ten.top5": [TOP5 + top5 + s for s in steps]}


@pytest.fixture
def verdict(settings_on, results_of, profiles):
    def judged(claim: str, source: str, errors: dict | None, classes: int = 1000, pictures: int = 9000, **recipe):
        results = results_of(source, errors, classes, pictures) if errors else None
        found = judge(settings_on(source, **recipe), "made-up", results, profiles)
        return next(one for one in found if one.id == claim)

    return judged


# claim, source, errors -> verdict, part of the reason
TABLE = [
    # a difference at full scale: the interval against the tolerance
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(*GAIN)}, "agrees", "inside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(4.0, 3.0)}, "differs", "outside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(GAIN[0], 3.0)}, "differs", "outside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(-GAIN[0], -GAIN[1])}, "differs", "outside"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(GAIN[0] + 0.6, GAIN[1])}, "undecided", "edge"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(*GAIN, seeds=2)}, "undecided", "2 seeds against 3"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(*GAIN, spread=3)}, "undecided", "covers zero"),
    ("lrn-gain", "ilsvrc2012", {BASE: OF_BASE}, "not run", "trains no"),
    ("lrn-gain", "ilsvrc2012", None, "not run", "run `dvc repro pipelines/imagenet/dvc.yaml`"),
    # a sign, a range, a bound
    ("pool-gain", "ilsvrc2012", {BASE: OF_BASE, ("base", "non-overlapping"): worse(*printed("pool-gain"))}, "agrees", "inside"),
    ("middle-layer-conv3", "ilsvrc2012", {BASE: OF_BASE, ("base", "no-conv3"): worse(*printed("middle-layer-conv3"))}, "agrees", "inside"),
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
    ("lrn-gain", "drawn", {BASE: OF_BASE, LRN: worse(*GAIN)}, "not run", "drawn pictures"),
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
    ("colour-reading", "ilsvrc2012", None, "not run", "departs: sqrt"),
    ("gpu-3gb", "drawn", None, "undecided", "at least"),
    ("update-rule", "drawn", None, "built as stated", "tests/training/test_update.py"),
    ("fig1-protocol", "ilsvrc2012", None, "not run", "needs cifar10"),
    # published by others: against the paper it counts, for it it is no evidence
    ("table2-7cnn-members", "drawn", None, "differs", "results page"),
    ("second-best-2012", "drawn", None, "cited", "results page"),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "source", "errors", "expected", "reason"), TABLE, ids=lambda v: str(v)[:24])
def test_the_rule(verdict, claim, source, errors, expected, reason):
    found = verdict(claim, source, errors)
    assert found.verdict == expected, found
    assert reason in found.reason


def test_a_number_is_printed_with_interval_spread_unit_and_seeds(verdict):
    found = verdict("lrn-gain", "ilsvrc2012", {BASE: OF_BASE, LRN: worse(*GAIN)})
    assert found.said == f"top-1 {GAIN[0]}, top-5 {GAIN[1]} points"
    assert found.measured.startswith(f"top-1 {GAIN[0]:.2f} points (") and found.measured.endswith("3 seeds against 3")
    assert found.measured.count("; s.d. 0.10 and 0.10)") == 2
    assert found.n == 3
    low, high = found.values["top1"]["low"], found.values["top1"]["high"]
    assert low < GAIN[0] < high


def test_the_sign_of_the_views_is_centre_less_ten(verdict):
    turned = {f"{'ten' if key.startswith('centre') else 'centre'}.{key.split('.')[1]}": v for key, v in OF_BASE.items()}
    assert verdict("ten-views-gain", "imagenette-256q60", {BASE: turned}).verdict == "opposite direction"


def test_other_settings_on_the_papers_data_decide_nothing(verdict):
    errors = {BASE: OF_BASE, LRN: worse(*GAIN)}
    found = verdict("lrn-gain", "ilsvrc2012", errors, batch_size=256)
    assert found.verdict == "undecided" and "batch-size" in found.reason and "size says nothing" in found.reason
    assert found.measured.startswith(f"top-1 {GAIN[0]:.2f} points")
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


KIT = {"classes": 1000, "train_pictures": 1_250_000, "train_per_class": {"least": 950, "median": 1000, "mean": 1010.5, "most": 1090},
       "val_pictures": claims()["val-50k"].value, "val_per_class": {"least": 50, "median": 50, "mean": 50, "most": 50}, "test_pictures": None, "sha256": {}}  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "change", "expected", "reason"),
    [
        ("val-50k", {}, "agrees", "replicate count-devkit KIT"),
        ("val-50k", {"val_pictures": 49_999}, "differs", "replicate count-devkit KIT"),
        ("train-images-1.2m", {}, "agrees", ""),
        ("train-images-1.2m", {"classes": 999}, "differs", ""),
        ("train-images-1.2m", {"train_pictures": 1_000_000}, "differs", ""),
        ("thousand-per-class", {}, "agrees", ""),
        ("thousand-per-class", {"train_per_class": KIT["train_per_class"] | {"most": 3000}}, "differs", ""),
        ("test-150k", {}, "not run", "--test-labels"),
        ("test-150k", {"test_pictures": 149_999}, "differs", ""),
        ("test-150k", {"test_pictures": claims()["test-150k"].value}, "agrees", ""),
    ],
)
def test_the_contest_s_own_files_decide_its_size_in_every_profile(settings_on, claim, change, expected, reason):
    made = PROVENANCE.model_copy(update={"command": "replicate count-devkit KIT"})
    kit = Record(kind="devkit", profile="none", source="ilsvrc2010", values=KIT | change, provenance=made)
    found = judge_claim(claims()[claim], Case(settings_on("drawn"), "made-up", None, {}, {"devkit": kit}))
    assert found.verdict == expected and reason in found.reason, found
    without = judge_claim(claims()[claim], Case(settings_on("ilsvrc2012"), "made-up", None, {}, {}))
    assert without.verdict == "not run" and "run `replicate count-devkit" in without.reason


def test_a_gpu_s_timing_decides_what_augmentation_costs(settings_on):
    def judged(augmentation, step):
        timing = {"network": "paper", "batch_size": 1, "side": 1, "crop": 1, "augmentation_seconds": augmentation, "step_seconds": step}
        record = Record(kind="augmentation", profile="imagenet", source="random", values=timing, provenance=PROVENANCE)
        return judge_claim(claims()["augmentation-free"], Case(settings_on("drawn"), "made-up", None, {}, {"augmentation": record}))

    assert judged([0.1, 0.2], [0.3, 0.4]).verdict == "agrees"
    assert judged([0.1, 0.35], [0.3, 0.4]).verdict == "differs"  # the slowest batch, the fastest step


def test_half_of_a_release_is_for_validation(results_of, settings_on):
    says = claims()["fall2009-size"].value
    results = results_of("fall2009", {BASE: OF_BASE}, says["categories"], says["images"] // 2)
    source = settings_on("ilsvrc2012").source.model_copy(update={"name": "fall2009"})
    case = Case(settings_on("ilsvrc2012").model_copy(update={"source": source}), "made-up", results, {}, {})
    assert judge_claim(claims()["fall2009-size"], case).verdict == "agrees"


def test_a_bare_clone_judges_what_needs_no_pictures_and_runs_nothing(settings_on, profiles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there are no records
    for source in ("drawn", "imagenette-256q60", "ilsvrc2012"):
        found = {one.id: one for one in judge(settings_on(source), "made-up", None, profiles)}
        assert list(found) == list(claims())
        for name, claim in claims().items():
            one = found[name]
            assert one.verdict in VERDICTS
            derived = one.verdict in ("agrees", "paper is off", "undecided")
            assert derived == (claim.measure_name in DERIVED and claim.kind != "timing" and not claim.choice), name
            if one.verdict == "not run":
                assert not one.measured and any(word in one.reason for word in ("needs", "departs", "known once")), name
            elif one.verdict == "differs":
                assert claim.measure_name in PUBLIC
            else:
                assert derived or one.verdict in ("built as stated", "cited", "cannot be checked")


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
    assert {one.claim for one in found} == {"lrn-scope", "colour-reading", "pictures-of-ilsvrc"}
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
    left = {"crop": 96, "batch_size": 32, "momentum": 0.8, "weight_decay": 0.001, "learning_rate": 0.02, "rate_divisor": 5,
            "reflections": False, "colour_noise": {"reading": "none", "std": 0.1, "divisor": 1, "until_epoch": None}}  # fmt: skip
    own = settings_on("ilsvrc2012", **left)
    schedule = Fixed(rule="fixed", drop_after=[2], epochs=4)
    own = own.model_copy(update={"recipe": own.recipe.model_copy(update={"schedule": schedule})})
    rows = {one.claim: one for one in departures(own, classes=10)}
    expected = {"input-224", "batch-size", "momentum", "weight-decay", "learning-rate", "rate-divisor", "random-crops",
                "colour-reading", "colour-std", "rate-rule", "rate-drops", "epochs-90", "classes-1000", "lrn-scope",
                "pictures-of-ilsvrc"}  # fmt: skip
    assert set(rows) == expected
    assert (rows["batch-size"].paper, rows["batch-size"].here) == ("128 pictures", "32 pictures")
    assert (rows["random-crops"].paper, rows["random-crops"].here) == ("reflections yes", "reflections no")


@pytest.mark.parametrize(
    ("key", "value", "claim"),
    [
        ("crops_shared_by", 32, "random-crops"),
        ("decays", "weights", "weight-decay"),
        ("own_rates", [{"of": "biases", "after": 0, "rate": 0.02}], "equal-learning-rate"),
        ("colour_noise", {"reading": "literal", "std": 0.1, "divisor": 1.1, "until_epoch": None}, "colour-std"),
        ("colour_noise", {"reading": "literal", "std": 0.1, "divisor": 1, "until_epoch": 68}, "colour-std"),
    ],
)
def test_what_the_2012_code_does_otherwise_departs_from_the_text(settings_on, key, value, claim):
    before = {one.claim for one in departures(settings_on("ilsvrc2012"))}
    after = {one.claim for one in departures(settings_on("ilsvrc2012", **{key: value}))}
    assert after ^ before <= {claim, "colour-reading"} and claim in after - before


def test_a_narrower_network_departs_layer_by_layer(settings_on):
    settings = settings_on("drawn")
    trainings = {
        name: t.model_copy(update={"network": "demo"}) for name, t in settings.trainings.items() if name.startswith("base")
    }
    rows = {one.claim for one in departures(settings.model_copy(update={"trainings": trainings}))}
    assert {f"conv{n}-shape" for n in range(1, 6)} | {"fc-hidden", "init-gaussian-0.01", "classes-1000"} <= rows
