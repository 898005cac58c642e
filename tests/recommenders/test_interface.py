"""What every recommender keeps to, run over all variants on data whose answer is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import diffrec
from diffrec import Interactions, Recommender
from diffrec.recommenders import VARIANTS, make

LATENT = {"batch_size": 16, "holdout": 0, "lr": 0.003, "autoencoder_lr": 0.003, "dropout": 0.0}
# Enough training to tell the two halves of the world apart; small enough for a second.
QUICK: dict[str, dict[str, Any]] = {
    "tifuknn": {"neighbors": 10},
    "diffrec": {"dims": (16,), "epochs": 80, "batch_size": 16, "holdout": 0, "lr": 0.02},
    "t-diffrec": {"dims": (16,), "epochs": 80, "batch_size": 16, "holdout": 0, "lr": 0.02},
    "l-diffrec": LATENT | {"epochs": 100},
    "lt-diffrec": LATENT | {"epochs": 150},
    "lightgcn": {"factors": 8, "epochs": 30, "batch_size": 64, "holdout": 0, "lr": 0.05},
    "multivae": {"dims": (16,), "latent": 8, "epochs": 60, "batch_size": 16, "holdout": 0, "lr": 0.02},
    "multidae": {"dims": (16,), "latent": 8, "epochs": 60, "batch_size": 16, "holdout": 0, "lr": 0.02},
    "cfgan": {"dims": (4,), "discriminator_dims": (16,), "epochs": 60, "batch_size": 16, "holdout": 0, "lr": 0.005}
    | {"discriminator_lr": 0.01, "zero_weight": 0.3},
    "sasrec": {"width": 16, "epochs": 40, "batch_size": 64, "lr": 0.01},
}
USERS, ITEMS = 40, 12
EMPTY_USER, UNTOUCHED_ITEM = 39, 11


def two_tastes() -> Interactions:
    """Even users take even items, odd ones odd items, each all but two; one user took nothing, one item is new."""
    rng = np.random.default_rng(0)
    user, item = [], []
    for u in range(USERS - 1):
        liked = np.arange(u % 2, ITEMS - 1, 2)
        taken = rng.choice(liked, len(liked) - 2, replace=False)
        user += [u] * len(taken)
        item += taken.tolist()
    return Interactions.from_arrays(
        user, item, timestamp=rng.permutation(len(user)), users=np.arange(USERS), items=np.arange(ITEMS)
    )


DATA = two_tastes()


@pytest.fixture(scope="module", params=sorted(VARIANTS))
def model(request: pytest.FixtureRequest) -> Recommender:
    return diffrec.fit(DATA, variant=request.param, progress=False, **QUICK.get(request.param, {}))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_called_what_it_was_asked_for_by(variant: str) -> None:
    assert make(variant).variant == variant


def personal(model: Recommender) -> bool:
    # What a user has not had is ranked for everybody alike by topfreq, too.
    return model.variant not in ("popularity", "topfreq")


def test_recommends_what_the_like_minded_took(model: Recommender) -> None:
    top = model.recommend(k=2)
    assert top.items.shape == top.scores.shape == (USERS, 2)
    np.testing.assert_array_equal(top.users, np.arange(USERS))
    if personal(model):
        parity = np.arange(USERS - 1)[:, None] % 2
        assert np.mean(top.items[:-1] % 2 == parity) > 0.95


def test_lists_are_sorted_unique_and_unseen(model: Recommender) -> None:
    top = model.recommend(k=ITEMS)
    seen = DATA.matrix.toarray() > 0
    for u in range(USERS):
        found = top.items[u][top.items[u] >= 0]
        assert set(found) == set(np.flatnonzero(~seen[u]))
        order = np.lexsort((found, -top.scores[u][: len(found)]))
        np.testing.assert_array_equal(order, np.arange(len(found)))
    assert np.all(np.isneginf(top.scores[top.items < 0]))


def test_agrees_with_its_scores(model: Recommender) -> None:
    scores = model.score()
    assert scores.dtype == np.float32
    assert scores.shape == (USERS, ITEMS)
    top = model.recommend(k=ITEMS, exclude_seen=False)
    np.testing.assert_allclose(np.take_along_axis(scores, top.items, 1), top.scores, rtol=1e-5, atol=1e-6)


def test_users_are_chosen_by_id_in_any_order(model: Recommender) -> None:
    everyone, some = model.recommend(k=3), model.recommend([7, 2, 7], k=3)
    # Products of other sizes may round otherwise, and items whose scores are as good as equal change places.
    np.testing.assert_array_equal(some.users, [7, 2, 7])
    np.testing.assert_allclose(some.scores, everyone.scores[[7, 2, 7]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.recommend(7, k=3).scores, everyone.scores[[7]], rtol=1e-5, atol=1e-6)


def test_strangers_get_what_known_users_with_their_history_get(model: Recommender) -> None:
    strangers = Interactions.from_arrays(
        ["x"] * 3 + ["y"] * 2, [0, 2, 4, 1, 3], timestamp=[1, 2, 3, 1, 2], items=np.arange(ITEMS)
    )
    top = model.recommend(strangers, k=2)
    assert top.users.tolist() == ["x", "y"]
    assert not {0, 2, 4} & set(top.items[0].tolist())
    if model.variant == "lightgcn":
        return  # known users have an embedding of their own besides their history, and rank better by it
    known = model.recommend(DATA.take([4, 5]), k=4)
    np.testing.assert_array_equal(known.items, model.recommend([4, 5], k=4).items)
    np.testing.assert_allclose(known.scores, model.recommend([4, 5], k=4).scores, rtol=1e-5, atol=1e-6)


def test_strangers_may_know_fewer_items_and_new_ones_are_left_out(model: Recommender) -> None:
    fewer = Interactions.from_arrays(["x", "x"], [2, 4], timestamp=[1, 2])
    expected = model.recommend(fewer, k=3)
    assert expected.items.shape == (1, 3)
    more = Interactions.from_arrays(["x", "x", "x"], [2, 4, 99], timestamp=[1, 2, 0])
    with pytest.warns(UserWarning, match="users: 1 of 3 interactions are with items .* such as 99: left out"):
        found = model.recommend(more, k=3)
    np.testing.assert_array_equal(found.items, expected.items)
    with pytest.raises(ValueError, match="does not know, such as 99"):
        model.recommend(more, k=3, strict=True)


def test_allow_and_deny(model: Recommender) -> None:
    allowed = model.recommend(k=ITEMS, allow=[3, 4, 5]).items
    assert set(np.unique(allowed)) <= {-1, 3, 4, 5}
    denied = model.recommend(k=ITEMS, deny=[3]).items
    assert 3 not in denied
    both = model.recommend(k=ITEMS, allow=[3, 4], deny=[3]).items
    assert set(np.unique(both)) <= {-1, 4}


def test_empty_history_and_untouched_item(model: Recommender) -> None:
    top = model.recommend([EMPTY_USER], k=ITEMS)
    assert sorted(top.items[0].tolist()) == list(range(ITEMS))
    assert np.isfinite(top.scores).all()


def test_saved_and_loaded_it_is_the_same(model: Recommender, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.diffrec"
    model.save(path)
    again = diffrec.load(path)
    assert type(again) is type(model)
    assert again.settings.values(saved_only=True) == model.settings.values(saved_only=True)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    a, b = model.recommend(k=5), again.recommend(k=5)
    np.testing.assert_array_equal(a.items, b.items)
    np.testing.assert_array_equal(a.scores, b.scores)
    assert again.training_ == model.training_


def test_evaluation_ranks_by_held_out_items(model: Recommender) -> None:
    relevant = np.zeros((USERS, ITEMS))
    relevant[0, [0, 2, 4, 6, 8, 10]] = 1  # those user 0 has are neither ranked nor relevant, the two left are its best
    report = model.evaluate(relevant, k=[2, 12])
    assert report.repeats_left_out == 4
    assert "4 interactions with items that the users had before left out" in str(report)
    assert report.users.tolist() == [0]
    assert report.users_without_relevant == USERS - 1
    if personal(model):
        assert report["precision@2"] == 1
    assert report["recall@12"] == 1
    again = model.evaluate(relevant, exclude_seen=False, k=[2, 12])
    assert again["recall@12"] == 1
    assert again.repeats_left_out == 0
    assert set(report.per_user) >= {"ndcg@2", "recall@12", "recall_truncated@2", "mrr@2", "hit_rate@2"}
    masked = np.zeros((USERS, ITEMS))
    masked[0, np.flatnonzero((relevant[0] > 0) & (DATA.matrix[[0]].toarray()[0] == 0))[0]] = 1
    assert model.evaluate(relevant, seen=masked, k=np.int64(2)).repeats_left_out == 5
    for nothing in (DATA, relevant * (DATA.matrix.toarray() > 0)):
        with pytest.raises(ValueError, match="of test are with items that the user had before"):
            model.evaluate(nothing)
    with pytest.raises(ValueError, match="seen names what is not to be ranked"):
        model.evaluate(relevant, seen=masked, exclude_seen=False)
    assert "recall@12" not in str(report)
    assert "recall " in str(report)


def test_evaluation_matches_ids_and_counts_the_unknown(model: Recommender) -> None:
    other = Interactions.from_arrays([0, 0, 777, 1], [0, 888, 0, 1])
    report = model.evaluate(other, exclude_seen=False)
    assert report.users.tolist() == [0, 1]
    assert report.interactions_left_out == 2
    assert "2 interactions of unknown" in str(report)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(model: Recommender, k: int) -> None:
    for call in (lambda: model.recommend(k=k), lambda: model.evaluate(DATA, k=[5, k])):
        with pytest.raises(ValueError, match=f"k must be at least 1, got {k}"):
            call()
    with pytest.raises(TypeError, match="k must be a whole number, got 2.5"):
        model.recommend(k=2.5)  # type: ignore[arg-type]


def test_unknown_user_or_item(model: Recommender) -> None:
    for call in (lambda: model.recommend([3, 99]), lambda: model.score([99])):
        with pytest.raises(ValueError, match="unknown user.*99"):
            call()
    for argument in ("allow", "deny"):
        with pytest.raises(ValueError, match=f"{argument}: 1 of 2 items .* does not know, such as 99"):
            model.recommend(**{argument: [3, 99]}, strict=True)


def test_a_test_matrix_of_another_shape(model: Recommender) -> None:
    with pytest.raises(ValueError, match=r"test must have the shape.*\(40, 12\), got \(3, 12\)"):
        model.evaluate(sparse.eye_array(3, 12, format="csr"))
    with pytest.raises(ValueError, match=r"users must have 12 columns"):
        model.recommend(sparse.eye_array(3, 5, format="csr"))


def test_frames_go_in(model: Recommender) -> None:
    frame = pd.DataFrame({"user_id": [0, 1], "item_id": [2, 3], "timestamp": [1, 2]})
    assert len(model.evaluate(frame, exclude_seen=False).users) == 2


def test_result_as_frame(model: Recommender) -> None:
    frame = model.recommend([0, EMPTY_USER], k=ITEMS).to_frame()
    assert list(frame.columns) == ["user", "item", "rank", "score"]
    assert (frame["item"] >= 0).all()
    assert frame.groupby("user")["rank"].max().tolist() == [ITEMS - 4, ITEMS]


def test_strangers_without_any_history(model: Recommender) -> None:
    nobody = sparse.csr_array((2, ITEMS), dtype=np.float32)
    known = model.recommend([EMPTY_USER], k=ITEMS).items
    np.testing.assert_array_equal(model.recommend(nobody, k=ITEMS).items, np.repeat(known, 2, axis=0))
