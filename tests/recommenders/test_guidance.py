"""Guidance moves what it says it moves, in every form of DiffRec, and costs nothing where it weighs nothing."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import diffrec
from diffrec import DiffRec
from diffrec.evaluation import intra_list_diversity, novelty, self_information, share
from diffrec.recommenders import guidance

DATA = diffrec.datasets.synthetic(users=80, items=60, seed=1)
GENRES = DATA.item_info["genre"]
QUICK: dict[str, Any] = {"epochs": 12, "batch_size": 20, "holdout": 0, "lr": 0.01, "progress": False}
FORMS: dict[str, dict[str, Any]] = {
    "items": {"variant": "diffrec", "dims": (16,)},
    "items, noise predicted": {"variant": "diffrec", "dims": (16,), "predict": "eps", "noise_scale": 1.0},
    "items, unit length": {"variant": "diffrec", "dims": (16,), "normalize": True},
    "items with noise": {"variant": "diffrec", "dims": (16,), "forward_steps": 2, "sampling_noise": True},
    "items and an anchor": {"variant": "diffrec", "dims": (16,), "anchor": True, "anchor_scale": 2.0},
    "forecast": {"variant": "t-diffrec", "dims": (16,)},
    "sequence": {"variant": "t-diffrec", "denoiser": "sequence", "sequence_width": 16, "batch_size": 200},
    "latents": {"variant": "l-diffrec", "dims": (16,), "latent_dims": (16,)},
    "latents, deep decoder": {"variant": "l-diffrec", "dims": (16,), "latent_dims": (16,), "decoder_dims": (20,)},
    "latents, forecast": {"variant": "lt-diffrec", "dims": (16,), "latent_dims": (16,)},
}


@cache
def fitted(form: str) -> DiffRec:
    found = diffrec.fit(DATA, **QUICK | FORMS[form])
    assert isinstance(found, DiffRec)
    return found


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest) -> DiffRec:
    return fitted(request.param)


@pytest.fixture(scope="module")
def plain() -> DiffRec:
    return fitted("items")


def test_novelty_moves_lists_towards_what_few_have(model: DiffRec) -> None:
    bits = self_information(DATA.matrix)
    found = [novelty(model.recommend(k=8, novelty=weight).item_rows, bits) for weight in (-1, 0, 0.3, 1, 3)]
    assert np.all(np.diff(found) > 0), found


def test_diversity_moves_the_items_of_a_list_apart(model: DiffRec) -> None:
    vectors = model._item_vectors().numpy()
    found = [
        intra_list_diversity(model.recommend(k=8, diversity=weight).item_rows, vectors) for weight in (0, 1, 3, 10)
    ]
    assert np.all(np.diff(found) > 0), found
    assert found[-1] > found[0] + 0.05


def test_facts_in_objects_as_pandas_has_them_are_steered_to() -> None:
    info = {"genre": np.array(["crime", "art"], dtype=object)}
    data = diffrec.Interactions.from_arrays([0, 0, 1], ["a", "b", "a"], items=["a", "b"], item_info=info)
    asked = guidance.Guidance.of(data, {"art": 1})
    assert asked is not None
    assert asked.direction is not None
    assert asked.direction.tolist() == [0, 1]


def test_steering_moves_an_item_and_a_genre(model: DiffRec) -> None:
    listed = model.recommend(k=8).item_rows
    rare = DATA.items[int(np.bincount(listed.ravel(), minlength=60).argmin())]
    chosen = DATA.items.ids == rare
    found = [share(model.recommend(k=8, steer={rare: weight}).item_rows, chosen) for weight in (-3, 0, 2, 20)]
    assert found[0] <= found[1] < found[2] <= found[3], found
    reachable = np.mean(DATA.matrix[:, np.flatnonzero(chosen)].toarray() == 0) / 8
    assert found[3] == pytest.approx(reachable)  # everyone who has not taken it
    genre = str(GENRES[0])
    found = [
        share(model.recommend(k=8, steer={genre: weight}).item_rows, genre == GENRES) for weight in (-1, 0, 0.5, 2)
    ]
    assert np.all(np.diff(found) > 0), found


def test_weights_of_zero_are_no_guidance_at_all(model: DiffRec, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = model.recommend(k=6)

    def never(*_: Any) -> None:
        raise AssertionError("this would cost something")

    monkeypatch.setattr(DiffRec, "_guide", never)
    for nothing in ({"steer": {}}, {"steer": {DATA.items[3]: 0}, "tags": {}}, {"novelty": 0}, {"diversity": 0.0}):
        found = model.recommend(k=6, **nothing)
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_small_weights_change_little(model: DiffRec) -> None:
    expected = model.recommend(k=6)
    for tiny in ({"steer": {DATA.items[3]: 1e-7}}, {"novelty": 1e-7}, {"diversity": 1e-7}):
        np.testing.assert_allclose(model.recommend(k=6, **tiny).scores, expected.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["forecast", "sequence"])
def test_a_weight_is_a_standard_deviation_of_the_users_scores(form: str) -> None:
    """In one step an item's score rises by exactly that; where there are more, the next test looks at the others."""
    model, weight, row = fitted(form), 1.5, 7
    scores = model.score()
    guided = model.recommend(k=60, exclude_seen=False, steer={DATA.items[row]: weight})
    taken = DATA.matrix.toarray() > 0
    for user in range(80):
        place = int(np.flatnonzero(guided.item_rows[user] == row)[0])
        unit = np.std(scores[user][~taken[user]])
        assert guided.scores[user, place] - scores[user, row] == pytest.approx(weight * unit, rel=1e-3)


