"""Items that nobody has touched, and people without a history, by facts about them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import diffrec
from diffrec import Interactions, Recommender
from diffrec.data.features import FactFeatures
from diffrec.recommenders import make
from diffrec.recommenders.cold import FactMap

TRAINED: dict[str, Any] = {"batch_size": 16, "holdout": 0, "lr": 0.02, "epochs": 40}
FORMS: dict[str, dict[str, Any]] = {
    "itemknn": {},
    "ease": {"l2": 10.0},
    "ials": {"factors": 4, "l2": 1.0},
    "diffrec": TRAINED | {"dims": (16,)},
    "multidae": TRAINED | {"dims": (16,), "latent": 8},
    "stack": {"parts": ["popularity", ("ease", {"l2": 10.0})]},
}
USERS, ITEMS = 60, 20
WORDS = np.array([["green", "leaf"], ["red", "stone"]])


def titles(items: np.ndarray) -> np.ndarray:
    return np.array([f"{' '.join(WORDS[item % 2])} number{item}" for item in items])


def two_tastes() -> Interactions:
    """Even users take even items, which are green leaves, and odd ones odd items, red stones."""
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(USERS), 6)
    taken = np.concatenate([rng.choice(np.arange(user % 2, ITEMS, 2), 6, replace=False) for user in range(USERS)])
    info = {"title": titles(np.arange(ITEMS)), "price": np.arange(ITEMS, dtype=np.float64), "stars": np.ones(ITEMS)}
    return Interactions.from_arrays(owners, taken, rng.permutation(len(taken)), items=np.arange(ITEMS), item_info=info)


DATA = two_tastes()
COLD = pd.DataFrame({"item_id": [101, 100], "title": ["a red stone", "some green leaf"], "price": [3.0, None]})


def fitted(form: str) -> Recommender:
    return make(form, progress=False, **FORMS[form]).fit(DATA)


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest) -> Recommender:
    return fitted(request.param)


def test_new_items_go_to_those_who_take_their_like(model: Recommender) -> None:
    top = model.recommend(k=2, cold_items=COLD, allow=[100, 101])
    assert top.items.shape == (USERS, 2)
    assert np.mean(top.items[:, 0] % 2 == np.arange(USERS) % 2) > 0.95


def test_new_items_stand_among_the_others(model: Recommender) -> None:
    alone, beside = model.recommend(k=ITEMS), model.recommend(k=ITEMS + 2, cold_items=COLD)
    for user in range(0, USERS, 7):
        known = beside.items[user][beside.items[user] < 100]
        kept = known[known >= 0]
        np.testing.assert_array_equal(kept, alone.items[user][alone.items[user] >= 0])
        assert {100, 101} <= set(beside.items[user].tolist())
        finite = beside.scores[user][np.isfinite(beside.scores[user])]
        assert (np.diff(finite) <= 0).all()


def test_scores_are_sums_of_the_known_items_scores(model: Recommender) -> None:
    """Against the formula, written out densely."""
    learnt = FactMap.of(DATA.item_info, np.bincount(DATA.matrix.indices), model.score()[:50].T)
    phi = learnt.features.matrix(DATA.item_info, ITEMS).toarray()[:, learnt.occurring]
    new = {"title": COLD["title"].to_numpy(dtype=str), "price": np.array([3.0, np.nan])}
    cold = learnt.features.matrix(new, 2).toarray()[:, learnt.occurring]
    owners = np.bincount(DATA.matrix.indices)
    weights = np.diag(owners / (owners + 5.0))
    model_map = model.recommend([0], k=1, cold_items=COLD) and model._by_facts
    assert model_map is not None
    shares = cold @ np.linalg.inv(phi.T @ weights @ phi + model_map.strength * np.eye(phi.shape[1])) @ phi.T @ weights
    top = model.recommend([3], k=2, cold_items=COLD, allow=[100, 101])
    expected = shares @ model.score([3])[0].astype(np.float64)
    order = np.argsort(-expected)
    np.testing.assert_array_equal(top.items[0], np.array([101, 100])[order])
    np.testing.assert_allclose(top.scores[0], expected[order], rtol=2e-3, atol=1e-4)


def test_strength_is_that_of_the_least_error_with_each_item_left_out() -> None:
    """Against fits that leave out one item after the other."""
    scores = fitted("ease").score()[:40].T
    owners = np.bincount(DATA.matrix.indices)
    learnt = FactMap.of(DATA.item_info, owners, scores)
    phi = learnt.features.matrix(DATA.item_info, ITEMS).toarray()[:, learnt.occurring]
    weights = owners / (owners + 5.0)
    targets = scores - np.average(scores, axis=0, weights=weights)
    targets = targets / targets.std(axis=0)

    def error(strength: float) -> float:
        total = 0.0
        for item in range(ITEMS):
            rest = np.arange(ITEMS) != item
            x = phi[rest]
            solved = np.linalg.solve(
                x.T @ (weights[rest, None] * x) + strength * np.eye(x.shape[1]),
                x.T @ (weights[rest, None] * targets[rest]),
            )
            total += weights[item] * float(np.square(targets[item] - phi[item] @ solved).sum())
        return total

    errors = {strength: error(strength) for strength in (0.3, 1.0, 3.0, 10.0)}
    assert learnt.strength == min(errors, key=errors.__getitem__)


def test_deny_candidates_titles_and_strangers() -> None:
    model = fitted("ease")
    assert 100 not in model.recommend(k=ITEMS + 2, cold_items=COLD, deny=[100]).items
    among = model.recommend(k=3, cold_items=COLD, candidates={5: [100, 101, 2]})
    assert sorted(among.items[0].tolist()) == [2, 100, 101]
    frame = model.recommend([4], k=22, cold_items=COLD).to_frame(titles=True, like=pd.DataFrame())
    assert frame.set_index("item")["title"][100] == "some green leaf"
    stranger = Interactions.from_arrays(["x"] * 2, [0, 2], items=np.arange(ITEMS))
    assert model.recommend(stranger, k=1, cold_items=COLD, allow=[100, 101]).items.tolist() == [[100]]
    nobody = model.recommend([999], k=ITEMS + 2, unknown="popular", cold_items=COLD)
    # Nobody has them: they come last.
    assert set(nobody.items[0, -2:].tolist()) == {100, 101}


def test_vectors_of_ones_own_and_a_file(tmp_path: Path) -> None:
    vectors = np.eye(2)[np.arange(ITEMS) % 2] + 0.01
    data = Interactions.from_csr(DATA.matrix)
    data.item_info = {"vector": vectors}
    model = diffrec.fit(data, variant="ease", l2=10.0)
    cold = {"item": [50, 51], "vector": np.eye(2)}
    assert (model.recommend(k=1, cold_items=cold, allow=[50, 51]).items[:, 0] % 2 == np.arange(USERS) % 2).all()
    with pytest.raises(ValueError, match=r"a vector has \(3,\) numbers, and the known ones have 2"):
        model.recommend(k=1, cold_items={"item": [50], "vector": np.ones((1, 3))})
    COLD.to_csv(tmp_path / "cold.csv", index=False)
    ease = fitted("ease")
    ease.save(tmp_path / "model.diffrec")
    top = diffrec.load(tmp_path / "model.diffrec").recommend(k=3, cold_items=tmp_path / "cold.csv")
    np.testing.assert_array_equal(top.items, ease.recommend(k=3, cold_items=COLD).items)


def test_an_update_gives_untouched_items_what_facts_say(tmp_path: Path) -> None:
    model = fitted("multidae")
    info = {"title": titles(np.array([200, 201])), "price": [1.0, 2.0], "stars": [1.0, 1.0]}
    # Two people whom nobody knows take new items, and nothing else.
    model.update(Interactions.from_arrays([900, 901], [200, 201], [5000, 5001], item_info=info), epochs=1)
    for new in (200, 201):
        assert set(model.similar_items([new], k=4).items[0] % 2) == {new % 2}


def test_a_fit_or_an_update_learns_the_facts_anew() -> None:
    model = fitted("ease")
    before = model.recommend([1], k=2, cold_items=COLD, allow=[100, 101]).scores
    model.update(Interactions.from_arrays(np.arange(30), np.arange(30) % ITEMS, np.arange(30) + 9e3))
    assert not np.array_equal(model.recommend([1], k=2, cold_items=COLD, allow=[100, 101]).scores, before)


@pytest.mark.parametrize(
    ("cold", "words"),
    [
        ({"item": [3], "title": ["leaf"]}, "cold_items holds 3, which the model knows already"),
        ({"item": [100, 100], "title": ["a", "b"]}, "the item id 100 stands twice"),
        ({"item": ["x"], "title": ["leaf"]}, "cold_items has ids such as 'x', and the model's are such as 0"),
        (
            {"item": [100], "colour": ["red"]},
            "says 'colour' of the items, and the model knows .* 'title', 'price'",
        ),
        ({"item": [100], "title": [5]}, "the fact 'title' holds int64, and that of the known ones is another kind"),
        ({"thing": [100], "title": ["leaf"]}, "no column of cold_items looks like the ids of items"),
    ],
)
def test_what_cannot_be_a_new_item_is_said(cold: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fitted("itemknn").recommend(k=1, cold_items=cold)


def test_what_a_model_lacks_is_said() -> None:
    bare = diffrec.fit(DATA.matrix, variant="ease")
    with pytest.raises(ValueError, match="cold_items needs facts about the model's items, too"):
        bare.recommend(k=1, cold_items=COLD)
    alike = Interactions.from_csr(DATA.matrix)
    alike.item_info = {"title": np.full(ITEMS, "same")}
    with pytest.raises(ValueError, match="the known facts say the same of all"):
        diffrec.fit(alike, variant="ease").recommend(k=1, cold_items=COLD)
    with pytest.raises(ValueError, match="cold_items cannot be guided"):
        fitted("diffrec").recommend(k=1, cold_items=COLD, novelty=1.0)


def test_people_without_a_history_by_their_facts(model: Recommender) -> None:
    users = np.arange(USERS)
    known = {"user": users, "taste": np.array(["garden", "quarry"])[users % 2], "age": 20.0 + users % 3}
    new = pd.DataFrame({"user_id": ["e", "f", "g"], "taste": ["garden", "quarry", None]})
    people = model.for_cold_users(known)
    top = people.recommend(new, k=5)
    assert top.users.tolist() == ["e", "f", "g"]
    if model.variant != "stack":
        assert set(top.items[0] % 2) == {0}
        assert set(top.items[1] % 2) == {1}
    assert 3 not in people.recommend(new, k=ITEMS, deny=[3]).items
    with pytest.raises(ValueError, match="user_facts must be of users that the model knows, such as 0"):
        model.for_cold_users({"user": ["x", "y"], "taste": ["a", "b"]})


def test_features_of_each_kind() -> None:
    info = {
        "genre": np.array(["Drama|Comedy", "Drama", "Horror", ""]),
        "title": np.array(["Red cup", "blue CUP", "plate", "plate, red"]),
        "price": np.array([1.0, np.nan, 3.0, 100.0]),
        "same": np.zeros(4),
        "vector": np.array([[3.0, 4.0], [0, 0], [1, 0], [0, 2]]),
    }
    features = FactFeatures.of(info)
    assert list(features.columns) == ["genre", "title", "price", "vector"]
    matrix = features.matrix(info, 4).toarray()
    blocks = np.split(matrix, np.cumsum([4096, 4096, 1, 2]), axis=1)
    products = [block @ block.T for block in blocks]
    np.testing.assert_allclose(np.diag(products[0]), [1, 1, 1, 0], atol=1e-12)
    assert products[0][0, 1] > 0 == products[0][0, 2]
    assert products[1][0, 1] > 0
    assert products[1][0, 3] > 0
    assert products[1][0, 2] == 0
    assert blocks[2][1] == 0
    assert (np.abs(blocks[2]) <= 1).all()
    np.testing.assert_allclose(blocks[3], [[0.6, 0.8], [0, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(blocks[4], np.ones((4, 1)))
    # What is not said is 0.
    bare = features.matrix({}, 2).toarray()
    np.testing.assert_array_equal(bare[:, :-1], 0)


def test_a_title_with_a_bar_leaves_the_others_words() -> None:
    titles = np.array([f"red cup {number}" for number in range(50)] + ["salt | pepper"])
    matrix = FactFeatures.of({"title": titles}).matrix({"title": titles}, 51).toarray()[:, :-1]
    assert (matrix[:50] @ matrix[0] > 0).all()
