"""Lists that are limited: for everyone, for each user, to candidates; and people and items the model does not know."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import diffrec
from diffrec import Interactions, Recommender
from diffrec.recommenders.limits import Limits

DATA = diffrec.datasets.synthetic(users=700, items=40, seed=1)
ITEMS, USERS = DATA.items.ids, DATA.users.ids


@pytest.fixture(scope="module", params=["ease", "diffrec", "lightgcn"])
def model(request: pytest.FixtureRequest) -> Recommender:
    quick = {} if request.param == "ease" else {"epochs": 1, "progress": False}
    return diffrec.fit(DATA, variant=request.param, **quick)


def ranked(model: Recommender, user: Any, among: Any, k: int = 40) -> list[Any]:
    """By hand: the scores of some items, without the history, best first."""
    row = int(DATA.users.rows(user)[0])
    taken = set(DATA.matrix[[row]].indices.tolist())
    scores = model.score(user)[0]
    columns = sorted((c for c in DATA.items.rows(among).tolist() if c not in taken), key=lambda c: (-scores[c], c))
    return [ITEMS[c] for c in dict.fromkeys(columns)][:k]


def listed(top: diffrec.Top, place: int) -> list[Any]:
    return top.items[place][top.item_rows[place] >= 0].tolist()


def test_candidates_are_ranked_alone(model: Recommender) -> None:
    rng = np.random.default_rng(0)
    candidates = {user: rng.choice(ITEMS, rng.integers(1, 9)).tolist() for user in USERS[::-1][:600].tolist()}
    top = model.recommend(candidates=candidates, k=4)
    assert top.users.tolist() == list(candidates)
    for place, (user, items) in enumerate(candidates.items()):
        if place % 40 == 0:
            assert listed(top, place) == ranked(model, user, items, 4)
    again = model.recommend([USERS[-1], USERS[-3], USERS[-1]], k=4, candidates=candidates)
    np.testing.assert_array_equal(again.items, top.items[[0, 2, 0]])
    some = list(candidates)[:3]
    seen = model.recommend(some, k=9, candidates=candidates, exclude_seen=False)
    assert [set(listed(seen, place)) for place in range(3)] == [set(candidates[user]) for user in some]


def test_allow_and_deny_for_each_user(model: Recommender) -> None:
    one, other = USERS[600], USERS[2]
    top = model.recommend([one, other], k=40, deny={one: ITEMS[:30]}, allow={other: ITEMS[5:9].tolist()})
    assert listed(top, 0) == ranked(model, one, ITEMS[30:])
    assert listed(top, 1) == ranked(model, other, ITEMS[5:9])
    both = model.recommend([one, other], k=40, deny={one: ITEMS[:30]}, allow=ITEMS[20:])
    assert listed(both, 0) == ranked(model, one, ITEMS[30:])
    assert listed(both, 1) == ranked(model, other, ITEMS[20:])


def test_who_is_not_named_may_have_everything_without_a_cell_for_each_item(model: Recommender) -> None:
    named = {USERS[2]: ITEMS[5:9].tolist()}
    top = model.recommend(USERS[:4], k=6, allow=named)
    assert listed(top, 2) == ranked(model, USERS[2], ITEMS[5:9], 6)
    without = model.recommend(USERS[:4], k=6)
    for place in (0, 1, 3):
        np.testing.assert_array_equal(top.items[place], without.items[place])
    assert Limits.of(DATA.items, USERS[:4], allow=named).chosen.nnz == 4


def test_rows_are_taken_as_well_where_strangers_are_let_in() -> None:
    model = diffrec.fit(DATA.with_ids(diffrec.Ids([f"u{row}" for row in range(700)])), variant="popularity")
    wanted = model.recommend([0, 5], k=4)
    for unknown in ("skip", "popular"):
        found = model.recommend([0, 5], k=4, unknown=unknown)
        assert found.users.tolist() == ["u0", "u5"]
        np.testing.assert_array_equal(found.items, wanted.items)
    assert model.recommend([0, 700], unknown="skip").users.tolist() == ["u0"]
    assert model.recommend([0, 700], unknown="popular").users.tolist() == ["u0", "700"]
    with pytest.raises(ValueError, match="users must be a sequence of ids"):
        model.recommend([[0, 5]], unknown="skip")


def test_ids_of_strangers_keep_their_kind() -> None:
    big = np.array([2**60 + 1, 2**60 + 3], dtype=np.int64)
    model = diffrec.fit(Interactions.from_arrays(big, [0, 1]), variant="popularity")
    asked = np.array([2**60 + 3, 7], dtype=np.uint64)
    assert model.recommend(asked, k=1, unknown="popular").users.tolist() == [2**60 + 3, 7]
    ann, bob, cat = (UUID(int=number) for number in (1, 2, 3))
    named = diffrec.fit(Interactions.from_arrays([ann, bob], ["tea", "milk"]), variant="popularity")
    top = named.recommend([ann, cat], k=2, unknown="popular", deny={str(cat): ["tea"]})
    assert top.users.tolist() == [str(ann), str(cat)]
    assert top.items[1][0] == "milk"


def test_exclude_seen_is_true_or_false(model: Recommender) -> None:
    with pytest.raises((TypeError, ValueError), match="exclude_seen"):
        model.recommend(exclude_seen="no")  # type: ignore[arg-type]


def test_some_items_are_scored_in_the_order_asked(model: Recommender) -> None:
    asked = ITEMS[[7, 3, 7]]
    np.testing.assert_array_equal(model.score(USERS[:3], asked), model.score(USERS[:3])[:, [7, 3, 7]])
    assert model.score([], asked).shape == (0, 3)


def test_people_the_model_does_not_know(model: Recommender) -> None:
    asked = ["nobody", USERS[4], "no one", USERS[4]]
    with pytest.raises(ValueError, match="unknown user id 'nobody'"):
        model.recommend(asked)
    skipped = model.recommend(asked, k=5, unknown="skip")
    assert skipped.users.tolist() == [USERS[4], USERS[4]]
    popular = model.recommend(asked, k=5, unknown="popular", deny={"no one": [ITEMS[0]]}, allow=ITEMS[:30])
    assert popular.users.tolist() == asked
    np.testing.assert_array_equal(popular.items[1], model.recommend(USERS[4], k=5, allow=ITEMS[:30]).items[0])
    owners = np.bincount(DATA.matrix.indices, minlength=40)
    order = np.argsort(-owners[:30], kind="stable")
    np.testing.assert_array_equal(popular.items[0], ITEMS[order[:5]])
    np.testing.assert_array_equal(popular.items[2], ITEMS[order[order != 0][:5]])
    np.testing.assert_array_equal(popular.scores[0], owners[order[:5]])


def test_items_the_model_does_not_know_are_counted_in_one_warning(model: Recommender) -> None:
    expected = model.recommend(USERS[:2], k=3, deny=[ITEMS[1]])
    with pytest.warns(UserWarning, match="deny: 2 of 3 items are ones .* such as 'gone': left out") as told:
        found = model.recommend(USERS[:2], k=3, deny=["gone", ITEMS[1], "lost"])
    assert len(told) == 1
    np.testing.assert_array_equal(found.items, expected.items)
    with pytest.warns(UserWarning, match="candidates: 1 of 2"):
        top = model.recommend(candidates={USERS[0]: ["gone", ITEMS[1]]}, exclude_seen=False)
    assert listed(top, 0) == [ITEMS[1]]
    with pytest.raises(ValueError, match="allow names no item that the model knows"):
        model.recommend(allow=["gone"])


@pytest.mark.parametrize("limit", ["allow", "deny", "candidates"])
def test_limits_of_nobody_are_counted_in_one_warning(model: Recommender, limit: str) -> None:
    own: dict[Any, Any] = dict.fromkeys(USERS[:3].tolist(), ITEMS[:20])
    expected = model.recommend(USERS[:2], k=3, **{limit: own})
    with pytest.warns(UserWarning, match=f"{limit}: 1 of 4 users are ones .* such as 'nobody': left out") as told:
        found = model.recommend(USERS[:2], k=3, **{limit: own | {"nobody": ITEMS[:9]}})
    assert len(told) == 1
    assert told[0].filename == __file__
    np.testing.assert_array_equal(found.items, expected.items)
    with pytest.raises(ValueError, match=f"{limit}: 1 of 4 users are ones that the model does not know"):
        model.recommend(USERS[:2], k=3, strict=True, **{limit: own | {"nobody": ITEMS[:9]}})
    skipped = model.recommend([*USERS[:2], "nobody"], k=3, unknown="skip", **{limit: own | {"nobody": ITEMS[:9]}})
    np.testing.assert_array_equal(skipped.items, expected.items)


def test_limits_of_people_of_whom_histories_are_given() -> None:
    model = diffrec.fit(DATA, variant="popularity")
    strangers = Interactions.from_arrays(["new", "newer"], ITEMS[:2])
    top = model.recommend(strangers, k=1, deny={"new": ITEMS[1:], USERS[0]: ITEMS[:2]}, exclude_seen=False)
    assert top.items[0].tolist() == [ITEMS[0]]
    # One mapping may serve for block after block of them: warnings are errors here.
    model.recommend(strangers, k=1, deny={"elsewhere": ITEMS[1:], "new": []}, strict=True)


def test_limits_name_users_as_the_data_may() -> None:
    model = diffrec.fit(DATA.matrix, variant="popularity")
    own = model.recommend([0], k=3, deny={0: [1, 2]}).items
    np.testing.assert_array_equal(model.recommend([0], k=3, deny={Decimal(0): [1, 2], Decimal(1): [3]}).items, own)
    with pytest.warns(UserWarning, match=r"deny: 1 of 2 users are ones .* such as Decimal\('99999'\): left out"):
        model.recommend([0], k=3, deny={Decimal(99999): [1], 0: []})
    for strange in (None, 1.5, (1, 2)):
        with pytest.raises((TypeError, ValueError), match="^deny must name users by their ids: user ids must be"):
            model.recommend([0], k=3, deny={strange: [1]})


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"candidates": ["a"]}, TypeError, "candidates must be a mapping of users to items, got list"),
        ({"users": [USERS[0], USERS[1]], "candidates": {USERS[0]: []}}, ValueError, "and has none for"),
        ({"candidates": {USERS[0]: []}, "allow": {}}, ValueError, "give one of them"),
        ({"allow": {0: [ITEMS[0]]}}, TypeError, "allow must name users by their ids, which are text, got 0"),
        ({"users": DATA.matrix, "deny": {"a": []}}, TypeError, "deny must name users by .* are numbers, got 'a'"),
        ({"deny": b"ab"}, TypeError, "deny must hold item ids, got b'ab'"),
        ({"allow": 1.5}, TypeError, "allow must hold item ids, got 1.5"),
        ({"deny": {USERS[0]: None}}, TypeError, "deny must hold item ids, got None"),
        ({"deny": [["a"], ["b", "c"]]}, ValueError, "deny must hold item ids one after the other"),
        ({"unknown": "guess"}, ValueError, "unknown must be one of 'error', 'skip', 'popular', got 'guess'"),
        ({"strict": 1}, TypeError, "strict must be True or False"),
    ],
)
def test_what_is_impossible_is_refused(asked: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.fit(DATA, variant="popularity").recommend(**asked)


def test_a_user_without_candidates_left_gets_an_empty_list() -> None:
    data = Interactions.from_arrays([0, 0, 1], [5, 6, 7])
    top = diffrec.fit(data, variant="popularity").recommend(candidates={0: [5, 6], 1: []}, k=2)
    assert top.item_rows.tolist() == [[-1, -1], [-1, -1]]
    assert np.isneginf(top.scores).all()
