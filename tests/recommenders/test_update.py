"""Updates: further interactions learnt by a model that goes on from what it knows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import diffrec
from diffrec import Interactions, Recommender
from diffrec.recommenders import make
from diffrec.recommenders.rivals.item_sums import ItemSums, Sides, largest
from diffrec.recommenders.updating import passes_of
from support.interactions import events
from support.resuming import FORMS, unfitted

CLOSED: dict[str, dict[str, Any]] = {
    "popularity": {},
    "topfreq": {},
    "tifuknn": {"neighbors": 10},
    "itemknn": {"neighbors": 60},
    "itemknn, bm25": {"weighting": "bm25"},
    "rp3beta": {"alpha": 0.8, "beta": 0.3, "neighbors": 60},
    "ease": {"l2": 20.0},
    "ease, ageing": {"l2": 20.0, "half_life": 3.0, "binarize": False},
    "anchor": {},
    "stack": {"parts": ["popularity", ("ease", {"l2": 5.0})], "weights": (1.0, 2.0)},
}


def world(users: int = 150, items: int = 30) -> list[Interactions]:
    """Parts of a world in the order of time; users, items and whole histories are new in the later ones."""
    data = diffrec.datasets.synthetic(users=users, items=items, seed=1)
    held = data.events
    arrival = np.argsort(np.random.default_rng(0).permutation(users))
    part = np.clip((arrival[held.owners] - users // 2) // (users // 6), 0, 2)
    # What comes late of those who were there first.
    part = np.where((part == 0) & (held.times > np.quantile(held.times, 0.9)), 1, part)
    # Two items that nobody has at first.
    part = np.where((held.items < 2) & (part == 0), 1, part)
    names = np.array([f"item-{number}" for number in range(items)])
    return [
        Interactions.from_arrays(held.owners[part == one], names[held.items[part == one]], held.times[part == one])
        for one in range(3)
    ]


PARTS = world()


def fitted(form: str, data: Interactions, **changed: Any) -> Recommender:
    if form in CLOSED:
        return make(form.split(",")[0], **(CLOSED[form] | {"progress": False} | changed)).fit(data)
    return unfitted(form, **changed).fit(data)


def test_the_parts_bring_users_items_and_events_of_known_users() -> None:
    first, second, third = PARTS
    assert (first.users.find(second.users) < 0).any()
    assert (first.users.find(second.users) >= 0).any()
    assert (first.items.find(second.items) < 0).sum() == 2
    assert len(third) > 50


@pytest.mark.parametrize("form", [*CLOSED, *FORMS])
def test_all_interactions_are_known_and_old_rows_stay(form: str) -> None:
    first, second, _ = PARTS
    model = fitted(form, first)
    assert model.update(second) is model
    known = model.train_
    assert events(known) == sorted(events(first) + events(second))
    np.testing.assert_array_equal(known.users.ids[: first.shape[0]], first.users.ids)
    np.testing.assert_array_equal(known.items.ids[: first.shape[1]], first.items.ids)
    newcomer = second.users.ids[first.users.find(second.users) < 0][0]
    top = model.recommend([newcomer, first.users[0]], k=5)
    assert np.isfinite(top.scores).all()


@pytest.mark.parametrize("form", CLOSED)
def test_a_closed_form_ends_as_a_fit_on_everything_does(form: str) -> None:
    first, second, third = PARTS
    # Twice: the first time counts all, the second what has changed.
    model = fitted(form, first).update(second).update(third)
    anew = fitted(form, model.train_)
    np.testing.assert_allclose(model.score(), anew.score(), rtol=1e-6, atol=1e-6)
    assert model.training_.facts["updates"] == 2


@pytest.mark.parametrize("form", ["ease", "ease, ageing", "itemknn", "rp3beta"])
def test_sums_count_what_has_changed_alone(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = PARTS
    monkeypatch.setattr("diffrec.recommenders.rivals.item_sums._WORTH", 1.0)
    # Much that is new at once is a fit; a little is counted, the first time with all the rest.
    model = fitted(form, first).update(second)
    assert model._sums is None  # type: ignore[attr-defined]
    model.update(third.take(np.arange(3)))
    monkeypatch.setattr(ItemSums, "of", None)
    monkeypatch.setattr(type(model), "_fit", None)
    model.update(third.take(np.arange(3, 6)))
    monkeypatch.undo()
    np.testing.assert_allclose(model.score(), fitted(form, model.train_).score(), rtol=1e-6, atol=1e-6)


def test_sums_against_a_plain_product() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random((40, 12)) < 0.4, rng.uniform(0.5, 3, (40, 12)), 0).astype(np.float32)
    x = sparse.csr_array(values)
    right = rng.uniform(0.5, 2, x.nnz).astype(np.float32)
    dense = sparse.csr_array((right, x.indices, x.indptr), shape=x.shape).toarray()
    for exact in (True, False):
        np.testing.assert_allclose(ItemSums.of(Sides(x, right), exact=exact).matrix.toarray(), values.T @ dense, 1e-5)
    other = x[[3, 1]]
    changed = ItemSums.of(Sides(x, x.data)).changed(Sides(x[[0, 1]], x[[0, 1]].data), Sides(other, other.data))
    rows = values[[3, 1, *range(2, 40)]].astype(np.float64)
    np.testing.assert_allclose(changed.matrix.toarray(), rows.T @ rows, rtol=1e-10)


@pytest.mark.parametrize("itself", [True, False])
def test_the_largest_of_each_row(itself: bool) -> None:
    rng = np.random.default_rng(1)
    dense = np.where(rng.random((9, 9)) < 0.7, rng.permutation(81).reshape(9, 9) + 1.0, 0)
    wanted = np.zeros_like(dense)
    for row in range(9):
        values = np.where(np.arange(9) == row, 0 if not itself else dense[row], dense[row])
        best = np.argsort(-values)[:3]
        wanted[row, best] = values[best]
    np.testing.assert_array_equal(largest(sparse.csr_array(dense), 3, itself=itself).toarray(), wanted)


def test_passes_are_a_tenth_of_those_of_the_fit_or_what_is_asked() -> None:
    first, second, third = PARTS
    model = fitted("multidae", first, epochs=20, holdout=0)
    assert len(model.update(second).training_.epochs) == 2
    assert model.training_.facts["fit_epochs"] == 20
    # Of the fit, however many updates there were.
    assert len(model.update(third).training_.epochs) == 2
    assert len(model.update(third, epochs=3).training_.epochs) == 3
    assert model.settings.epochs == 20  # type: ignore[attr-defined]
    assert model.training_.facts["updates"] == 3


@pytest.mark.parametrize(
    "form", ["diffrec, anchored", "t-diffrec", "l-diffrec", "lightgcn", "multivae", "sasrec", "ials"]
)
def test_a_file_keeps_what_an_update_goes_on_from(form: str, tmp_path: Path) -> None:
    first, second, third = PARTS
    model = fitted(form, first).update(second)
    model.save(tmp_path / "model.diffrec")
    again = diffrec.load(tmp_path / "model.diffrec", device="cpu")
    np.testing.assert_array_equal(again.score(), model.score())
    np.testing.assert_allclose(again.update(third).score(), model.update(third).score(), rtol=1e-4, atol=1e-5)


def test_a_stack_keeps_how_long_its_parts_were_trained(tmp_path: Path) -> None:
    first, second, _ = PARTS
    stack = diffrec.Stack(parts=["ease", ("multidae", {"dims": (8,), "latent": 4, "epochs": 20, "holdout": 0})])
    stack.set_params(progress=False).fit(first).save(tmp_path / "stack.diffrec")
    stack = diffrec.load(tmp_path / "stack.diffrec").update(second)  # type: ignore[assignment]
    assert [len(part.training_.epochs) for part in stack.parts_] == [0, 2]
    assert all(part.train_ is stack.train_ for part in stack.parts_)


@pytest.mark.parametrize("form", ["diffrec", "t-diffrec", "l-diffrec", "multidae", "lightgcn", "sasrec", "ials"])
def test_training_goes_on_from_the_weights(form: str) -> None:
    """At a rate of hardly anything the known items' vectors stay what they were."""
    first, second, _ = PARTS
    slow = {} if form == "ials" else {"lr": 1e-9}
    model = fitted(form, first)
    before = np.asarray(model._item_vectors())
    if form != "ials":
        model.settings = model.settings.replaced(slow | ({"autoencoder_lr": 1e-9} if form == "l-diffrec" else {}))
    model.update(second)
    after = np.asarray(model._item_vectors())[: len(before)]
    alike = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    # iALS solves anew, from where it is; the vectors of LightGCN are those of another graph.
    assert np.median(alike) > (0.8 if form in ("ials", "lightgcn") else 0.99999)


