"""Anchors: three ways to solve one ridge regression, against NumPy in double precision."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from diffrec._tensors import on_host
from diffrec.anchors import LinearMap, Ridge, in_steps
from diffrec.anchors.ridge import memory_of
from diffrec.data.stored import Stored
from diffrec.recommenders.rivals.ease import zero_diagonal_ridge


def some_rows(rows: int, columns: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    dense = (rng.random((rows, columns)) < 0.3) * rng.random((rows, columns)) * rng.random(columns) * 2
    return sparse.csr_array(dense.astype(np.float32))


BEFORE, AFTER = some_rows(60, 20, 0), some_rows(60, 15, 1)
NEW = some_rows(4, 20, 2)


def twin(before: Any, after: Any, strength: float, damping: float, row_damping: float) -> NDArray[np.float64]:
    a, y = before.toarray().astype(np.float64), after.toarray().astype(np.float64)
    weights = np.maximum((a != 0).sum(axis=1), 1.0)[:, None] ** -row_damping
    a, y = weights * a, weights * y
    energy = (a**2).sum(axis=0)
    scale = (energy / energy.mean()) ** -damping
    scaled = a * scale
    weight = strength * (scaled**2).sum(axis=0).mean()
    return scale[:, None] * np.linalg.solve(scaled.T @ scaled + weight * np.eye(a.shape[1]), scaled.T @ y)


def whole(scores: Any) -> NDArray[np.float32]:
    return on_host(scores.block(0, scores.shape[1]))


@pytest.mark.parametrize("after", [AFTER, BEFORE], ids=["others", "themselves"])
@pytest.mark.parametrize("damping", [0.0, 0.3])
@pytest.mark.parametrize("row_damping", [0.0, 0.5])
def test_every_way_solves_the_equations(after: Any, damping: float, row_damping: float) -> None:
    expected = NEW @ twin(BEFORE, after, 2.0, damping, row_damping)
    named = {"damping": damping, "row_damping": row_damping}
    full_rank = {"exact": 0, "rank": 20, "neighbors": 20}
    for settings in ({}, full_rank):
        solved = Ridge.of([(BEFORE, after)], **named, **settings).solve(2.0)  # type: ignore[arg-type]
        np.testing.assert_allclose(whole(solved.scores(NEW)), expected, atol=1e-5)
    few = (BEFORE[:10], after[:10])
    dual = Ridge.of([few], **named).solve(2.0)
    assert dual.direct is None
    touched = np.flatnonzero(np.asarray(BEFORE[:10].sum(axis=0)) > 0)
    expected = twin(BEFORE[:10][:, touched], after[:10], 2.0 * 20 / len(touched), 0.0, row_damping)
    if damping == 0:
        np.testing.assert_allclose(whole(dual.scores(NEW)), NEW[:, touched] @ expected, atol=1e-5)


def test_large_systems_are_solved_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, few = some_rows(300, 150, 0), some_rows(300, 90, 1), some_rows(50, 150, 2)
    pairs = [(before, after), (before, before), (few, after[:50])]
    at_once = [Ridge.of([pair], damping=0.3).solve(0.5) for pair in pairs]
    monkeypatch.setattr(in_steps, "AT_ONCE", 0)
    monkeypatch.setattr(in_steps, "_COLUMNS", 16)
    monkeypatch.setattr(in_steps, "_ROWS", 24)
    for pair, expected in zip(pairs, at_once, strict=True):
        found = Ridge.of([pair], damping=0.3).solve(0.5)
        for name in ("direct", "left"):
            one, other = getattr(found, name), getattr(expected, name)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, atol=1e-5)
    singular = sparse.csr_array(np.ones((300, 150), dtype=np.float32))
    with pytest.raises(ValueError, match="anchor_l2=1e-30 is too small"):
        Ridge.of([(singular, after)]).solve(1e-30)


def test_pieces_are_stacked() -> None:
    pieces = [(BEFORE[:25], AFTER[:25]), (BEFORE[25:], AFTER[25:])]
    for settings in ({}, {"exact": 0, "rank": 20, "neighbors": 20}):
        together = Ridge.of([(BEFORE, AFTER)], **settings).solve(1.0).scores(NEW)
        np.testing.assert_allclose(
            whole(Ridge.of(pieces, **settings).solve(1.0).scores(NEW)), whole(together), atol=1e-5
        )


def test_its_diagonal_aside_it_is_ease() -> None:
    history = sparse.csr_array((some_rows(60, 20, 3) > 0).astype(np.float32))
    strength = 5.0
    b = Ridge.of([(history, history)]).solve(strength).direct
    assert isinstance(b, np.ndarray)
    weight = strength * history.sum() / 20
    inverse_diagonal = (1 - np.diag(b)) / weight
    ease = b / weight / inverse_diagonal
    np.fill_diagonal(ease, 0)
    np.testing.assert_allclose(ease, zero_diagonal_ridge(history, weight), atol=1e-5)


def test_the_approximation_gets_better_with_rank() -> None:
    users, items = 300, 80
    rng = np.random.default_rng(0)
    tastes = rng.random((users, 5)) @ rng.random((5, items))
    history = sparse.csr_array((tastes / tastes.max() > rng.random((users, items)) * 1.5).astype(np.float32))
    exact = whole(Ridge.of([(history, history)]).solve(1.0).scores(history))
    gaps = []
    for rank in (2, 20, 80):
        close = Ridge.of([(history, history)], exact=0, rank=rank, neighbors=items).solve(1.0)
        gaps.append(np.abs(whole(close.scores(history)) - exact).mean())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-5
    kept = Ridge.of([(history, history)], exact=0, rank=5, neighbors=7).solve(1.0).direct
    assert isinstance(kept, sparse.csr_array)
    assert np.diff(kept.indptr).max() <= 7


@pytest.mark.parametrize("settings", [{}, {"exact": 0, "rank": 3, "neighbors": 4}])
@pytest.mark.parametrize("rows", [60, 10])
def test_a_map_survives_its_file(settings: dict[str, int], rows: int) -> None:
    solved = Ridge.of([(BEFORE[:rows], AFTER[:rows])], **settings).solve(1.0)
    again = LinearMap.from_state(Stored.of_state(solved.state()), BEFORE.shape[1], AFTER.shape[1])
    np.testing.assert_array_equal(whole(again.scores(NEW)), whole(solved.scores(NEW)))


def test_with_few_rows_a_map_keeps_their_targets_sparse() -> None:
    solved = Ridge.of([(BEFORE[:10], AFTER[:10])]).solve(1.0)
    assert isinstance(solved.right, sparse.csr_array)
    assert solved.right.nnz == AFTER[:10].nnz
    everything = solved.between(np.arange(20), np.arange(15))
    np.testing.assert_allclose(whole(solved.scores(NEW)), NEW @ everything, atol=1e-5)
    scores = solved.scores(NEW)
    np.testing.assert_allclose(on_host(scores.block(3, 11)), whole(scores)[:, 3:11], atol=1e-6)
    assert scores.block(3, 11).is_contiguous()


def test_singular_equations_are_refused() -> None:
    twice = sparse.csr_array(np.repeat(BEFORE.toarray(), 2, axis=1) * 1000)
    with pytest.raises(ValueError, match="anchor_l2=1e-30 is too small"):
        Ridge.of([(twice, twice)]).solve(1e-30)


@pytest.mark.long
def test_a_million_items_are_approximated_in_proportion_to_the_interactions() -> None:
    rng = np.random.default_rng(0)
    users, items, n = 50_000, 1_000_000, 2_000_000
    popular_first = np.minimum((items * rng.random(n) ** 3).astype(np.int64), items - 1)
    entries = (np.ones(n, dtype=np.float32), (rng.integers(users, size=n), popular_first))
    history = sparse.csr_array(entries, shape=(users, items))
    solved = Ridge.of([(history, history)], damping=0.25, rank=64, neighbors=50).solve(10.0)
    assert isinstance(solved.direct, sparse.csr_array)
    assert solved.direct.nnz <= 50 * items
    scores = solved.scores(history[:8]).block(0, 1000)
    assert scores.shape == (8, 1000)
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize(("rows", "columns", "exact"), [(30, 80, 60), (80, 30, 60), (80, 70, 20), (30, 80, 20)])
def test_the_memory_is_that_of_the_way_it_is_solved(rows: int, columns: int, exact: int) -> None:
    x = some_rows(rows, columns, 3)
    way = type(Ridge.of([(x, x)], exact=exact, rank=4, neighbors=5)).__name__
    sizes = {"rank": 4, "neighbors": 5}
    expected = {
        "_Dual": 4 * rows * (3 * rows + 2 * columns),
        "_Primal": 16 * columns**2,
        "_LowRank": 4 * ((4 + 32) * max(5 * columns, 3 * rows + 2 * columns) + 25 * columns),
    }
    assert memory_of(rows, columns, columns, exact=exact, **sizes) == expected[way]
