import signal
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans as Reference

from diffrec.latent.kmeans import kmeans


def lloyd(points: NDArray, init: NDArray, iterations: int) -> tuple[NDArray, NDArray, float]:
    """Lloyd's algorithm as textbooks have it, in float64; an empty group keeps its centroid."""
    points, centroids = points.astype(float), init.astype(float)
    for step in range(iterations + 1):
        distances = ((points[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)
        labels = distances.argmin(axis=1)
        if step < iterations:
            for group in np.unique(labels):
                centroids[group] = points[labels == group].mean(axis=0)
    return labels, centroids, distances.min(axis=1).sum()


def mixture(n: int, d: int, groups: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(groups, d)) * 4
    return (centers[rng.integers(groups, size=n)] + spread * rng.normal(size=(n, d))).astype(np.float32)


@pytest.mark.parametrize(("n", "d", "k"), [(300, 2, 5), (2_000, 7, 16), (5_000, 33, 3)])
@pytest.mark.parametrize("iterations", [1, 4, 30])
def test_follows_the_plain_twin(n: int, d: int, k: int, iterations: int) -> None:
    points = mixture(n, d, k, 0.5)
    init = points[:k]
    labels, centroids, inertia = lloyd(points, init, iterations)
    found = kmeans(points, k, max_iter=iterations, tol=0, init=init)
    assert (found.labels == labels).mean() > 0.999
    np.testing.assert_allclose(found.centroids, centroids, atol=1e-3)
    assert found.inertia == pytest.approx(inertia, rel=1e-6)
    assert found.iterations <= iterations


@pytest.mark.parametrize(("n", "d", "k", "spread"), [(4_000, 16, 20, 1.0), (4_000, 16, 100, 5.0), (3_000, 64, 3, 9.0)])
@pytest.mark.parametrize("max_iter", [5, 300])
def test_is_as_good_as_scikit_learn_from_the_same_start(n: int, d: int, k: int, spread: float, max_iter: int) -> None:
    points = mixture(n, d, k, spread)
    init = points[np.random.default_rng(1).choice(n, k, replace=False)]
    reference = Reference(k, init=init, n_init=1, max_iter=max_iter, tol=0).fit(points)
    found = kmeans(points, k, max_iter=max_iter, tol=0, init=init)
    assert found.inertia <= reference.inertia_ * 1.001
    assert found.inertia == pytest.approx(((points.astype(float) - found.centroids[found.labels]) ** 2).sum())


def test_starts_as_well_as_scikit_learn() -> None:
    points = mixture(3_000, 8, 30, 0.3)
    reference = [Reference(30, n_init=1, random_state=seed).fit(points).inertia_ for seed in range(10)]
    ours = [kmeans(points, 30, seed=seed).inertia for seed in range(10)]
    assert np.mean(ours) <= np.mean(reference) * 1.02
    assert kmeans(points, 30, n_init=10, seed=0).inertia <= min(ours[0], np.median(ours))


@given(
    arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 5)), elements=st.floats(-9, 9, width=32)),
    st.integers(1, 12),
    st.none() | st.floats(1, 3),
    st.integers(0, 2**64 - 1),
)
def test_what_is_returned_belongs_together(points: NDArray, k: int, balance: float | None, seed: int) -> None:
    assume(k <= len(points))
    found = kmeans(points, k, balance=balance, seed=seed, tol=0)
    sizes = np.bincount(found.labels, minlength=k)
    assert found.labels.shape == (len(points),)
    assert found.labels.dtype == np.int32
    assert found.centroids.shape == (k, points.shape[1])
    assert found.centroids.dtype == np.float32
    assert len(sizes) == k
    assert (sizes > 0).all() or len(np.unique(points, axis=0)) < k
    if balance is not None:
        assert sizes.max() <= max(balance * len(points) / k, -(-len(points) // k))
    distances = (points.astype(float) - found.centroids[found.labels]) ** 2
    assert found.inertia == pytest.approx(distances.sum(), rel=1e-5, abs=1e-9)
    again = kmeans(points, k, balance=balance, seed=seed, tol=0)
    np.testing.assert_array_equal(found.labels, again.labels)
    np.testing.assert_array_equal(found.centroids, again.centroids)


def test_balance_costs_little() -> None:
    points = mixture(2_000, 8, 10, 2.0)
    free, even = kmeans(points, 10), kmeans(points, 10, balance=1)
    assert np.bincount(even.labels).max() == 200
    assert np.bincount(free.labels).max() > 200
    assert even.inertia < 1.2 * free.inertia


def test_a_balanced_assignment_is_nearly_the_cheapest() -> None:
    points = mixture(120, 3, 4, 3.0)
    found = kmeans(points, 4, balance=1, init=points[:4], max_iter=1)
    cost = ((points[:, None].astype(float) - found.centroids[None]) ** 2).sum(axis=2)
    seats = np.repeat(cost, 30, axis=1)
    cheapest = seats[linear_sum_assignment(seats)].sum()
    assert cheapest <= found.inertia * (1 + 1e-9)
    assert found.inertia <= cheapest * 1.005


def test_other_seeds_start_elsewhere() -> None:
    points = np.random.default_rng(0).normal(size=(500, 4))
    assert len({kmeans(points, 20, seed=seed, max_iter=1).inertia for seed in range(5)}) == 5


def test_one_group_and_a_group_for_each() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3))
    one = kmeans(points, 1)
    np.testing.assert_allclose(one.centroids[0], points.mean(axis=0), rtol=1e-5, atol=1e-6)
    assert not one.labels.any()
    each = kmeans(points, 40)
    assert each.inertia == 0
    assert sorted(each.labels) == list(range(40))


