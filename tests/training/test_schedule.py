"""When the rate drops and training ends, from held-out errors alone."""

from replicate.settings import Fixed, Plateau
from replicate.training.schedule import Stand, most_epochs, stand

PLATEAU = Plateau(rule="plateau", patience=2, threshold=0.1, drops=2, max_epochs=50)


def test_a_falling_error_keeps_the_rate():
    assert stand(PLATEAU, [90, 80, 70, 60, 50]) == Stand(0, False)


def test_a_fall_below_the_threshold_is_no_fall():
    assert stand(PLATEAU, [50, 49.95, 49.92]).drops == 1
    assert stand(PLATEAU, [50, 49.95, 49.9]).drops == 0


def test_a_fall_of_just_the_threshold_counts_whatever_the_binary_fractions_say():
    assert all(stand(PLATEAU, [tenths / 10, 99, (tenths - 1) / 10]).drops == 0 for tenths in range(10, 900))


def test_the_best_so_far_counts_not_the_last():
    assert stand(PLATEAU, [50, 60, 55]).drops == 1


def test_each_drop_starts_its_own_patience_and_then_training_ends():
    flat = [50.0] * 7
    assert [stand(PLATEAU, flat[:n]) for n in (2, 3, 5, 6, 7)] == [
        Stand(0, False), Stand(1, False), Stand(2, False), Stand(2, False), Stand(2, True),
    ]  # fmt: skip


def test_at_most_so_many_epochs():
    assert stand(PLATEAU, [100 - i for i in range(50)]) == Stand(0, True)
    assert most_epochs(PLATEAU) == 50


def test_fixed_epochs():
    fixed = Fixed(rule="fixed", drop_after=[3, 5], epochs=6)
    assert [stand(fixed, [0.0] * n) for n in (0, 2, 3, 4, 5, 6)] == [
        Stand(0, False), Stand(0, False), Stand(1, False), Stand(1, False), Stand(2, False), Stand(2, True),
    ]  # fmt: skip
