"""Frames and tensors into a recommender and out of it, in the kind they came in."""

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

import diffrec
from diffrec import Interactions, Top
from support.frames import MAKERS, Maker, every_frame

ORDERS: dict[str, Any] = {
    "customer_id": ["anna", "anna", "bert", "bert", "carl"],
    "sku": [30, 10, 10, 20, 30],
    "ts": [1, 2, 3, 4, 5],
}
MODEL = diffrec.fit(pd.DataFrame(ORDERS), variant="ease", l2=1.0)
EXPECTED = pd.DataFrame(MODEL.recommend(k=2).columns())


def rows(frame: Any) -> list[tuple[Any, ...]]:
    """The rows of a frame of any library."""
    match frame:
        case pd.DataFrame():
            return list(frame.itertuples(index=False, name=None))
        case pl.LazyFrame():
            return frame.collect().rows()
        case pl.DataFrame():
            return frame.rows()
        case pa.Table():
            return list(zip(*frame.to_pydict().values(), strict=True))
        case duckdb.DuckDBPyRelation():
            return frame.fetchall()  # type: ignore[no-any-return]
    raise AssertionError(type(frame))


@every_frame
def test_what_goes_in_comes_out_in_its_kind(make: Maker) -> None:
    orders = make(ORDERS)
    model = diffrec.fit(orders, variant="ease", l2=1.0)
    top = model.recommend(k=2).to_frame(like=orders)
    assert type(top) is type(orders)
    assert rows(top) == rows(EXPECTED)


def test_columns_in_a_mapping_are_taken_as_they_are() -> None:
    model = diffrec.fit(ORDERS, variant="ease", l2=1.0)
    np.testing.assert_array_equal(model.score(), MODEL.score())
    later = {"user": ["anna", "bert", "dora"], "item": [20, 30, 10]}
    assert model.evaluate(later, k=[1])["recall@1"] == MODEL.evaluate(pd.DataFrame(later), k=[1])["recall@1"]
    strangers = {"user": ["x", "y", "y"], "item": [20, 10, 30]}
    np.testing.assert_array_equal(
        model.recommend(strangers, k=1).items, MODEL.recommend(pd.DataFrame(strangers), k=1).items
    )


@every_frame
def test_a_frame_of_strangers_is_matched_by_id(make: Maker) -> None:
    # As many items as the model has, but in another order and under other users.
    strangers = make({"user": ["x", "y", "y"], "item": [20, 10, 30]})
    top = MODEL.recommend(strangers, k=1)
    assert top.users.tolist() == ["x", "y"]
    plain = Interactions.from_arrays(["x", "y", "y"], [20, 10, 30], items=MODEL.train_.items)
    np.testing.assert_array_equal(top.items, MODEL.recommend(plain, k=1).items)
    assert MODEL.recommend(["anna"], k=1).items.tolist() == MODEL.recommend(make(ORDERS), k=1).items[:1].tolist()
    with pytest.raises(ValueError, match="such as 99"):
        MODEL.recommend(make({"user": ["x"], "item": [99]}), strict=True)


@every_frame
def test_frames_are_evaluated_on_and_stopped_on(make: Maker) -> None:
    later = make({"user": ["anna", "bert", "dora"], "item": [20, 30, 10]})
    report = MODEL.evaluate(later, k=[1])
    assert report["recall@1"] == 1
    assert report.interactions_left_out == 1
    model = diffrec.fit(make(ORDERS), valid=later, dims=(4,), epochs=1, progress=False)
    assert model.training_.best_validation is not None


@pytest.mark.parametrize(
    "column", [pd.Series, pl.Series, pa.array, np.array, list, lambda ids: pa.chunked_array([ids])]
)
def test_columns_of_ids(column: Any) -> None:
    top = MODEL.recommend(column(["carl", "anna"]), k=1, deny=column([20]))
    assert top.users.tolist() == ["carl", "anna"]
    assert top.items.ravel().tolist() == [10, -1]


def test_a_duckdb_relation_stays_on_its_connection() -> None:
    connection = duckdb.connect()
    orders = connection.from_arrow(pa.table(ORDERS)).set_alias("orders")
    top = diffrec.fit(orders, variant="popularity").recommend(k=1).to_frame(like=orders)
    joined = orders.join(top, "orders.customer_id = diffrec.user")
    assert len(joined.fetchall()) == len(orders.fetchall())
    assert connection.sql("show all tables").fetchall() == []


def test_comparisons_come_out_alike() -> None:
    table = diffrec.compare(diffrec.datasets.synthetic(users=60, items=40, seed=1), ["popularity"], progress=False)
    frame = table.to_frame(like=pl.DataFrame())
    assert isinstance(frame, pl.DataFrame)
    assert frame["name"].to_list() == ["popularity"]