@pytest.mark.parametrize("form", ["items", "items, noise predicted", "items and an anchor", "latents"])
def test_it_acts_in_the_chain_not_on_its_end(form: str) -> None:
    """What guidance adds to the last x_0 is known; more has changed, because the steps before it were guided."""
    model = diffrec.fit(DATA, **QUICK | FORMS[form] | {"noise_scale": 1.0, "noise_max": 0.5})
    row = 7
    scores, taken = model.score([4])[0], DATA.matrix[[4]].toarray()[0] > 0
    guided = model.recommend(4, k=60, exclude_seen=False, steer={DATA.items[row]: 3})
    found = np.empty(60)
    found[guided.item_rows[0]] = guided.scores[0]
    added = np.zeros(60)
    added[row] = 3 * np.std(scores[~taken])
    rest = found - scores - added
    assert np.abs(rest).max() > 1e-3 * np.std(scores)
    # One step only: nothing else has changed.
    one = diffrec.fit(DATA, **QUICK | FORMS[form] | {"steps": 1})
    scores = one.score([4])[0]
    guided = one.recommend(4, k=60, exclude_seen=False, steer={DATA.items[row]: 3})
    found[guided.item_rows[0]] = guided.scores[0]
    added[row] = 3 * np.std(scores[~taken])
    np.testing.assert_allclose(found, scores + added, atol=2e-5 * np.abs(scores).max())


@pytest.mark.parametrize("asked", [{"steer": {DATA.items[7]: 1.0}}, {"novelty": 0.7}, {"diversity": 2.0}])
def test_hidden_guidance_is_that_of_the_dense_chain(plain: DiffRec, asked: dict[str, Any]) -> None:
    """The whole of ``recommend`` against dense rows: units, directions, lists looked at, and the chain."""
    wanted = guidance.Guidance.of(DATA, **asked)
    assert wanted is not None
    x0 = torch.from_numpy(np.ceil(DATA.matrix.toarray())).float()
    scores, taken = torch.from_numpy(plain.score()), x0 > 0
    unit = torch.stack([row[~mask].std(correction=0) for row, mask in zip(scores, taken, strict=True)])
    vectors = torch.nn.functional.normalize(plain._item_vectors())
    covered, looks, k = torch.zeros(80, vectors.shape[1]), 0, 6

    def push(_: int, predicted: torch.Tensor) -> torch.Tensor:
        nonlocal covered, looks
        steady = unit[:, None] * torch.from_numpy(wanted.direction) if wanted.direction is not None else 0.0
        if not wanted.diversity:
            return steady  # type: ignore[return-value]
        for _ in range(2):  # ten looks over five steps
            now = predicted + steady - wanted.diversity * unit[:, None] * (covered @ vectors.T)
            best = now.masked_fill(taken, -torch.inf).topk(k).indices
            share = 2 / (looks + 2)
            covered = (1 - share) * covered + share * vectors[best].mean(dim=1)
            looks += 1
        return steady - wanted.diversity * unit[:, None] * (covered @ vectors.T)

    with torch.no_grad():
        item = plain._network
        expected = item.process.reverse(item.denoiser, x0, guide=push).masked_fill(taken, -torch.inf)  # type: ignore[union-attr, arg-type]
    found = plain.recommend(k=k, **asked)
    np.testing.assert_allclose(found.scores, expected.topk(k).values, atol=1e-4)
    np.testing.assert_array_equal(np.mean(found.item_rows == expected.topk(k).indices.numpy()), 1)


def test_users_do_not_depend_on_each_other(plain: DiffRec) -> None:
    asked: dict[str, Any] = {"steer": {str(GENRES[0]): 0.5}, "novelty": 0.2, "diversity": 1.0}
    together = plain.recommend(k=5, **asked)
    for user in (0, 17, 79):
        np.testing.assert_array_equal(plain.recommend(user, k=5, **asked).items[0], together.items[user])
    np.testing.assert_array_equal(plain.recommend([9, 2, 9], k=5, **asked).items, together.items[[9, 2, 9]])
    strangers = plain.recommend(DATA.matrix[:3], k=5, **asked)
    np.testing.assert_array_equal(strangers.items, together.items[:3])