def test_a_new_item_begins_with_what_is_known_of_its_like() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(60), 4)
    taken = np.concatenate([rng.choice(np.arange(user % 2, 16, 2), 4, replace=False) for user in range(60)])
    model = make("multidae", dims=(16,), latent=4, epochs=40, holdout=0, batch_size=20, lr=0.01, progress=False)
    model.fit(Interactions.from_arrays(owners, taken))
    # Even users take a new item, 16, and odd ones another, 17.
    model.update(Interactions.from_arrays(np.arange(60), 16 + np.arange(60) % 2), epochs=1)
    for new in (16, 17):
        assert set(model.similar_items([new], k=5).items[0] % 2) == {new % 2}


def test_a_fit_may_begin_at_another_model() -> None:
    first, second, _ = PARTS
    there = make("multidae", dims=(8,), latent=4, epochs=30, holdout=0, progress=False, lr=0.01).fit(first)
    cold, warm = (
        make("multidae", dims=(8,), latent=4, epochs=1, holdout=0, progress=False, lr=0.01).fit(second, init=init)
        for init in (None, there)
    )
    assert warm.training_.epochs[0].loss < cold.training_.epochs[0].loss
    again = diffrec.fit(second, init=there, epochs=1)
    assert again.variant == "multidae"
    np.testing.assert_array_equal(again.score(), warm.score())


