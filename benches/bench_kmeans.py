"""k-means beside scikit-learn's and faiss's: same points, same start centroids, 25 iterations, the same two threads.

    python -m pytest benches/bench_kmeans.py --benchmark-only

Whole calls are timed, on 40,981 x 64 standard normal numbers: without clusters to find, every iteration has work to do.
"""

import os

# Before rayon makes its pool.
os.environ.setdefault("RAYON_NUM_THREADS", "2")

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from diffrec.latent.kmeans import kmeans

THREADS = 2
ITERATIONS = 25
POINTS = np.random.default_rng(0).standard_normal((40_981, 64), dtype=np.float32)
# (what, k) -> inertia that diffrec reached.
REACHED: dict[tuple[str, int], float] = {}

pytestmark = pytest.mark.filterwarnings("ignore")


def with_diffrec(k: int, start: NDArray[np.float32] | None, iterations: int) -> NDArray[np.float32]:
    return kmeans(POINTS, k, init=start, max_iter=iterations, tol=0).centroids


def with_scikit_learn(k: int, start: NDArray[np.float32] | None, iterations: int) -> NDArray[np.float32]:
    init = "k-means++" if start is None else start
    model = KMeans(k, init=init, n_init=1, max_iter=iterations, tol=0, random_state=0).fit(POINTS)
    centroids: NDArray[np.float32] = model.cluster_centers_
    return centroids


def with_faiss(k: int, start: NDArray[np.float32] | None, iterations: int) -> NDArray[np.float32]:
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    faiss.omp_set_num_threads(THREADS)
    # Otherwise it draws a sample of the points, or complains that there are few for so many groups.
    sizes = {"min_points_per_centroid": 1, "max_points_per_centroid": len(POINTS)}
    model = faiss.Kmeans(POINTS.shape[1], k, niter=iterations, **sizes)
    model.train(POINTS, init_centroids=start)
    centroids: NDArray[np.float32] = model.centroids
    return centroids


LIBRARIES = {"diffrec": with_diffrec, "scikit-learn": with_scikit_learn, "faiss": with_faiss}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("k", [3, 100, 1000])
def test_from_the_same_start(benchmark: Any, k: int, library: str) -> None:
    benchmark.group = f"{ITERATIONS} iterations, k = {k}"
    start = np.random.default_rng(1).choice(POINTS, k, replace=False)
    compare(benchmark, "same start", library, k, start, ITERATIONS)


@pytest.mark.parametrize("library", ["diffrec", "scikit-learn"])
@pytest.mark.parametrize("k", [3, 100])
def test_from_a_start_of_its_own(benchmark: Any, k: int, library: str) -> None:
    benchmark.group = f"k-means++ and one iteration, k = {k}"
    compare(benchmark, "own start", library, k, None, 1)


def compare(
    benchmark: Any, what: str, library: str, k: int, start: NDArray[np.float32] | None, iterations: int
) -> None:
    limits = pytest.importorskip("threadpoolctl").threadpool_limits
    with limits(THREADS):
        arguments = (k, start, iterations)
        centroids = benchmark.pedantic(LIBRARIES[library], arguments, rounds=5, warmup_rounds=1)
    reached = inertia(centroids)
    if library == "diffrec":
        REACHED[what, k] = reached
    # Draws differ by chance.
    assert REACHED[what, k] <= reached * (1.001 if start is not None else 1.02)


def inertia(centroids: NDArray[np.float32]) -> float:
    """Sum of the squared distances of all points to the nearest centroid, whoever found the centroids."""
    nearest = (POINTS @ centroids.T - (centroids**2).sum(axis=1) / 2).argmax(axis=1)
    return float(((POINTS - centroids[nearest].astype(np.float64)) ** 2).sum())
