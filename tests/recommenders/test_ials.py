"""iALS against its normal equations and the implicit library, and its figures on real data."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from diffrec import IALS, Interactions, Split
from diffrec.recommenders.rivals.ials import IALSSettings, alternate
from support.rivals import assert_same_scores, counts, implicit_library, recommended_scores

MATRIX = counts(users=150, items=90, density=0.1)
USERS, ITEMS = MATRIX.shape


def solve(c: np.ndarray, y: np.ndarray, l2: float) -> np.ndarray:
    """A half-step by the normal equations: c are confidences, 0 for what is not there."""
    rows = []
    for row in c.astype(np.float64):
        weight = np.where(row > 0, row, 1.0)
        rows.append(np.linalg.solve((y.T * weight) @ y + l2 * np.eye(y.shape[1]), y.T @ row))
    return np.stack(rows)


@pytest.mark.parametrize("alpha", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("factors", [3, 16, 70])
def test_is_alternating_least_squares(factors: int, alpha: float) -> None:
    model = IALS(factors=factors, alpha=alpha, l2=2.0, iterations=4, solver="cholesky").fit(MATRIX)
    c = alpha * MATRIX.toarray()
    y = 0.01 * np.random.default_rng(0).random((ITEMS, factors), dtype=np.float32)
    for _ in range(4):
        y = solve(c.T, solve(c, y, 2.0), 2.0)
    np.testing.assert_allclose(model.score(), solve(c, y, 2.0) @ y.T, atol=1e-4)


def test_values_are_let_go_of_where_that_is_asked() -> None:
    ones = MATRIX.copy()
    ones.data[:] = 1
    settings = {"factors": 8, "iterations": 3}
    plain, binary = IALS(**settings).fit(ones), IALS(**settings, binarize=True).fit(MATRIX)
    np.testing.assert_array_equal(binary.score(), plain.score())
    np.testing.assert_array_equal(binary.score(MATRIX[:9]), plain.score(ones[:9]))
    assert not np.allclose(IALS(**settings).fit(MATRIX).score(), plain.score())
    item = int(binary.recommend([0], k=1, exclude_seen=False).item_rows[0, 0])
    told, expected = (model.explain(0, item) for model in (binary, plain))
    np.testing.assert_allclose(told.contributions, expected.contributions)


def test_a_dislike_keeps_its_sign_without_its_size() -> None:
    user, item = np.divmod(np.arange(60), 4)
    value = np.where(item == 3, -5.0, 2.0)

    def fitted(value: np.ndarray, *, binarize: bool) -> np.ndarray:
        data = Interactions.from_arrays(user, (user + item) % 9, value=value, negatives="dislike")
        return IALS(factors=4, binarize=binarize).fit(data).score()

    np.testing.assert_array_equal(fitted(value, binarize=True), fitted(np.sign(value), binarize=False))


@pytest.mark.parametrize(("factors", "l2", "alpha"), [(16, 10.0, 10.0), (64, 0.01, 1.0), (30, 3.0, 0.5)])
def test_scores_as_the_implicit_library_does(factors: int, l2: float, alpha: float) -> None:
    settings = {"factors": factors, "l2": l2, "alpha": alpha, "iterations": 5, "solver": "cholesky"}
    model = IALS(**settings).fit(MATRIX)
    with implicit_library() as implicit:
        rival = implicit.als.AlternatingLeastSquares(
            factors=factors, regularization=l2, alpha=alpha, iterations=5, use_cg=False, use_gpu=False
        )
        rival.item_factors = 0.01 * np.random.default_rng(0).random((ITEMS, factors), dtype=np.float32)
        rival.user_factors = np.zeros((USERS, factors), dtype=np.float32)
        rival.fit(sparse.csr_matrix(MATRIX), show_progress=False)
        # Its users' factors are those from before the last change of the items'; ours fit the items as they are.
        user_items = sparse.csr_matrix(MATRIX)
        rival.user_factors[:] = rival.recalculate_user(np.arange(USERS), user_items)
        expected = recommended_scores(rival, MATRIX)
    assert_same_scores(model, expected)
    np.testing.assert_allclose(model.user_factors(MATRIX) @ model.item_factors_.T, model.score(), atol=1e-5)


def test_conjugate_gradients_reach_the_same_minimum() -> None:
    exact = IALS(factors=8, solver="cholesky", iterations=30).fit(MATRIX)
    # The fewer the items, the worse conditioned their equations: so few are a hard case.
    for steps, error in ((3, 0.05), (10, 1e-3)):
        close = IALS(factors=8, cg_steps=steps, iterations=30).fit(MATRIX)
        assert close.training_.epochs[-1].loss == pytest.approx(exact.training_.epochs[-1].loss, rel=error)


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_the_loss_is_the_objective_and_falls(solver: str) -> None:
    settings = IALSSettings(factors=8, l2=2.0, alpha=3.0, iterations=6, solver=solver, cg_steps=6)
    y = 0.01 * np.random.default_rng(0).random((ITEMS, 8), dtype=np.float32)
    c, losses = 3.0 * MATRIX.toarray(), []
    for after, loss in alternate(MATRIX, y, settings):
        x, y = solve(c, y, 2.0), after
        weight = np.where(c > 0, c, 1.0)
        total = (weight * ((c > 0) - x @ y.T) ** 2).sum() + 2.0 * ((x**2).sum() + (y**2).sum())
        assert loss == pytest.approx(total / MATRIX.nnz, rel=1e-3)
        losses.append(loss)
    assert losses == sorted(losses, reverse=True)


def test_callbacks_hear_of_every_iteration() -> None:
    heard = []
    model = IALS(factors=4, iterations=3, callbacks=[heard.append]).fit(MATRIX)
    assert [record.epoch for record in heard] == [1, 2, 3]
    assert model.training_.epochs == heard


def test_no_items_give_no_factors() -> None:
    empty = sparse.csr_array((1, ITEMS), dtype=np.float32)
    assert np.all(IALS(factors=4).fit(MATRIX).score(empty) == 0)


@pytest.mark.long
@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_figures_on_lastfm(shared_data: Path, solver: str) -> None:
    split = Split.read(shared_data / "lastfm.npz")
    model = IALS(factors=64, l2=10, alpha=10, solver=solver, progress=False).fit(split.train)
    report = model.evaluate(split.test, seen=split.valid)
    assert report["ndcg@20"] > 0.257
    assert report["recall@20"] > 0.2625