def test_takes_whatever_numpy_takes() -> None:
    points = np.random.default_rng(0).normal(size=(60, 4))
    expected = kmeans(points.astype(np.float32), 3).labels
    for same in (points, points.tolist(), np.asfortranarray(points), np.repeat(points, 2, axis=0)[::2]):
        np.testing.assert_array_equal(kmeans(same, 3).labels, expected)
    assert kmeans([[True], [False], [True]], np.int64(2)).inertia == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"points": [[1.0, 2.0], [np.nan, 0.0]]}, ValueError, r"`points\[1, 0\]` is NaN"),
        ({"points": [[1.0, np.inf]], "k": 1}, ValueError, r"`points\[0, 1\]` is inf"),
        ({"points": [[1e39], [0.0]]}, ValueError, r"`points\[0, 0\]` is inf"),
        ({"points": [1.0, 2.0]}, ValueError, "points must have 2 dimensions"),
        ({"points": [["a"], ["b"]]}, TypeError, "points must be an array of real numbers"),
        ({"points": [[1j], [2j]]}, TypeError, "points must be an array of real numbers"),
        ({"points": np.zeros((0, 3))}, ValueError, "`points` has shape"),
        ({"points": np.zeros((3, 0))}, ValueError, "`points` has shape"),
        ({"k": 0}, ValueError, "k must be at least 1"),
        ({"k": -3}, ValueError, "k must be at least 1"),
        ({"k": 5}, ValueError, "`k` is 5, expected at most the number of points"),
        ({"k": 2.5}, TypeError, "k must be a whole number, got 2.5"),
        ({"n_init": 0}, ValueError, "n_init must be at least 1"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"tol": -1.0}, ValueError, "tol must be at least 0, got"),
        ({"tol": np.nan}, ValueError, "tol must be at least 0, got"),
        ({"tol": "small"}, TypeError, "tol must be a number"),
        ({"balance": 0.9}, ValueError, "balance must be at least 1, got"),
        ({"balance": np.inf}, ValueError, "balance must be at least 1, got"),
        ({"seed": -1}, ValueError, "seed must be from 0"),
        ({"seed": 2**64}, ValueError, "seed must be from 0"),
        ({"init": [[1.0, 2.0]]}, ValueError, r"`init` has shape \(1, 2\), expected \(2, 2\)"),
        ({"init": [[1.0], [2.0]]}, ValueError, r"`init` has shape \(2, 1\), expected \(2, 2\)"),
        ({"init": [[1.0, np.inf], [0, 0]]}, ValueError, r"`init\[0, 1\]` is inf"),
    ],
)
def test_refuses_what_makes_no_sense(change: dict, error: type[Exception], message: str) -> None:
    arguments = {"points": [[0.0, 1.0], [2.0, 3.0], [4.0, 4.0], [5.0, 5.0]], "k": 2} | change
    with pytest.raises(error, match=message):
        kmeans(**arguments)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX signals")
def test_an_interrupt_stops_it() -> None:
    points = np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32)
    kmeans(points[:100], 2)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        started = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            kmeans(points, 3_000, n_init=100, tol=0)
        assert time.perf_counter() - started < 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