def test_what_cannot_be_begun_at_is_said() -> None:
    first, second, _ = PARTS
    ease, narrow = fitted("ease", first), fitted("multidae", first)
    with pytest.raises(TypeError, match="init must be a fitted IALS, got EASE"):
        diffrec.fit(second, variant="ials", init=ease)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="init must be a fitted recommender, got str"):
        diffrec.fit(second, init="model.diffrec")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"init has 'items_in.weight' of shape \(28, 8\), .* make it \(\d+, 12\)"):
        make("multidae", dims=(12,), latent=4, progress=False).fit(second, init=narrow)
    with pytest.raises(ValueError, match="init has 4 factors, and this fit 5"):
        make("ials", factors=5, progress=False).fit(second, init=fitted("ials", first))
    with pytest.raises(RuntimeError, match="not fitted"):
        make("ease").fit(second, init=make("ease"))
    with pytest.raises(RuntimeError, match="not fitted"):
        make("ease").update(second)


@pytest.mark.parametrize(
    ("new", "error", "words"),
    [
        (Interactions.from_arrays([1], [3], [5]), ValueError, "item ids that are integers, such as 3, .* are strings"),
        (Interactions.from_arrays(["ann"], ["item-3"], [5]), ValueError, "user ids that are strings, such as 'ann'"),
        (Interactions.from_arrays([1], ["item-3"]), ValueError, "new_interactions must have timestamps"),
        (np.ones((3, 2)), ValueError, "must have at least the users of the training data, .* got 3"),
        (np.ones((400, 40)), ValueError, "400 users and the model .*, which have ids"),
        (np.zeros((3, 2)), ValueError, "there are no interactions"),
        ("later.csv", TypeError, "new_interactions must be Interactions"),
    ],
)
def test_what_cannot_be_learnt_changes_nothing(new: Any, error: type[Exception], words: str) -> None:
    model = fitted("multidae", PARTS[0])
    before, train = model.score(), model.train_
    with pytest.raises(error, match=words):
        model.update(new)
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        model.update(PARTS[1], epochs=0)
    assert model.train_ is train
    np.testing.assert_array_equal(model.score(), before)


