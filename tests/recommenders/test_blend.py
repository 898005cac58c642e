"""Blending: greedy, on lists of the best items, and only for gains that are more than luck."""

import numpy as np
import pytest
from scipy import sparse

import diffrec
from diffrec.data import hold_out
from diffrec.evaluation.beyond_accuracy import hits_of
from diffrec.recommenders.auto.blend import KEPT, Lists, best_blend, ndcg
from diffrec.recommenders.histories import as_interactions
from diffrec.recommenders.stack import Stack

N, ITEMS = 300, 60


def lists_of(scores: np.ndarray) -> Lists:
    order = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    ranked = np.take_along_axis(scores, order, axis=1).astype(np.float32)
    return Lists(order, ranked / scores.std(axis=1, keepdims=True).astype(np.float32))


def world(seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """What users want, and three views of it: two with noise of their own, and one of noise alone."""
    rng = np.random.default_rng(seed)
    wanted = rng.normal(size=(N, ITEMS))
    relevant = np.zeros((N, ITEMS))
    np.put_along_axis(relevant, np.argsort(-wanted, axis=1)[:, :4], 1, axis=1)
    return relevant, [
        wanted + rng.normal(size=wanted.shape),
        wanted + rng.normal(size=wanted.shape),
        rng.normal(size=wanted.shape),
    ]


def plain_ndcg(scores: np.ndarray, relevant: np.ndarray) -> float:
    found = []
    for row, wanted in zip(scores, relevant, strict=True):
        gains = [1 / np.log2(place + 2) for place in range(20)]
        top = np.argsort(-row, kind="stable")[:20]
        ideal = sum(gains[: int(min(wanted.sum(), 20))])
        found.append(sum(gain for gain, item in zip(gains, top, strict=True) if wanted[item]) / ideal)
    return float(np.mean(found))


def test_it_blends_what_errs_in_different_ways_and_leaves_noise_out() -> None:
    relevant, views = world()
    blend = best_blend([lists_of(view) for view in views], sparse.csr_array(relevant))
    assert set(blend.places) == {0, 1}
    assert sum(blend.weights) == pytest.approx(1)
    alone = [plain_ndcg(view, relevant) for view in views]
    assert alone[blend.places[0]] == max(alone)
    assert blend.value > max(alone) + 0.03
    mixed = sum(
        w * views[p] / views[p].std(axis=1, keepdims=True) for p, w in zip(blend.places, blend.weights, strict=True)
    )
    assert blend.value == pytest.approx(plain_ndcg(mixed, relevant), abs=2e-3)


def test_luck_is_no_reason() -> None:
    relevant, (one, _, noise) = world(1)
    rng = np.random.default_rng(2)
    others = [rng.normal(size=one.shape) for _ in range(3)]
    blend = best_blend([lists_of(view) for view in (one, noise, *others)], sparse.csr_array(relevant))
    assert blend.places == [0]
    assert blend.weights == [1.0]
    assert blend.value == pytest.approx(plain_ndcg(one, relevant))


def test_small_gains_are_kept_where_they_are_much_together() -> None:
    relevant, _ = world(3)
    rng = np.random.default_rng(4)
    wanted = np.argsort(np.argsort(relevant + 0.1 * rng.normal(size=relevant.shape), axis=1), axis=1) / ITEMS
    views = [wanted + 1.2 * rng.normal(size=wanted.shape) for _ in range(6)]
    blend = best_blend([lists_of(view) for view in views], sparse.csr_array(relevant))
    assert len(blend.places) == 4


def test_a_gain_that_is_sure_is_kept_whatever_may_gain_more_by_luck() -> None:
    relevant = np.zeros((N, ITEMS))
    relevant[:, 0] = 1
    best = np.tile(np.linspace(1, 0, ITEMS), (N, 1))
    best[:, 0] = best[:, 1] - 0.001  # in the second place
    alike = best.copy()
    alike[:, 0] = best[:, 2] - 0.001  # in the third alone, and in the second in a sum
    sure, risky = alike.copy(), alike.copy()
    sure[:6, 0] = 100
    risky[10:122, 0], risky[122:182, 0] = 100, -100
    assert plain_ndcg(best + risky, relevant) > plain_ndcg(best + sure, relevant) > plain_ndcg(best, relevant)
    views = [lists_of(view) for view in (best, sure, risky)]
    assert best_blend(views[:1] + views[2:], sparse.csr_array(relevant)).places == [0]
    assert best_blend(views, sparse.csr_array(relevant)).places == [0, 1]


def test_however_many_kinds_there_are_a_second_of_one_may_be_a_part() -> None:
    relevant, (one, other, _) = world()
    rng = np.random.default_rng(5)
    # Between the two stand as many kinds as there are, each a little of the first, and the second errs in its own way.
    kinds = [one + 0.3 * rng.normal(size=one.shape) for _ in range(16)]
    views = [one, *kinds, other + rng.normal(size=one.shape)]
    families = [str(place) for place in range(17)] + ["0"]
    blend = best_blend([lists_of(view) for view in views], sparse.csr_array(relevant), families)
    assert 17 in blend.places


def test_ndcg_is_that_of_reports() -> None:
    data = diffrec.datasets.synthetic(users=80, items=50, seed=2)
    learn, held = hold_out(data, 0.2, 0)
    model = diffrec.fit(learn, variant="ease")
    rows = np.flatnonzero(np.diff(held.matrix.indptr))
    lists = Lists.of(model, learn, rows, learn.matrix[rows])
    assert lists.items.shape[1] == min(KEPT, 50)
    relevant = held.matrix[rows]
    value = ndcg(hits_of(lists.items[:, :20], relevant), np.diff(relevant.indptr).astype(np.int64)).mean()
    assert value == pytest.approx(model.evaluate(held, k=20)["ndcg@20"])


def test_the_value_of_a_blend_is_that_of_its_stack() -> None:
    data = diffrec.datasets.synthetic(users=200, items=60, seed=2)
    learn, held = hold_out(data, 0.2, 0)
    parts = ["popularity", "itemknn", ("ease", {"l2": 20.0}), ("anchor", {"anchor_l2": 5.0})]
    models = [Stack(parts=[part]).fit(learn).parts_[0] for part in parts]
    rows = np.flatnonzero(np.diff(held.matrix.indptr))
    blend = best_blend([Lists.of(model, learn, rows, learn.matrix[rows]) for model in models], held.matrix[rows])
    stack = Stack(parts=[parts[place] for place in blend.places], weights=blend.weights).fit(learn)
    assert stack.evaluate(held, k=20)["ndcg@20"] == pytest.approx(blend.value, abs=1e-3)


def test_users_with_few_items_to_rank() -> None:
    items = np.array([[0, 1, -1], [2, -1, -1]], dtype=np.int32)
    scores = np.array([[2.0, 1.0, -np.inf], [1.0, -np.inf, -np.inf]], dtype=np.float32)
    other = np.array([[1, 0, -1], [2, -1, -1]], dtype=np.int32)
    relevant = sparse.csr_array(np.array([[0, 1, 0], [0, 0, 1]]))
    blend = best_blend([Lists(items, scores), Lists(other, scores)], relevant)
    assert blend.places == [1]
    assert blend.value == 1.0


def test_who_gets_no_opinion_gets_a_list_all_the_same() -> None:
    data = diffrec.datasets.synthetic(users=40, items=30, seed=3)
    ends = data.matrix.indptr.copy()
    # The last history is empty: item neighbours give all items the same score, 0.
    ends[-1] = ends[-2]
    matrix = sparse.csr_array((data.matrix.data[: ends[-1]], data.matrix.indices[: ends[-1]], ends), data.shape)
    model = diffrec.fit(matrix, variant="itemknn")
    rows = np.array([0, 39])
    lists = Lists.of(model, as_interactions(matrix, "data"), rows, sparse.csr_array(matrix)[rows])
    assert set(lists.items[1]) == set(range(30))
    assert (lists.scores[1] == 0.0).all()
    assert np.isfinite(lists.scores[0][lists.items[0] >= 0]).all()
