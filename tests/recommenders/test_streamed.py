"""Fits from files: the weights of a fit in memory that takes the same batches, and what cannot be fitted so."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

import diffrec
from diffrec.data.prepare import prepare
from diffrec.data.streamed import ParquetInteractions
from diffrec.serving import Server
from diffrec.training import InMemoryRows, StreamedRows, rows
from diffrec.training.rows import HeldRows

SMALL: dict[str, Any] = {
    "dims": (12,),
    "epochs": 3,
    "batch_size": 16,
    "validate_every": 1,
    "progress": False,
    "lr": 0.01,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = diffrec.datasets.synthetic(users=300, items=60, seed=2)
    rng = np.random.default_rng(0)
    events = world.events
    raw = diffrec.Interactions.from_arrays(events.owners, events.items, events.times, rng.integers(1, 4, len(events)))
    place = tmp_path_factory.mktemp("streamed")
    raw.write(place / "raw.parquet")
    prepare(place / "raw.parquet", place / "out", value="value", block=300)
    assert ParquetInteractions(place / "out").n_blocks > 6
    return place / "out"


@pytest.fixture(scope="module")
def from_files(folder: Path) -> diffrec.Recommender:
    return diffrec.fit(ParquetInteractions(folder), valid=folder, variant="diffrec", **SMALL)


@pytest.fixture(scope="module")
def in_memory(folder: Path) -> diffrec.Recommender:
    train, valid = (ParquetInteractions(folder, part).read() for part in ("train", "valid"))
    return diffrec.fit(train, valid=valid, variant="diffrec", **SMALL)


def weights(model: diffrec.Recommender) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(array) for name, array in model._state().items()}


def assert_same(one: diffrec.Recommender, other: diffrec.Recommender) -> None:
    left, right = weights(one), weights(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert [epoch.loss for epoch in one.training_.epochs] == [epoch.loss for epoch in other.training_.epochs]
    assert [epoch.validation for epoch in one.training_.epochs] == [
        epoch.validation for epoch in other.training_.epochs
    ]


EMBEDDINGS = np.random.default_rng(0).standard_normal((60, 4))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"time_weights": "linear"},
        {"binarize": False, "predict": "eps"},
        {"repeats": "include", "normalize": True},
        {"variant": "lt-diffrec", "objective": "reconstruct", "time_weights": "linear", "item_embeddings": EMBEDDINGS},
        {"variant": "multivae"},
    ],
)
def test_a_fit_that_may_hold_all_users_is_that_in_memory(folder: Path, settings: dict[str, Any]) -> None:
    files, settings = ParquetInteractions(folder), {"variant": "diffrec"} | SMALL | settings
    model = diffrec.fit(files, valid=folder, **settings)
    train, valid = files.read(), ParquetInteractions(folder, "valid").read()
    assert_same(model, diffrec.fit(train, valid=valid, **settings))


def test_a_fit_by_blocks_is_that_in_memory_in_the_same_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ParquetInteractions(folder, held=90)
    settings = SMALL | {"time_weights": "linear", "binarize": False}
    model = diffrec.fit(files, valid=folder, variant="diffrec", **settings)

    class Replayed(InMemoryRows):
        def epoch(
            self, generator: np.random.Generator, batch_size: int
        ) -> Iterator[tuple[HeldRows, NDArray[np.int64]]]:
            stream = StreamedRows(files, lambda block: (block.matrix, None), self.shape[1])
            parts = 0
            for part, order in stream.epoch(generator, batch_size):
                yield self.held, part.numbers[order]
                parts += 1
            assert parts > 2

    monkeypatch.setattr(rows, "InMemoryRows", Replayed)
    valid = ParquetInteractions(folder, "valid").read()
    assert_same(model, diffrec.fit(files.read(), valid=valid, variant="diffrec", **settings))


def test_the_folder_stands_for_its_parts(folder: Path, from_files: diffrec.Recommender) -> None:
    by_path = diffrec.fit(str(folder), variant="diffrec", **SMALL)
    assert_same(by_path, from_files)
    assert by_path.training_.best_validation is not None


def test_what_is_fitted_from_files_recommends_to_histories_and_is_saved(
    folder: Path, from_files: diffrec.Recommender, in_memory: diffrec.Recommender, tmp_path: Path
) -> None:
    histories = ParquetInteractions(folder).read()
    from_files.save(tmp_path / "model.diffrec")
    for one in (from_files, diffrec.load(tmp_path / "model.diffrec")):
        assert one.train_.shape == (0, 60)
        np.testing.assert_array_equal(one.recommend(histories, k=5).items, in_memory.recommend(k=5).items)
        popular = one.recommend([12345], k=5, unknown="popular").items
        np.testing.assert_array_equal(popular, in_memory.recommend([12345], k=5, unknown="popular").items)
        with pytest.raises(ValueError, match="keeps no histories of the users it learnt from"):
            one.recommend([1], k=5)
    with Server(tmp_path / "model.diffrec", port=0) as server:
        asked = json.dumps({"history": [3, 7], "k": 5}).encode()
        request = urllib.request.Request(server.url + "recommend", asked, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            listed = json.load(answer)["items"]
    strangers = sparse.csr_array((np.ones(2), ([0, 0], [3, 7])), shape=(1, 60))
    assert listed == in_memory.recommend(strangers, k=5).items[0].tolist()


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_folder_is_evaluated_as_in_memory(
    folder: Path, from_files: diffrec.Recommender, in_memory: diffrec.Recommender, exclude_seen: bool
) -> None:
    valid, test = (ParquetInteractions(folder, part).read() for part in ("valid", "test"))
    seen = {"seen": valid} if exclude_seen else {}
    wanted = in_memory.evaluate(test, exclude_seen=exclude_seen, k=[3, 10], **seen)
    found = from_files.evaluate(folder, exclude_seen=exclude_seen, k=[3, 10])
    assert found.means == {name: wanted[name] for name in found}
    assert {"recall@3", "ndcg@10", "mrr@10"} <= found.means.keys()
    np.testing.assert_array_equal(found.ranked, wanted.ranked)
    np.testing.assert_array_equal(found.users, wanted.users)
    assert found.users_without_relevant == wanted.users_without_relevant
    assert found.repeats_left_out == wanted.repeats_left_out


def test_what_cannot_be_evaluated_is_said(folder: Path, from_files: diffrec.Recommender, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seen and by are for interactions in memory"):
        from_files.evaluate(folder, seen=np.eye(3))
    with pytest.raises(ValueError, match="test must be a part that comes after train"):
        from_files.evaluate(ParquetInteractions(folder))
    diffrec.datasets.synthetic(users=20, items=10, seed=0).write(tmp_path / "raw.parquet")
    prepare(tmp_path / "raw.parquet", tmp_path / "out")
    with pytest.raises(ValueError, match="test must be of the model's items"):
        from_files.evaluate(tmp_path / "out")


def test_a_checkpoint_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    files = ParquetInteractions(folder, held=90)
    whole = diffrec.DiffRec(**SMALL, holdout=0).fit(files)

    def stop(record: Any) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    file = tmp_path / "fit.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        diffrec.DiffRec(**SMALL, holdout=0, callbacks=(stop,)).fit(files, checkpoint=file)
    assert_same(diffrec.DiffRec(**SMALL, holdout=0).fit(files, checkpoint=file), whole)
    assert_same(diffrec.DiffRec(**SMALL, holdout=0).fit(files, checkpoint=file), whole)
    with pytest.raises(diffrec.CheckpointError):
        diffrec.DiffRec(**SMALL, holdout=0).fit(ParquetInteractions(folder, "test"), checkpoint=file)


@pytest.mark.parametrize(
    ("variant", "settings", "error", "message"),
    [
        ("ease", {}, TypeError, "ease needs all interactions in memory"),
        ("sasrec", {}, TypeError, "sasrec needs all interactions in memory"),
        ("t-diffrec", {}, ValueError, "objective='forecast' needs all interactions in memory"),
        ("l-diffrec", {}, ValueError, "groups=2 without item_embeddings needs all"),
        ("diffrec", {"anchor": True}, ValueError, "anchor=True needs all interactions in memory"),
        ("diffrec", {"valid": None}, ValueError, "holdout needs all interactions in memory: give valid="),
        ("diffrec", {"valid": np.eye(3)}, TypeError, "valid must be files as the data is"),
        ("auto", {}, ValueError, "variant='auto' needs all interactions in memory"),
    ],
)
def test_what_needs_everything_is_refused_by_name(
    folder: Path, variant: str, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        diffrec.fit(ParquetInteractions(folder), variant=variant, **{"valid": folder} | settings)


def test_other_users_cannot_be_stopped_on(folder: Path, tmp_path: Path) -> None:
    diffrec.datasets.synthetic(users=20, items=10, seed=0).write(tmp_path / "raw.parquet")
    prepare(tmp_path / "raw.parquet", tmp_path / "out")
    with pytest.raises(ValueError, match="valid must be of the users and items of the data, \\(300, 60\\)"):
        diffrec.fit(folder, valid=tmp_path / "out", variant="diffrec")
    with pytest.raises(FileNotFoundError, match="no folder that `diffrec prepare` made"):
        diffrec.fit(tmp_path, variant="diffrec")


def test_what_needs_histories_says_so(folder: Path) -> None:
    model = diffrec.fit(folder, variant="diffrec", holdout=0, **SMALL)
    with pytest.raises(ValueError, match="keeps no histories .*for_cold_users needs them"):
        model.for_cold_users({"user": [1, 2], "town": ["Rome", "Bonn"]})
    with pytest.raises(ValueError, match="keeps no histories .*cold_items needs them"):
        model.recommend(diffrec.Interactions.from_arrays([0], [1]), cold_items={"item": [99], "genre": ["Drama"]})


def test_what_needs_no_histories_works(folder: Path) -> None:
    model = diffrec.fit(folder, variant="diffrec", holdout=0, **SMALL)
    assert model.item_vectors().shape[0] == len(model.train_.items)
    diffrec.export.program(model, k=5)
    histories = ParquetInteractions(folder).read().take(np.arange(20))
    plain, novel = model.recommend(histories, k=5), model.recommend(histories, k=5, novelty=50.0)
    assert (plain.items != novel.items).any()
