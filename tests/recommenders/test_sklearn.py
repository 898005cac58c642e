"""scikit-learn's conventions: its own checks, copies, and searches over recommenders of every kind."""

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import diffrec
from diffrec import Interactions, Recommender, Scorer
from diffrec.recommenders import VARIANTS

QUICK: dict[str, dict[str, Any]] = {
    "diffrec": {"dims": (4,), "epochs": 2},
    "t-diffrec": {"dims": (4,), "epochs": 2},
    "l-diffrec": {"dims": (4,), "latent_dims": (4,), "epochs": 2},
    "lt-diffrec": {"dims": (4,), "latent_dims": (4,), "epochs": 2},
    "ials": {"factors": 2, "iterations": 2},
    "lightgcn": {"factors": 4, "epochs": 2},
    "multivae": {"dims": (4,), "latent": 2, "epochs": 2},
    "multidae": {"dims": (4,), "latent": 2, "epochs": 2},
    "cfgan": {"dims": (4,), "discriminator_dims": (4,), "epochs": 2},
    "sasrec": {"width": 4, "epochs": 2},
}
DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
assert DATA.timestamps is not None
FRAME = pd.DataFrame(
    {
        "user": np.repeat(DATA.users.ids, np.diff(DATA.matrix.indptr)),
        "item": DATA.items.ids[DATA.matrix.indices],
        "timestamp": DATA.timestamps,
    }
)


def unfitted(variant: str) -> Recommender:
    kind, fixed = VARIANTS[variant].kind, VARIANTS[variant].settings
    return kind(**(fixed | QUICK.get(variant, {}) | ({"progress": False})))


# -- its own checks ------------------------------------------------------------------------------------------------

SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
WORDS = "the error is raised and names the value, but in other words than scikit-learn's"
EXCEPTIONS = {
    "check_no_attributes_set_in_init": "settings are kept together, checked, in one attribute",
    "check_do_not_raise_errors_in_init_or_set_params": "a bad setting is refused when it is set, not when data come",
    "check_fit_score_takes_y": "score gives the scores of all items; there are no labels",
    # Since 1.9 it hands no labels to score.
    **({} if SKLEARN >= (1, 9) else {"check_pipeline_consistency": "score gives the scores of all items"}),
    "check_dtype_object": "interactions are numbers; an array of objects is refused",
    "check_n_features_in_after_fitting": WORDS,
    "check_positive_only_tag_during_fit": WORDS,
    "check_complex_data": WORDS,
    "check_estimators_empty_data_messages": WORDS,
    "check_estimators_nan_inf": WORDS,
}
# The first three need timestamps, which a matrix has none of; the others are made as one that is checked.
UNCHECKED = {"t-diffrec", "lt-diffrec", "sasrec", "multidae", "rp3beta"}
# Where there must be more than one item to learn anything.
TWO_ITEMS = {"l-diffrec", "lightgcn"}


def exceptions(estimator: Recommender) -> dict[str, str]:
    return EXCEPTIONS | ({"check_fit2d_1feature": WORDS} if estimator.variant in TWO_ITEMS else {})


def checked(variant: str) -> Recommender:
    """A recommender as the checks call it: they hand labels to every fit, where ours takes what to stop on."""
    model = unfitted(variant)
    kind = type(model)

    class Unlabelled(kind):  # type: ignore[valid-type, misc]
        def fit(self, X: Any, y: Any = None) -> Any:
            return super().fit(X)

    # Pickles find a class by its name.
    Unlabelled.variant = variant
    Unlabelled.__name__ = Unlabelled.__qualname__ = f"Unlabelled{variant.replace('-', '')}"
    globals()[Unlabelled.__name__] = Unlabelled
    return Unlabelled(**model.get_params())


with warnings.catch_warnings():
    # Recommenders keep to BaseEstimator's conventions without needing scikit-learn.
    warnings.filterwarnings("ignore", "Estimator .* does not inherit from `sklearn.base.BaseEstimator`")
    every_check = parametrize_with_checks([checked(variant) for variant in VARIANTS if variant not in UNCHECKED])


