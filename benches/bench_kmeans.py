"""k-means beside scikit-learn's and faiss's: same points, same start centroids, 25 iterations.

    make bench ONLY=kmeans

Whole calls are timed, on 40,981 x 64 standard normal numbers: without clusters to find, every iteration has work to do.
Each gives the centroids and the group of every point by them, for which faiss is asked once more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from benches.beside import THREADS, Beside, Side
from diffrec.latent.kmeans import kmeans

ITERATIONS = 25
POINTS = np.random.default_rng(0).standard_normal((40_981, 64), dtype=np.float32)
# Centroids (k, 64) and the group of each point.
Groups = tuple[NDArray[np.float32], NDArray[np.integer[Any]]]


def with_diffrec(k: int, start: NDArray[np.float32] | None, iterations: int) -> Groups:
    found = kmeans(POINTS, k, init=start, max_iter=iterations, tol=0)
    return found.centroids, found.labels


def with_scikit_learn(k: int, start: NDArray[np.float32] | None, iterations: int) -> Groups:
    init = "k-means++" if start is None else start
    model = KMeans(k, init=init, n_init=1, max_iter=iterations, tol=0, random_state=0).fit(POINTS)
    return model.cluster_centers_, model.labels_


def with_faiss(k: int, start: NDArray[np.float32] | None, iterations: int) -> Groups:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    faiss.omp_set_num_threads(THREADS)
    # Otherwise it draws a sample of the points, or complains that there are few for so many groups.
    sizes = {"min_points_per_centroid": 1, "max_points_per_centroid": len(POINTS)}
    model = faiss.Kmeans(POINTS.shape[1], k, niter=iterations, **sizes)
    model.train(POINTS, init_centroids=start)
    _, labels = model.assign(POINTS)
    return model.centroids, labels


SIDES = {"diffrec": Side(with_diffrec), "scikit-learn": Side(with_scikit_learn), "faiss": Side(with_faiss)}


@pytest.mark.parametrize("library", SIDES)
@pytest.mark.parametrize("k", [3, 100, 1000])
def test_from_the_same_start(beside: Beside, k: int, library: str) -> None:
    start = np.random.default_rng(1).choice(POINTS, k, replace=False)
    what = f"k-means, {ITERATIONS} iterations, k = {k}"
    beside.measure(what, SIDES, library, k, start, ITERATIONS, agree=no_worse(1.001))


@pytest.mark.parametrize("library", ["diffrec", "scikit-learn"])
@pytest.mark.parametrize("k", [3, 100])
def test_from_a_start_of_its_own(beside: Beside, k: int, library: str) -> None:
    # Draws differ by chance.
    beside.measure(f"k-means++ and one iteration, k = {k}", SIDES, library, k, None, 1, agree=no_worse(1.02))


def no_worse(factor: float) -> Callable[[Groups, Groups], None]:
    """A check that our inertia is at most ``factor`` times theirs."""

    def check(ours: Groups, theirs: Groups) -> None:
        assert inertia(*ours) <= factor * inertia(*theirs)

    return check


def inertia(centroids: NDArray[np.float32], labels: NDArray[np.integer[Any]]) -> float:
    """Sum of the squared distances of all points to the centroids of their groups, whoever found them."""
    return float(((POINTS - centroids[labels].astype(np.float64)) ** 2).sum())
