"""Vectors of users and items: their inner products are the scores, in every form that has them."""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pytest

import diffrec
from support.exports import DATA, FORMS, fitted, strangers

WITHOUT = {
    "ease", "ease, values", "itemknn", "itemknn, bm25, dense", "rp3beta", "rp3beta, values", "anchor", "stack",
    "stack with a forecast", "anchor and denoiser", "approximate anchor and denoiser", "forecast, approximate anchor",
    "anchor of a forecast", "forecast", "latent forecast, anchor", "sequence", "sequence by the clock, anchor",
}  # fmt: skip
QUICK = {
    "x0", "eps, values", "time weights", "latent", "popularity", "topfreq", "ials", "multivae", "cfgan",
    "forecast by own views", "noise at every step", "lightgcn",
}  # fmt: skip
_QUICK = {"dims": (8,), "epochs": 2, "holdout": 0, "progress": False, "device": "cpu"}
#: Further forms that have them.
MORE = {
    "forecast alone": {"variant": "t-diffrec", "anchor": False, **_QUICK},
    "forecast by own views": {"variant": "t-diffrec", "anchor": False, "repeats": "include", **_QUICK},
    "sequence alone": {"variant": "t-diffrec", "anchor": False, "denoiser": "sequence", "sequence_width": 8, **_QUICK},
    "noise at first": {"variant": "diffrec", "forward_steps": 2, **_QUICK},
    "noise at every step": {"variant": "diffrec", "forward_steps": 2, "sampling_noise": True, **_QUICK},
    "lightgcn": {"variant": "lightgcn", "factors": 4, "epochs": 1, "holdout": 0, "progress": False},
}


def cases(forms: Iterable[str], quick: Collection[str]) -> list[Any]:
    """Forms as parameters, those that are not quick for long runs."""
    return [one if one in quick else pytest.param(one, marks=pytest.mark.long) for one in forms]


@pytest.mark.parametrize("form", cases([*sorted(set(FORMS) - WITHOUT), *MORE], QUICK))
def test_inner_products_are_the_scores_of_what_is_unseen(form: str) -> None:
    model = diffrec.fit(DATA, **MORE[form]) if form in MORE else fitted(form)
    items = model.item_vectors()
    assert items.dtype == np.float32
    assert items.shape[0] == DATA.shape[1]
    for asked in (None, DATA.users.ids[[7, 3, 7]], strangers()):
        histories, rows, _ = model._histories(asked)
        users = model.user_vectors(asked)
        assert users.shape == (len(rows), items.shape[1])
        unseen = histories.matrix[rows].toarray() == 0
        expected = model.score(asked)
        np.testing.assert_allclose((users @ items.T)[unseen], expected[unseen], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", cases(sorted(WITHOUT), ("ease", "itemknn", "anchor", "stack")))
def test_where_there_are_none_the_variant_is_named(form: str) -> None:
    model = fitted(form)
    with pytest.raises(TypeError, match=f"{model.variant} has no vectors of users and items"):
        model.item_vectors()
    with pytest.raises(TypeError, match="its scores are no inner products"):
        model.user_vectors()


def test_vectors_rank_as_the_model_does() -> None:
    model = fitted("ials")
    scores = model.user_vectors() @ model.item_vectors().T
    scores[DATA.matrix.nonzero()] = -np.inf
    top = model.recommend(k=5)
    np.testing.assert_array_equal(
        np.argsort(-scores, axis=1, kind="stable")[:, :5][top.item_rows >= 0], top.item_rows[top.item_rows >= 0]
    )


def test_parts_of_a_stack_lie_side_by_side() -> None:
    stack = diffrec.Stack(parts=[("ials", {"factors": 4, "progress": False}), "popularity"], weights=[2, 1]).fit(DATA)
    users, items = stack.user_vectors(), stack.item_vectors()
    assert items.shape == (DATA.shape[1], 5)
    np.testing.assert_allclose(users @ items.T, stack.score(), rtol=1e-4, atol=1e-5)


def test_no_users_have_no_rows() -> None:
    assert fitted("ials").user_vectors(np.empty(0, dtype=np.int64)).shape == (0, 8)