@every_check
@pytest.mark.filterwarnings("ignore:.* occurred during set_params")  # as said of bad settings above
def test_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    # By hand, since a report of each expected failure takes longer than the check.
    if check.func.__name__ not in exceptions(estimator):
        check(estimator)
        return
    try:
        check(estimator)
    except Exception:
        return
    pytest.fail("it passes, so that it is no exception any more")


def test_what_is_refused_in_other_words_is_refused() -> None:
    ones = np.ones((3, 3))
    for matrix in (ones * np.nan, ones * np.inf, -ones, ones * 1j, ones[:, :0], ones.astype(object)):
        with pytest.raises((TypeError, ValueError)):
            unfitted("popularity").fit(matrix)
    with pytest.raises(ValueError, match="users must have 3 columns"):
        unfitted("popularity").fit(ones).score(np.ones((3, 2)))


# -- copies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_clone_is_unfitted_and_learns_the_same(variant: str) -> None:
    model = unfitted(variant).fit(DATA)
    copy = clone(model)
    assert type(copy) is type(model)
    assert copy.settings == model.settings
    assert not hasattr(copy, "train_")
    assert not hasattr(copy, "n_features_in_")
    copy.fit(DATA)
    assert copy.n_features_in_ == 40
    np.testing.assert_array_equal(copy.score(), model.score())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).score(), model.score())


def test_a_clone_of_one_with_everything_set() -> None:
    heard: list[object] = []
    model = diffrec.DiffRec(
        dims=[4, 8], groups=2, latent_dims=4, item_embeddings=np.eye(40), callbacks=[heard.append], half_life=3, seed=5
    )  # fmt: skip
    copy = clone(model)
    assert copy.get_params().keys() == model.get_params().keys()
    assert copy.settings == model.settings
    np.testing.assert_array_equal(copy.get_params()["item_embeddings"], np.eye(40))


# -- searches ------------------------------------------------------------------------------------------------------

GRIDS: dict[str, dict[str, list[Any]]] = {
    "diffrec": {"dims": [(2,), (16,)], "lr": [1e-3, 1e-2]},
    "l-diffrec": {"groups": [1, 2]},
    "t-diffrec": {"horizon": [1, 5]},
    "lt-diffrec": {"horizon": [1, 5]},
    "anchor": {"anchor_l2": [1.0, 100.0]},
    "popularity": {"seed": [0]},
    "topfreq": {"popularity": [0.1, 10.0]},
    "tifuknn": {"neighbors": [2, 20]},
    "itemknn": {"neighbors": [2, 20], "weighting": ["cosine", "bm25"]},
    "rp3beta": {"beta": [0.1, 0.9]},
    "ease": {"l2": [0.1, 100.0]},
    "ials": {"factors": [2, 4]},
    "lightgcn": {"layers": [1, 2]},
    "multivae": {"latent": [1, 4]},
    "multidae": {"latent": [1, 4]},
    "cfgan": {"epochs": [1, 2]},
    "stack": {"weights": [None, (1.0, 3.0)]},
    "sasrec": {"loss": ["softmax", "gbce"]},
}


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_search_over_users(variant: str) -> None:
    search = GridSearchCV(unfitted(variant), GRIDS[variant], scoring=Scorer("ndcg@10"), cv=2, error_score="raise")
    search.fit(DATA)
    scores = search.cv_results_["mean_test_score"]
    assert np.all((scores > 0) & (scores < 1))
    assert search.best_score_ == scores.max()
    assert search.best_estimator_.train_ is DATA
    assert search.best_estimator_.recommend([3], k=5).items.shape == (1, 5)
    assert search.score(DATA) == Scorer("ndcg@10")(search.best_estimator_, DATA)


def test_the_score_of_strangers_is_their_hidden_part_found() -> None:
    train, others = train_test_split(DATA, test_size=20, random_state=0)
    assert isinstance(train, Interactions)
    assert train.shape == (40, 40)
    assert not set(train.users) & set(others.users)
    model = unfitted("itemknn").fit(train)
    known, _, hidden = others.split(by="time", valid=0, test=0.3)
    hits = []
    for row in range(20):
        relevant = set(hidden.take([row]).matrix.indices.tolist())
        if relevant:
            found = set(model.recommend(known.take([row]), k=10).item_rows[0].tolist())
            hits.append(len(found & relevant) / len(relevant))
    assert Scorer("recall@10", hidden=0.3)(model, others) == pytest.approx(np.mean(hits))
    assert Scorer("recall@10", hidden=0.3, by="random")(model, others) != pytest.approx(np.mean(hits))
    # The rows of a matrix are people the model never saw, too, though they have numbers.
    drawn = Scorer("recall@10", by="random", seed=3)
    assert drawn(model, others.matrix) == drawn(model, others.matrix.toarray()) == drawn(model, others)


