"""The module that is traced ranks as ``recommend`` does, for every form; it is run as it is here, which is quick."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

import diffrec
from diffrec import Interactions, Recommender
from diffrec.export import graph
from diffrec.export.graph import served
from diffrec.export.inputs import inputs
from support.exports import (
    DATA,
    EMPTY_USER,
    FORMS,
    GREEDY_USER,
    ITEMS,
    TWINS,
    USERS,
    assert_same_lists,
    fitted,
    strangers,
)

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest) -> Recommender:
    return fitted(request.param)


def ranked(model: Recommender, users: Any, k: int, *, exclude_seen: bool = True) -> tuple[np.ndarray, np.ndarray]:
    module = served(model, k, exclude_seen=exclude_seen, ordered_topk=False)
    with torch.no_grad():
        items, scores = module(*map(torch.from_numpy, inputs(model, users)))
    assert items.dtype == torch.int64
    assert scores.dtype == torch.float32
    return items.numpy(), scores.numpy()


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_ranks_known_users(model: Recommender, exclude_seen: bool) -> None:
    items, scores = ranked(model, None, ITEMS, exclude_seen=exclude_seen)
    assert_same_lists(items, scores, model.recommend(k=ITEMS, exclude_seen=exclude_seen))


def test_ranks_strangers_and_the_shorter_list_is_the_longer_ones_beginning(model: Recommender) -> None:
    items, scores = ranked(model, strangers(), 5)
    assert_same_lists(items, scores, model.recommend(strangers(), k=5))


def test_scores_all_items(model: Recommender) -> None:
    items, scores = ranked(model, strangers(), ITEMS, exclude_seen=False)
    own = np.empty_like(scores)
    np.put_along_axis(own, items, scores, axis=1)
    np.testing.assert_allclose(own, model.score(strangers()), **TOLERANCE)


def test_more_than_there_are(model: Recommender) -> None:
    items, scores = ranked(model, [GREEDY_USER, EMPTY_USER], ITEMS + 3)
    assert items[0].tolist() == [17] + [-1] * (ITEMS + 2)
    assert np.isneginf(scores[0, 1:]).all()
    assert sorted(items[1].tolist()) == [-1] * 3 + list(range(ITEMS))
    assert np.isneginf(scores[1, ITEMS:]).all()


def test_of_equal_scores_the_lower_item_comes_first() -> None:
    items, scores = ranked(fitted("popularity"), [EMPTY_USER], ITEMS)
    assert (np.diff(scores[0]) == 0).sum() >= 1
    expected = np.lexsort((np.arange(ITEMS), -fitted("popularity").score([EMPTY_USER])[0]))
    np.testing.assert_array_equal(items[0], expected)
    place = items[0].tolist().index(TWINS[0])
    assert items[0][place + 1] == TWINS[1]


def test_where_padding_stands_and_what_it_weighs_says_nothing(model: Recommender) -> None:
    history, weights = inputs(model, [1])
    n = history.shape[1]
    wider = np.full((2, n + 6), -1)
    spread = np.full((2, n + 6, *weights.shape[2:]), 7.0, dtype=np.float32)
    places = [np.arange(n), np.sort(np.random.default_rng(0).choice(n + 6, n, replace=False))]
    for row, place in enumerate(places):
        wider[row, place], spread[row, place] = history[0], weights[0]
    module = served(model, 4, exclude_seen=True, ordered_topk=False)
    with torch.no_grad():
        plain = module(torch.from_numpy(history), torch.from_numpy(weights))
        items, scores = module(torch.from_numpy(wider), torch.from_numpy(spread))
    np.testing.assert_array_equal(items, plain[0].expand(2, -1))
    np.testing.assert_allclose(scores, plain[1].expand(2, -1), rtol=1e-4, atol=1e-5)


def test_it_is_a_copy() -> None:
    model = diffrec.fit(DATA, variant="diffrec", **FORMS["x0"][1])
    module = served(model, 4, exclude_seen=True, ordered_topk=False)
    example = [torch.from_numpy(part) for part in inputs(model, [1])]
    with torch.no_grad():
        before = module(*example)[1].clone()
        model._network.denoiser.items_out.zero_()  # type: ignore[attr-defined]
        torch.testing.assert_close(module(*example)[1], before)


@pytest.mark.parametrize(
    ("variant", "settings", "words"),
    [
        ("diffrec", FORMS["x0"][1] | {"forward_steps": 2}, "DiffRec with noise at inference cannot be exported"),
        ("l-diffrec", FORMS["latent"][1] | {"sampling_noise": True}, "with noise at inference cannot be exported"),
        ("lightgcn", {"epochs": 1, "factors": 4}, "LightGCN cannot be exported: its scores are no function of a hist"),
    ],
)
def test_what_cannot_be_exported_says_so(variant: str, settings: dict[str, Any], words: str) -> None:
    model = diffrec.fit(DATA, variant=variant, **settings)
    with pytest.raises(TypeError, match=words):
        diffrec.export.program(model)


def test_a_torch_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    asked = ".".join(map(str, graph.OLDEST_TORCH))
    assert f"torch>={asked}" in project["optional-dependencies"]["onnx"]
    monkeypatch.setattr(graph, "OLDEST_TORCH", (99, 1))
    with pytest.raises(ImportError, match=r"needs torch 99\.1 or newer, and this is .*diffrec\[onnx\]"):
        diffrec.export.program(diffrec.fit(np.array([[1, 0], [1, 1]]), variant="popularity"), k=1)


def test_bad_arguments() -> None:
    model = fitted("popularity")
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        diffrec.export.program(model, k=0)
    with pytest.raises(TypeError, match="exclude_seen must be True or False, got 'no'"):
        diffrec.export.program(model, exclude_seen="no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model must be a fitted recommender, got str"):
        diffrec.export.program("model.diffrec")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="not fitted yet"):
        diffrec.export.program(diffrec.EASE())


def test_inputs_are_ordered_and_weighed_as_the_model_does() -> None:
    model = fitted("forecast")
    history, weights = inputs(model, [2, 0])
    assert history.dtype == np.int64
    assert weights.shape == (*history.shape, 3)
    for row, user in enumerate([2, 0]):
        own = slice(*DATA.matrix.indptr[user : user + 2])
        items, times = DATA.matrix.indices[own], DATA.timestamps[own]  # type: ignore[index]
        order = np.argsort(times)
        n = len(items)
        assert history[row].tolist() == items[order].tolist() + [-1] * (history.shape[1] - n)
        ages, seconds = np.arange(n)[::-1], times.max() - times[order]
        expected = np.stack([np.exp(-ages / 1.0), np.exp(-seconds / (90 * 86400)), np.full(n, n**-0.5)], axis=1)
        np.testing.assert_allclose(weights[row, :n], np.where(expected < 1e-4, 0, expected), rtol=1e-4)
        assert not weights[row, n:].any()


@pytest.mark.parametrize("form", ["time weights", "clock time weights", "latent, time weights", "eps, values", "x0"])
def test_weights_are_the_entries_of_the_vectors(form: str) -> None:
    model = fitted(form)
    history, weights = inputs(model)
    dense = np.zeros((USERS, ITEMS + 1), dtype=np.float32)
    np.put_along_axis(dense, history, weights, axis=1)
    assert isinstance(model, diffrec.DiffRec)
    np.testing.assert_array_equal(dense[:, :ITEMS], model._read(DATA).toarray())


def test_values_are_read_where_the_model_reads_them() -> None:
    for form in ("itemknn", "ials", "ease, values", "rp3beta, values"):
        assert fitted(form)._reading().values
        assert inputs(fitted(form)).weights.max() == 5
    for form in ("ease", "rp3beta", "multivae", "cfgan", "popularity"):
        assert not fitted(form)._reading().values
        history, weights = inputs(fitted(form))
        np.testing.assert_array_equal(weights, history >= 0)


def test_inputs_of_nobody_and_without_times() -> None:
    nobody = sparse.csr_array((2, ITEMS), dtype=np.float32)
    history, weights = inputs(fitted("forecast"), nobody)
    assert history.tolist() == [[-1], [-1]]
    assert weights.shape == (2, 1, 3)
    untimed = Interactions.from_csr(sparse.eye_array(2, ITEMS, format="csr"))
    with pytest.raises(ValueError, match="needs timestamps"):
        inputs(fitted("forecast"), Interactions(untimed.matrix, None, untimed.users, DATA.items))
    assert inputs(fitted("ease"), untimed.matrix).history.tolist() == [[0], [1]]