def test_what_may_not_be_recommended_is_not(model: DiffRec) -> None:
    denied, allowed = DATA.items.ids[:5], DATA.items.ids[:30]
    asked: dict[str, Any] = {"steer": {DATA.items[2]: 9.0}, "novelty": 0.3, "diversity": 1.0}
    top = model.recommend(k=12, allow=allowed, deny=denied, **asked)
    assert set(top.item_rows.ravel()) <= set(range(5, 30)) | {-1}
    assert DATA.matrix.toarray()[np.arange(80)[:, None], top.item_rows][top.item_rows >= 0].sum() == 0
    few = model.recommend(3, k=4, allow=[DATA.items[40]], **asked)  # lists that cannot be filled
    assert (few.item_rows[0] >= 0).sum() <= 1


def test_steps_of_a_guided_chain_end_in_what_is_recommended(model: DiffRec) -> None:
    asked: dict[str, Any] = {"steer": {str(GENRES[3]): 1.0}, "novelty": 0.2, "diversity": 2.0}
    if not model.has_chain:
        with pytest.raises(TypeError, match="there is no chain to watch"):
            model.reverse_steps(4, **asked)
        return
    steps, top = model.reverse_steps(4, k=6, **asked), model.recommend(4, k=6, **asked)
    np.testing.assert_array_equal(steps.items[-1], top.items[0])
    np.testing.assert_allclose(steps.scores[-1], top.scores[0], rtol=1e-4, atol=1e-6)


def test_names_stand_for_items_tags_and_facts() -> None:
    data = diffrec.Interactions.from_arrays(
        ["Ann", "Bob", "Bob", "Cid"],
        ["tea", "tea", "milk", "cola"],
        items=["tea", "milk", "cola"],
        item_info={"title": ["tea", "milk", "cola"], "kind": ["hot|leaf", "white", "cold"], "year": [1, 2, 3]},
    )
    kind = guidance.Guidance.of

    def direction(steer: dict[Any, float], tags: Any = None) -> list[float]:
        found = kind(data, steer, tags)
        assert found is not None
        assert found.direction is not None
        return list(found.direction.tolist())

    assert direction({"tea": 2}) == [2, 0, 0]  # its title is the same item
    assert direction({"hot": 1, "leaf": 0.5, "cola": -1}) == [1.5, 0, -1]
    assert direction({"drinks": 1, "milk": 1}, {"drinks": ["tea", "milk", "tea"]}) == [1, 2, 0]
    for steer, tags, said in (
        ({"cold": 1}, {"cold": ["milk"]}, "steer names 'cold', which stands for more than one set"),
        ({"tea": 1}, {"tea": ["milk"]}, "steer names 'tea', which stands for more than one set"),
        ({"colla": 1}, None, "steer names 'colla', which is no item, tag or fact of an item; did you mean 'cola'?"),
        ({7: 1}, None, "steer names 7, which is no item, tag or fact of an item"),
        ({"drinks": 1}, {"drinks": ["beer"]}, r"tags\['drinks'\]: unknown item id 'beer'"),
        ({"tea": float("nan")}, None, r"steer\['tea'\] must be finite, got nan"),
    ):
        with pytest.raises(ValueError, match=said):
            kind(data, steer, tags)  # type: ignore[arg-type]
    numbered = diffrec.Interactions.from_arrays([0, 1], [318, 5])
    found = kind(numbered, {318: 2.0})
    assert found is not None
    assert found.direction is not None
    assert found.direction[numbered.items.rows(318)] == 2


def test_items_alike_in_popularity_have_no_novelty() -> None:
    even = diffrec.Interactions.from_csr(np.eye(4, dtype=np.float32))
    assert guidance.Guidance.of(even, novelty=1.0) is None


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"diversity": -1}, ValueError, "diversity must be at least 0, got -1"),
        ({"novelty": float("inf")}, ValueError, "novelty must be finite, got inf"),
        ({"novelty": "much"}, TypeError, "novelty must be a number, got 'much'"),
        ({"diversity": True}, TypeError, "diversity must be a number, got True"),
        ({"steer": ["Fantasy"]}, TypeError, r"steer must be a mapping, got \['Fantasy'\]"),
        ({"steer": {"Fantasy": None}}, TypeError, r"steer\['Fantasy'\] must be a number, got None"),
        ({"steer": {"Fantasy": 1}, "tags": "x"}, TypeError, "tags must be a mapping, got 'x'"),
    ],
)
def test_impossible_wishes_are_refused(plain: DiffRec, asked: Any, error: type[Exception], said: str) -> None:
    for ask in (plain.recommend, plain.reverse_steps, diffrec.fit(DATA, variant="popularity").recommend):
        with pytest.raises(error, match=said):
            ask(3, **asked)


@pytest.mark.parametrize("variant", ["popularity", "ease", "itemknn"])
def test_what_has_no_chain_cannot_be_guided(variant: str) -> None:
    rival = diffrec.fit(DATA, variant=variant)
    for asked in ({"novelty": 1}, {"diversity": 1}, {"steer": {DATA.items[0]: 1}}):
        with pytest.raises(TypeError, match=f"{type(rival).__name__} cannot be guided"):
            rival.recommend(3, **asked)  # type: ignore[arg-type]
    assert len(rival.recommend(3, novelty=0, diversity=0, steer={})) == 1
