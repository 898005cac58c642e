"""TopFreq and TIFU-KNN against their formulas, written user by user and basket by basket."""

from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import diffrec
from diffrec import TIFUKNN, Interactions, TopFreq
from diffrec.data import Takings

USERS, ITEMS = 30, 20
DAY = 86400.0


def bought(seed: int = 0) -> tuple[Interactions, list[dict[float, set[int]]]]:
    """Baskets by user, with repeats between baskets and within them; user 7 has none, user 8 one of one item."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, float]] = []
    for user in range(USERS):
        if user in (7, 8):
            continue
        for moment in np.sort(rng.choice(200, rng.integers(1, 12), replace=False)):
            liked = rng.choice(ITEMS, rng.integers(1, 6), p=np.arange(1, ITEMS + 1) / (ITEMS * (ITEMS + 1) / 2))
            rows += [(user, int(item), float(moment) * DAY) for item in liked]
    rows.append((8, 3, 5 * DAY))
    user, item, times = map(np.array, zip(*rng.permutation(rows).tolist(), strict=True))
    baskets: list[dict[float, set[int]]] = [defaultdict(set) for _ in range(USERS)]
    for u, i, t in rows:
        baskets[u][t].add(i)
    data = Interactions.from_arrays(
        user.astype(int), item.astype(int), timestamp=times, users=np.arange(USERS), items=np.arange(ITEMS)
    )
    return data, baskets


DATA, BASKETS = bought()


@pytest.mark.parametrize("half_life", [None, 2.0, timedelta(days=30)])
@pytest.mark.parametrize("popularity", [0.0, 0.1, 3.0])
def test_top_frequency_is_its_formula(half_life: float | timedelta | None, popularity: float) -> None:
    owners = Counter(item for own in BASKETS for item in set().union(*own.values()))
    expected = np.array([[owners[item] / USERS for item in range(ITEMS)] for _ in range(USERS)])
    for user, own in enumerate(BASKETS):
        moments = sorted(own)
        for item in set().union(*own.values()):
            frequency = 0.0
            for moment in (moment for moment in moments if item in own[moment]):
                if half_life is None:
                    frequency += 1
                elif isinstance(half_life, timedelta):
                    frequency += 2 ** (-(moments[-1] - moment) / half_life.total_seconds())
                else:
                    frequency += 2 ** (-(len(moments) - 1 - moments.index(moment)) / half_life)
            expected[user, item] = 1 + frequency + popularity * owners[item] / USERS
    model = TopFreq(half_life=half_life, popularity=popularity).fit(DATA)
    np.testing.assert_allclose(model.score(), expected, rtol=1e-5)
    # What the user never had comes after all that it had.
    top = model.recommend(k=ITEMS, exclude_seen=False)
    for user, own in enumerate(BASKETS):
        had = set().union(*own.values())
        assert set(top.items[user, : len(had)].tolist()) == had


def user_vector(own: dict[float, set[int]], m: int, r_b: float, r_g: float) -> NDArray[np.float64]:
    """Section 4.2 of the paper, the groups counted from the newest basket."""
    vectors = [np.isin(np.arange(ITEMS), list(own[moment])).astype(float) for moment in sorted(own)]
    edges = sorted({0, *range(len(vectors), 0, -m)})
    groups = [vectors[start:stop] for start, stop in pairwise(edges)]
    u, k = np.zeros(ITEMS), len(groups)
    for i, group in enumerate(groups, 1):
        mean = sum(r_b ** (len(group) - j) * v for j, v in enumerate(group, 1)) / len(group)
        u += r_g ** (k - i) * mean / k
    return u


@pytest.mark.parametrize(
    ("neighbors", "alpha", "m", "r_b", "r_g"),
    [(300, 0.7, 7, 0.9, 0.7), (5, 0.3, 3, 0.6, 1.0), (1, 0.0, 2, 1.0, 0.5), (4, 1.0, 1, 0.5, 0.8)],
)
def test_tifuknn_is_its_formula(neighbors: int, alpha: float, m: int, r_b: float, r_g: float) -> None:
    vectors = np.array([user_vector(own, m, r_b, r_g) for own in BASKETS])
    candidates = [user for user, own in enumerate(BASKETS) if own]
    expected = np.empty((USERS, ITEMS))
    for user, u in enumerate(vectors):
        distance = {v: np.linalg.norm(u - vectors[v]) for v in candidates}
        # Equal distances: the lower row.
        nearest = sorted(candidates, key=lambda v: (round(distance[v], 6), v))[:neighbors]
        expected[user] = alpha * u + (1 - alpha) * vectors[nearest].mean(axis=0)
    model = TIFUKNN(neighbors=neighbors, alpha=alpha, group_size=m, within_decay=r_b, group_decay=r_g).fit(DATA)
    with_history = np.array(candidates)
    np.testing.assert_allclose(model.score()[with_history], expected[with_history], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.score([7])[0].sum(), expected[7].sum(), rtol=1e-4)


def test_ages_are_counted_from_the_moment_of_serving() -> None:
    model = TopFreq(half_life=timedelta(days=10), popularity=1).fit(DATA)
    newest = max(max(own) for own in BASKETS if own)
    today, later = model.score(now=newest), model.score(now=newest + 10 * DAY)
    had = DATA.matrix.toarray() > 0
    shares = np.broadcast_to(had.mean(axis=0), had.shape)
    np.testing.assert_allclose((later - shares - 1)[had], (today - shares - 1)[had] / 2, atol=1e-6)
    with pytest.raises(TypeError, match="now is for models that count ages by the clock"):
        TopFreq(half_life=3).fit(DATA).score(now=newest)


def test_an_item_counts_once_in_a_basket() -> None:
    once = Interactions.from_arrays([0, 0, 1], [4, 5, 4], timestamp=[1, 2, 1])
    twice = Interactions.from_arrays([0, 0, 0, 1], [4, 4, 5, 4], timestamp=[1, 1, 2, 1])
    for kind in (TopFreq, TIFUKNN):
        np.testing.assert_array_equal(kind().fit(once).score(), kind().fit(twice).score())


@pytest.mark.parametrize("kind", [TopFreq, TIFUKNN])
def test_rows_of_a_basket_have_no_order(kind: type[TopFreq] | type[TIFUKNN]) -> None:
    events = DATA.events
    order = np.random.default_rng(3).permutation(len(events))
    assert events.times is not None
    other = Interactions.from_arrays(
        events.owners[order], events.items[order], timestamp=events.times[order], users=DATA.users, items=DATA.items
    )
    np.testing.assert_array_equal(kind().fit(DATA).score(), kind().fit(other).score())


def test_both_questions_are_answered() -> None:
    train, _, test = DATA.split(by="leave-last", valid=0)
    for model in (TopFreq(half_life=3.0), TIFUKNN(neighbors=5)):
        model.fit(train)
        discover, again = model.evaluate(test, k=5), model.evaluate(test, exclude_seen=False, k=5)
        assert discover.repeats_left_out > 0
        assert again.repeats_left_out == 0
        assert len(again.users) > len(discover.users)
        for report, question, words in (
            (discover, "discover", "what users discover: what they had before is neither recommended nor relevant"),
            (again, "next basket", "what users take next, old or new"),
        ):
            assert report.question == question
            assert words in str(report).splitlines()
            assert words in report._repr_html_()
            assert f"({question})" in repr(report)


def test_without_timestamps_values_are_counts() -> None:
    counts = np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    np.testing.assert_allclose(TopFreq(popularity=0).fit(counts).score(), [[4, 0.5, 2], [0.5, 3, 0.5]])
    with pytest.raises(ValueError, match=r"half_life=2.0 needs timestamps"):
        TopFreq(half_life=2.0).fit(counts).score()


def test_takings() -> None:
    takings = Takings.of(DATA)
    seen = sorted(zip(takings.owners, DATA.matrix.indices[takings.cells], takings.newer, takings.passed(), strict=True))
    expected = sorted(
        (user, item, len(own) - 1 - place, max(own) - moment)
        for user, own in enumerate(BASKETS)
        for place, moment in enumerate(sorted(own))
        for item in own[moment]
    )
    assert [tuple(map(float, row)) for row in seen] == [tuple(map(float, row)) for row in expected]
    later = Takings.of(DATA.as_of(300 * DAY))
    np.testing.assert_allclose(later.passed()[-1], 300 * DAY - DATA.events.times[-1])
    with pytest.raises(ValueError, match="is before the newest event"):
        Takings.of(DATA.as_of(5)).passed()
    blind = Takings.of(Interactions.from_arrays([0, 0], [1, 1]))
    assert (blind.newer.tolist(), blind.baskets.tolist()) == ([0], [1])
    with pytest.raises(ValueError, match="needs timestamps"):
        blind.passed()


OWNERS, TURNS = np.divmod(np.arange(200), 5)
REPEATING = Interactions.from_arrays(OWNERS, TURNS % 4 + OWNERS % 7, TURNS.astype(float))


@pytest.mark.parametrize("settings", [{}, {"variant": "t-diffrec", "dims": (4,), "epochs": 2}])
def test_held_out_repeats_stop_nothing(settings: dict[str, Any]) -> None:
    model = diffrec.fit(REPEATING, progress=False, **settings)
    assert model.recommend([0], k=2).items.shape == (1, 2)
    assert model.training_.best_validation is None or "chosen" in model.training_.facts


def test_a_validation_of_repeats_alone_is_refused_before_any_epoch() -> None:
    with pytest.raises(ValueError, match="valid must hold an item that its user did not have before"):
        diffrec.fit(REPEATING, valid=REPEATING, variant="t-diffrec", dims=(4,), progress=False)


def test_the_anchors_weight_is_chosen_for_what_is_asked() -> None:
    rng = np.random.default_rng(0)
    items = np.array([rng.choice(200, 5, replace=False) for _ in range(100)])
    data = diffrec.Interactions.from_arrays(np.repeat(np.arange(100), 5), items.ravel()).with_ids()
    valid = diffrec.Interactions.from_arrays(np.arange(100), items[:, 0], users=data.users, items=data.items)
    settings: dict[str, Any] = {"variant": "diffrec", "anchor": True, "dims": (4,), "epochs": 1, "progress": False}
    model = diffrec.fit(data, valid=valid, repeats="include", **settings)
    assert model.training_.facts["anchor_scale"] > 0
    assert model.training_.best_validation is not None
