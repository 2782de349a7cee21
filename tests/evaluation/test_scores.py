import numpy as np
import pytest

from replicate.errors import UserError
from replicate.evaluation.scores import ensemble, error_rate, error_rates, read_predictions, top_k_errors


def by_taking_the_maximum_away(probabilities, labels, k):
    """The 2012 way, a picture at a time: the arg-max is removed k times."""
    wrong = []
    for row, label in zip(probabilities.copy(), labels, strict=True):
        best = []
        for _ in range(k):
            best.append(int(row.argmax()))
            row[best[-1]] = -np.inf
        wrong.append(label not in best)
    return np.array(wrong)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_ties_go_to_the_lower_class(k):
    random = np.random.default_rng(k)
    probabilities = random.integers(0, 4, (500, 9)) / 10  # full of ties
    labels = random.integers(0, 9, 500)
    wrong = top_k_errors(probabilities, labels, k)
    assert (wrong == by_taking_the_maximum_away(probabilities, labels, k)).all()
    assert wrong.any() and not wrong.all()


def test_all_equal_is_right_for_the_first_classes_only():
    wrong = top_k_errors(np.full((10, 10), 0.1), np.arange(10), 5)
    assert wrong.tolist() == [False] * 5 + [True] * 5


def test_not_a_number_is_wrong():
    assert top_k_errors(np.full((2, 10), np.nan), np.array([0, 1]), 5).all()


def test_error_rate_is_in_percent():
    probabilities = np.eye(4)[[0, 1, 2, 3]]
    assert error_rate(probabilities, np.array([0, 1, 2, 0]), 1) == 25


def test_top5_of_five_classes_means_nothing():
    assert error_rates(np.eye(5), np.arange(5)) == {"top1": 0, "top5": None}
    assert error_rates(np.eye(6), np.arange(6)) == {"top1": 0, "top5": 0}


def test_an_ensemble_is_the_mean_and_can_be_right_where_its_members_are_not():
    a = np.array([[0.5, 0.4, 0.1]])
    b = np.array([[0.1, 0.4, 0.5]])
    assert np.allclose(ensemble([a, b]), [[0.3, 0.4, 0.3]])
    assert ensemble(one for one in (a, b)).argmax() == 1
    with pytest.raises(ValueError, match="shapes"):
        ensemble([a, np.ones((2, 3))])
    with pytest.raises(ValueError, match="nothing"):
        ensemble([])


def saved(path, **changes):
    n, classes = 4, 6
    arrays = {
        "labels": np.arange(n),
        "centre": np.full((n, classes), 1 / classes, np.float32),
        "ten": np.full((n, classes), 1 / classes, np.float32),
        "names": np.array(list("abcd")),
        "classes": np.array(list("uvwxyz")),
        "conv1": np.zeros((2, 3, 5, 5), np.float32),
        "training": np.array("base-1"),
        "network": np.array("demo"),
    } | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_predictions_are_read(tmp_path):
    found = read_predictions(saved(tmp_path / "p.npz"))
    assert found.training == "base-1" and found.ten.shape == (4, 6)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"ten": None}, "ten"),
        ({"labels": np.array([0, 1, 2, 6])}, "labels"),
        ({"labels": np.array([0, 1])}, "shape"),
        ({"labels": np.array([0.0, 1, 2, 3])}, "labels"),
        ({"centre": np.full((4, 6), np.nan, np.float32)}, "centre"),
        ({"names": np.array([{}, 1, 2, 3], dtype=object)}, "not a predictions file"),
    ],
)
def test_another_format_is_one_line(tmp_path, change, fault):
    with pytest.raises(UserError, match=fault) as error:
        read_predictions(saved(tmp_path / "p.npz", **change))
    assert "\n" not in str(error.value) and "evaluate" in str(error.value)


def test_missing_and_damaged_files_are_one_line(tmp_path):
    with pytest.raises(UserError, match="no predictions"):
        read_predictions(tmp_path / "p.npz")
    whole = saved(tmp_path / "p.npz").read_bytes()
    for content in (b"", b"not a file of arrays", whole[: len(whole) // 2], whole[:200] + b"\0" * 50 + whole[250:]):
        (tmp_path / "p.npz").write_bytes(content)
        with pytest.raises(UserError, match="p.npz"):
            read_predictions(tmp_path / "p.npz")
