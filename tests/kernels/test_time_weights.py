from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec import _core
from support import twins

KINDS = ["linear", "exponential", "power"]


def one_user(timestamps, kind="linear", w_min=0.1, w_max=1.0, half_life=2.0, clock=False):
    times = np.asarray(timestamps, np.float64)
    return _core.time_weights(np.array([0, len(times)]), times, kind, w_min, w_max, half_life, clock=clock)


times = st.lists(st.integers(0, 6) | st.floats(-1e9, 1e9), max_size=12)


@given(st.lists(times, max_size=6), st.sampled_from(KINDS), st.floats(0.1, 50), st.booleans())
def test_same_as_the_twin(users: list[list[float]], kind: str, half_life: float, clock: bool) -> None:
    indptr = np.cumsum([0, *map(len, users)])
    timestamps = np.array([time for user in users for time in user], np.float64)
    weights = _core.time_weights(indptr, timestamps, kind, 0.25, 0.75, half_life, clock=clock)
    expected = twins.time_weights(indptr, timestamps, kind, 0.25, 0.75, half_life, clock)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, atol=1e-6)


@given(times, st.sampled_from(KINDS), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_storage_does_not_matter(stamps, kind, clock, random) -> None:
    order = list(range(len(stamps)))
    random.shuffle(order)
    shuffled = one_user([stamps[i] for i in order], kind, clock=clock)
    np.testing.assert_array_equal(shuffled, one_user(stamps, kind, clock=clock)[order])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 17, 1000])
def test_linear_weights_are_linspace(n: int) -> None:
    stamps = np.arange(n) ** 2.0
    order = np.random.default_rng(n).permutation(n)
    expected = np.linspace(0.1, 1.0, n).astype(np.float32)
    np.testing.assert_array_equal(one_user(stamps), expected)
    np.testing.assert_array_equal(one_user(stamps[order]), expected[order])


def test_closed_forms() -> None:
    rank = [30, 10, 20]
    np.testing.assert_allclose(one_user(rank, "exponential", half_life=1), [1, 0.1 + 0.9 / 4, 0.1 + 0.9 / 2])
    np.testing.assert_allclose(one_user(rank, "power", half_life=1), [1, 0.1 + 0.9 / 3, 0.1 + 0.9 / 2])
    clock = [0, 9, 10]
    np.testing.assert_allclose(one_user(clock, "linear", clock=True), [0.1, 0.91, 1])
    np.testing.assert_allclose(one_user(clock, "exponential", half_life=5, clock=True)[[0, 2]], [0.325, 1])
    np.testing.assert_allclose(one_user(clock, "power", half_life=10, clock=True)[[0, 2]], [0.55, 1])
    np.testing.assert_array_equal(one_user([4, 4], "linear", clock=True), [1, 1])


@pytest.mark.parametrize("clock", [False, True])
def test_a_lone_interaction(clock: bool) -> None:
    assert one_user([5], "linear", clock=clock) == np.float32(0.1)
    assert one_user([5], "exponential", clock=clock) == one_user([5], "power", clock=clock) == 1


def test_no_users_and_empty_users() -> None:
    for indptr in ([0], [0, 0, 0]):
        weights = _core.time_weights(np.array(indptr), np.empty(0), "linear", 0.1, 1, 1)
        assert weights.shape == (0,)


def test_authors_numbers(golden: Path) -> None:
    for name, expected in np.load(golden / "time_weights.npz").items():
        np.testing.assert_allclose(one_user(np.arange(len(expected))), expected, rtol=1e-7, err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "quadratic"}, '`kind` is "quadratic", expected "linear", "exponential" or "power"'),
        ({"w_min": -0.1}, r"`w_min` is -0.1, expected a number in \[0, w_max\]"),
        ({"w_min": 2.0}, "`w_min` is 2"),
        ({"w_min": np.nan}, "`w_min` is NaN"),
        ({"w_max": np.inf}, "`w_max` is inf"),
        ({"w_max": np.nan}, "`w_max` is NaN"),
        ({"half_life": 0.0}, "`half_life` is 0, expected a positive finite number"),
        ({"half_life": -1.0}, "`half_life` is -1"),
        ({"half_life": np.inf}, "`half_life` is inf"),
        ({"half_life": np.nan}, "`half_life` is NaN"),
        ({"timestamps": [1, np.nan]}, r"`timestamps\[1\]` is NaN"),
        ({"timestamps": [np.inf, 1]}, r"`timestamps\[0\]` is inf"),
    ],
)
def test_each_broken_promise_is_named(change, message) -> None:
    arguments = {"timestamps": [1, 2], "kind": "power"} | change
    with pytest.raises(ValueError, match=message):
        one_user(**arguments)


def test_linear_weights_need_no_half_life() -> None:
    np.testing.assert_array_equal(one_user([1, 2], half_life=np.nan), np.float32([0.1, 1]))


@pytest.mark.parametrize("indptr", [[], [1, 2], [0, 1], [0, 3], [0, 2, 1, 2], [0, -1, 2]])
def test_a_bad_row_pointer_is_named(indptr: list[int]) -> None:
    with pytest.raises(ValueError, match="`indptr`"):
        _core.time_weights(np.array(indptr, np.int64), np.arange(2.0), "linear", 0.1, 1, 1)


def test_many_users_weigh_the_same_together_and_alone() -> None:
    rng = np.random.default_rng(0)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 30, 3000))])
    stamps = rng.integers(0, 20, indptr[-1]).astype(np.float64)
    together = _core.time_weights(indptr, stamps, "exponential", 0.1, 1, 3)
    expected = twins.time_weights(indptr, stamps, "exponential", 0.1, 1, 3)
    np.testing.assert_allclose(together, expected, atol=1e-6)
    for user in range(0, 3000, 97):
        rows = slice(indptr[user], indptr[user + 1])
        np.testing.assert_array_equal(together[rows], one_user(stamps[rows], "exponential", half_life=3))