def test_an_interrupted_update_leaves_the_model_as_it_was() -> None:
    first, second, _ = PARTS

    def interrupt(record: Any) -> None:
        if record.epoch == 2 and armed:
            raise KeyboardInterrupt

    armed = False
    model = fitted("multidae", first, callbacks=[interrupt])
    before, armed = model.score(), True
    with pytest.raises(KeyboardInterrupt) as interruption:
        model.update(second, epochs=4)
    np.testing.assert_array_equal(model.score(), before)
    assert model.train_ is not interruption.value.partial.train_  # type: ignore[attr-defined]
    assert len(interruption.value.partial.training_.epochs) == 2  # type: ignore[attr-defined]
    assert passes_of(interruption.value.partial) == passes_of(model)  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["diffrec, anchored", "l-diffrec", "ials"])
def test_an_update_that_stops_goes_on(form: str, tmp_path: Path) -> None:
    first, second, third = PARTS
    whole = fitted(form, first).update(second, epochs=4)
    stops = [True]

    def stop(record: Any) -> None:
        if stops and record.epoch == 3 and ready:
            stops.clear()
            raise KeyboardInterrupt

    ready = False
    path, model = tmp_path / "update.checkpoint", fitted(form, first, callbacks=[stop])
    ready = True
    with pytest.raises(KeyboardInterrupt):
        model.update(second, epochs=4, checkpoint=path)
    with pytest.raises(diffrec.CheckpointError, match="is the checkpoint of data="):
        fitted(form, first).update(third, epochs=4, checkpoint=path)
    model.update(second, epochs=4, checkpoint=path)
    np.testing.assert_array_equal(model.score(), whole.score())
    finished = fitted(form, first).update(second, epochs=4, checkpoint=path)
    np.testing.assert_array_equal(finished.score(), whole.score())


def test_matrices_count_on_where_the_models_rows_end() -> None:
    first = sparse.csr_array(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.float32))
    more = sparse.csr_array(np.array([[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]], dtype=np.float32))
    model = diffrec.fit(first, variant="popularity").update(more)
    assert model.train_.matrix.toarray().tolist() == [[1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]]
    assert model.recommend([2], k=4).items.tolist() == [[1, 2, -1, -1]]


def test_facts_and_dislikes_are_joined() -> None:
    def votes(items: list[int], value: list[float], genre: list[str], **more: Any) -> Interactions:
        info = {"genre": genre, "price": np.arange(len(items), dtype=np.float64)} | more
        return Interactions.from_arrays(
            [0] * len(items), items, None, value, items=items, item_info=info, negatives="dislike"
        )

    model = diffrec.fit(votes([1, 2, 3], [1, -1, 1], ["a", "b", "c"]), variant="ials", factors=2)
    model.update(votes([2, 4], [3, 1], ["x", "longer"], colour=["red", "blue"]))
    train = model.train_
    assert train.item_info["genre"].tolist() == ["a", "b", "c", "longer"]
    assert train.item_info["price"].tolist() == [0, 1, 2, 1]
    assert "colour" not in train.item_info
    # The newest word on item 2 is not known without times: events and dislikes share no cell.
    assert train.n_dislikes + len(train) == 4
    later = Interactions.from_arrays([5], [9])
    assert model.update(later).train_.item_info["genre"][-1] == ""
    assert np.isnan(model.train_.item_info["price"][-1])
    with pytest.raises(RuntimeError, match="not fitted"):
        diffrec.EASE().save("nowhere", measured=False)


@pytest.mark.parametrize(("before", "after"), [(3, 2), (None, 2), (2, None)])
def test_init_of_another_form_is_refused(before: int | None, after: int | None) -> None:
    small: dict[str, Any] = {"dims": (8,), "latent_dims": (4,), "epochs": 1, "holdout": 0, "progress": False}
    there = diffrec.DiffRec(groups=before, **small).fit(PARTS[0])
    with pytest.raises(ValueError, match=f"groups={before}, and these settings have groups={after}"):
        diffrec.DiffRec(groups=after, **small).fit(PARTS[1], init=there)


def test_an_anchor_of_other_data_is_refused() -> None:
    other = diffrec.Anchor().fit(diffrec.datasets.synthetic(users=30, items=9, seed=1))
    model = diffrec.DiffRec(dims=(8,), epochs=1, anchor=True, holdout=0, progress=False)
    with pytest.raises(ValueError, match="anchor maps 9 features to 9 items"):
        model.anchored_by(other).fit(PARTS[0])