def test_items_only_strangers_have_are_left_out() -> None:
    model = unfitted("popularity").fit(Interactions.from_arrays([0, 0, 1, 1], [1, 2, 2, 3]))
    strangers = Interactions.from_arrays(["x"] * 4, [1, 2, 3, 99], timestamp=[1, 2, 4, 3])
    assert Scorer("recall@2", hidden=0.4)(model, strangers) == 1.0  # 1 and 2 are given, 3 hidden, 99 unknown
    with pytest.raises(ValueError, match="data holds no history long enough"):
        Scorer()(model, strangers.take([0]).where(np.array([True, False, False, False])))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_search_over_interactions(make: Any) -> None:
    frame = make(FRAME.to_dict("list"))
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(unfitted("ease"), {"l2": [0.1, 30.0]}, scoring=Scorer("recall@10"), cv=folds).fit(frame)
    for place, (train, test) in enumerate(folds.split(FRAME)):
        model = unfitted("ease").set_params(**search.best_params_).fit(FRAME.iloc[train])
        expected = model.evaluate(FRAME.iloc[test], k=[10])["recall@10"]
        assert search.cv_results_[f"split{place}_test_score"][search.best_index_] == pytest.approx(expected)
    assert search.best_estimator_.recommend(k=3).to_frame(like=frame).shape == (180, 4)


def test_several_metrics() -> None:
    scoring = {"ndcg": Scorer("ndcg@10"), "coverage": Scorer("coverage@10")}
    search = GridSearchCV(unfitted("rp3beta"), {"beta": [0.1, 0.9]}, scoring=scoring, refit="ndcg", cv=2)
    results = search.fit(DATA.matrix).cv_results_
    assert {"mean_test_ndcg", "mean_test_coverage"} <= results.keys()
    assert np.isfinite(results["mean_test_coverage"]).all()
    assert pickle.loads(pickle.dumps(scoring)) == scoring  # what n_jobs sends to other processes


def test_the_last_step_of_a_pipeline() -> None:
    model = Pipeline([("none", "passthrough"), ("recommend", unfitted("ease"))])
    assert len(cross_val_score(model, DATA.matrix, scoring=_last_step, cv=3)) == 3


def _last_step(pipeline: Pipeline, data: Any, y: object = None) -> float:
    return Scorer("ndcg@5")(pipeline[-1], data)


def test_users_nobody_knows_in_a_frame_are_said() -> None:
    with pytest.raises(ValueError, match="test must hold an interaction of a known user"):
        cross_val_score(
            unfitted("ease"), FRAME, groups=FRAME["user"], cv=GroupKFold(2), scoring=Scorer(), error_score="raise"
        )


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"metric": "auc"}, ValueError, "metric must be one of"),
        ({"hidden": 0}, ValueError, "hidden must be above 0 and below 1, got 0"),
        ({"hidden": "most"}, TypeError, "hidden must be a number, got 'most'"),
        ({"by": "tiem"}, ValueError, "did you mean 'time'"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Scorer(**arguments)


def test_rows_of_interactions() -> None:
    np.testing.assert_array_equal(DATA[[3, 1]].matrix.toarray(), DATA.matrix.toarray()[[3, 1]])
    np.testing.assert_array_equal(DATA[:5].users.ids, DATA.users.ids[:5])
    np.testing.assert_array_equal(DATA[np.arange(60) % 2 == 0, ...].matrix.toarray(), DATA.matrix.toarray()[::2])
    for wrong in (3, np.int64(3)):
        with pytest.raises(TypeError, match="rows must be a slice or a vector"):
            DATA[wrong]
    with pytest.raises(IndexError):
        DATA[[60]]
    with pytest.raises(TypeError, match="not iterable"):
        iter(DATA)