@pytest.mark.parametrize("like", [[1, 2], "pandas", np.zeros((2, 2)), pd.Series([1])])
def test_like_what_is_no_frame(like: object) -> None:
    with pytest.raises(TypeError, match="like must be a data frame"):
        MODEL.recommend(k=1).to_frame(like=like)


def test_short_lists_and_nobody() -> None:
    top = Top(
        np.array([], dtype="U1"), np.empty((0, 2), dtype=np.int64), np.empty((0, 2), np.float32), np.empty((0, 2))
    )  # type: ignore[arg-type]
    for make in MAKERS.values():
        assert rows(top.to_frame(like=make(ORDERS))) == []


def test_scores_as_a_tensor() -> None:
    scores = MODEL.score(["bert", "anna", "bert"], as_tensor=True)
    assert scores.dtype == torch.float32
    assert not scores.requires_grad
    np.testing.assert_array_equal(scores.numpy(), MODEL.score(["bert", "anna", "bert"]))
    shared = np.from_dlpack(scores)  # type: ignore[arg-type]
    scores[0, 0] = 7  # NumPy before 2.0 reads only
    assert shared[0, 0] == 7
    with pytest.raises(TypeError, match="as_tensor must be True or False, got 1"):
        MODEL.score(as_tensor=1)  # type: ignore[call-overload]


def test_one_block_of_scores_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[NDArray[np.float32]] = []
    scores_of = MODEL._scores_of

    class Watched:
        def __init__(self, scores: Any) -> None:
            self.scores = scores

        def block(self, first: int, stop: int) -> NDArray[np.float32]:
            blocks.append(self.scores.block(first, stop))
            return blocks[-1]

    monkeypatch.setattr(MODEL, "_scores_of", lambda *arguments: Watched(scores_of(*arguments)))
    assert np.shares_memory(MODEL.score(as_tensor=True).numpy(), blocks[0])
    assert MODEL.score() is blocks[1]


@pytest.mark.parametrize("variant", ["diffrec", "ease"])
def test_many_blocks_of_scores(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    model = diffrec.fit(data, variant=variant, **({"dims": (4,), "epochs": 1} if variant == "diffrec" else {}))
    whole = model.score()
    monkeypatch.setattr("diffrec.recommenders.rankings.USER_BLOCK", 7)
    np.testing.assert_allclose(model.score(as_tensor=True).numpy(), whole, rtol=1e-5, atol=1e-6)
    assert model.score(np.array([], dtype=np.int64), as_tensor=True).shape == (0, 40)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_scores_stay_on_the_gpu() -> None:
    data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    model = diffrec.fit(data, dims=(4,), epochs=1, device="cuda")
    scores = model.score(as_tensor=True)
    assert scores.is_cuda
    np.testing.assert_allclose(scores.cpu().numpy(), model.score(), rtol=1e-5, atol=1e-6)


def test_tensors_go_in() -> None:
    dense = np.array([[1, 0, 1], [0, 2, 1], [1, 1, 0]], dtype=np.float32)
    expected = diffrec.fit(dense, variant="ease", l2=1.0, binarize=False).score()
    tensor = torch.from_numpy(dense)
    for matrix in (
        tensor,
        tensor.requires_grad_(),
        tensor.to_sparse(),
        sparse.csr_array(dense),
    ):
        model = diffrec.fit(matrix, variant="ease", l2=1.0, binarize=False)
        np.testing.assert_array_equal(model.score(), expected)
        made = diffrec.Interactions.from_csr(matrix, matrix)
        np.testing.assert_array_equal(made.matrix.toarray(), dense)
        assert made.timestamps is not None
        np.testing.assert_array_equal(made.timestamps, made.matrix.data)
        np.testing.assert_array_equal(model.score(matrix), expected)
    assert model.recommend(torch.tensor([2, 0]), k=1).users.tolist() == [2, 0]


def _uncoalesced(cells: list[list[int]], values: list[float]) -> torch.Tensor:
    return torch.sparse_coo_tensor(cells, values, (2, 2), check_invariants=True)


def test_repeated_entries_of_a_tensor_are_events_of_one_cell() -> None:
    cells = [[0, 0, 1, 0], [1, 1, 0, 0]]
    values, times = (_uncoalesced(cells, of) for of in ([1.0, 2, 1, 1], [10.0, 20, 5, 7]))
    data = diffrec.Interactions.from_csr(values, times)
    np.testing.assert_array_equal(data.matrix.toarray(), [[1, 3], [1, 0]])
    assert data.events.times is not None
    assert sorted(data.events.times.tolist()) == [5, 7, 10, 20]
