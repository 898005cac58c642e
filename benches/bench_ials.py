"""iALS beside the implicit library's: same start, same settings, same scores or the same quality.

    make bench ONLY=ials

Needs ``DIFFREC_DATA``. The solvers of both libraries are timed over whole fits, transposing the matrix included.
"""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from benches.beside import THREADS, Beside, Side
from diffrec import IALS, Interactions, Split

SETTINGS = {"factors": 64, "l2": 10.0, "alpha": 10.0, "iterations": 5}


def fit_diffrec(train: Interactions, solver: str) -> NDArray[np.float32]:
    return IALS(**SETTINGS, solver=solver, progress=False).fit(train).item_factors_


def fit_implicit(train: Interactions, solver: str) -> NDArray[np.float32]:
    als = pytest.importorskip("implicit.cpu.als", reason="the implicit library is not installed")
    factors, shape = SETTINGS["factors"], train.shape
    model = als.AlternatingLeastSquares(
        factors=factors,
        regularization=SETTINGS["l2"],
        alpha=SETTINGS["alpha"],
        iterations=SETTINGS["iterations"],
        use_cg=solver == "cg",
        num_threads=THREADS,
    )
    rng = np.random.default_rng(IALS().settings.seed)
    model.item_factors = 0.01 * rng.random((shape[1], factors), dtype=np.float32)
    model.user_factors = 0.01 * rng.random((shape[0], factors), dtype=np.float32)
    model.fit(sparse.csr_matrix(train.matrix), show_progress=False)
    fitted: NDArray[np.float32] = model.item_factors
    return fitted


# The implicit library asks for one BLAS thread beside its own; so do diffrec's kernels.
SIDES = {"diffrec": Side(fit_diffrec, blas_threads=1), "implicit": Side(fit_implicit, blas_threads=1)}


@pytest.mark.parametrize("library", SIDES)
@pytest.mark.parametrize("solver", ["cg", "cholesky"])
@pytest.mark.parametrize("data", ["lastfm", "gowalla"])
def test_fit(beside: Beside, splits: dict[str, Split], data: str, solver: str, library: str) -> None:
    agree = functools.partial(compare, splits[data], solver)
    beside.measure(f"iALS of {data}, {solver}", SIDES, library, splits[data].train, solver, agree=agree)


def compare(split: Split, solver: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    """Exact solutions score alike; conjugate gradients rank as well and end no further from the minimum."""
    models = []
    for items in (ours, theirs):
        model = IALS(**SETTINGS)
        model.train_ = split.train
        model._use(items)
        models.append(model)
    if solver == "cholesky":
        users = split.train.take(np.arange(500)).matrix
        scores = [model.user_factors(users) @ model.item_factors_.T for model in models]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-4)
        return
    quality = [model.evaluate(split.test, seen=split.valid)["ndcg@20"] for model in models]
    assert quality[0] > quality[1] - 0.002
    assert objective(split.train, models[0]) < 1.001 * objective(split.train, models[1])


def objective(train: Interactions, model: IALS) -> float:
    """What iALS minimises, at a model's items and the users' factors that fit them best."""
    x, y = model.user_factors(train.matrix).astype(np.float64), model.item_factors_.astype(np.float64)
    alpha, l2 = SETTINGS["alpha"], SETTINGS["l2"]
    cells = train.matrix.tocoo()
    products = np.einsum("ij,ij->i", x[cells.row], y[cells.col])
    stored = (alpha * cells.data * (1 - products) ** 2 - products**2).sum()
    return float(stored + ((x.T @ x) * (y.T @ y)).sum() + l2 * ((x**2).sum() + (y**2).sum()))
