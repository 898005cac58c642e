import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from diffrec.data import Ids, Interactions
from support.interactions import Row, any_rows, contents, plain


@given(any_rows)
def test_entries_come_back_with_repeats_joined(rows: list[Row]) -> None:
    users, items, times, values = (list(column) for column in zip(*rows, strict=True))
    data = Interactions.from_arrays(users, items, times, values)
    assert contents(data) == plain(rows)
    assert len(data) == len(plain(rows))
    assert data.shape == (len(set(users)), len(set(items)))
    assert list(data.users) == sorted(set(users))
    assert list(data.items) == sorted(set(items))
    require_canonical(data)


@given(any_rows, st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(rows: list[Row], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (Interactions.from_arrays(*(list(c) for c in zip(*r, strict=True))) for r in (rows, shuffled))
    assert contents(one) == contents(other)


@given(any_rows, st.sampled_from(["csr", "csc", "coo", "lil", "dok", "bsr"]), st.booleans())
def test_a_matrix_and_its_entries_make_the_same(rows: list[Row], form: str, array: bool) -> None:
    data = Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)))
    matrix = (data.matrix if array else sparse.csr_matrix(data.matrix)).asformat(form)
    again = Interactions.from_csr(matrix)
    assert (again.matrix != data.matrix).nnz == 0
    assert again.users == Ids.numbered(data.shape[0])
    assert again.items == Ids.numbered(data.shape[1])
    assert again.timestamps is None
    require_canonical(again)


@given(any_rows)
def test_a_csr_round_trip_keeps_times(rows: list[Row]) -> None:
    data = Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)))
    assert data.timestamps is not None
    pattern = sparse.csr_array((data.timestamps, data.matrix.indices, data.matrix.indptr), shape=data.shape)
    dense = pattern.toarray()
    for times in (pattern, pattern.tocoo(), pattern.tocsc(), data.timestamps, dense):
        again = Interactions.from_csr(data.matrix, times)
        np.testing.assert_array_equal(again.timestamps, data.timestamps)


def require_canonical(data: Interactions) -> None:
    matrix = data.matrix
    assert isinstance(matrix, sparse.csr_array)
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == np.int32
    fresh = sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert fresh.has_canonical_format
    assert (matrix.data > 0).all()
    if data.timestamps is not None:
        assert data.timestamps.dtype == np.float64
        assert data.timestamps.shape == matrix.data.shape


def test_dense_numbers_are_their_own_rows() -> None:
    data = Interactions.from_arrays([2, 0, 1], [1, 0, 1])
    assert data.users == Ids.numbered(3)
    assert data.matrix.toarray().tolist() == [[1, 0], [0, 1], [0, 1]]


def test_catalogues_give_rows_to_everybody() -> None:
    items = Ids(["z", "a", "m"], "item")
    data = Interactions.from_arrays([5], ["a"], users=[9, 5], items=items, item_info={"name": ["Z", "A", "M"]})
    assert data.matrix.toarray().tolist() == [[0, 0, 0], [0, 1, 0]]
    assert data.items.are(items)
    assert data.item_info["name"].tolist() == ["Z", "A", "M"]


def test_facts_of_the_items_are_the_item_info() -> None:
    items, price = Ids(["z", "a", "m"], "item"), np.array([1.0, 2.0, 3.0])
    data = Interactions.from_arrays([5, 6, 7], ["a", "z", "m"], items=items, item_info={"price": price})
    assert data.items.facts["price"] is data.item_info["price"] is price
    assert data.split(by="random").test.items.facts is data.items.facts
    assert data.items == items
    assert items.facts == data.users.facts == {}
    assert data.with_ids(items=Ids([1, 2, 3], "item")).items.facts == {}
    data.item_info = {"name": np.array(["Z", "A", "M"])}
    assert list(data.items.facts) == ["name"]
    assert Interactions.from_arrays([5], ["a"], items=data.items).item_info == {}
    pickled = pickle.loads(pickle.dumps(data))
    assert pickled.items.facts["name"].tolist() == pickled.item_info["name"].tolist() == ["Z", "A", "M"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": [1]}, "unknown user id 2"),
        ({"items": ["a"]}, "unknown item id 'b'"),
        ({"items": [1, 2]}, r"unknown item id 'a' \(item ids are integers here\)"),
        ({"users": [1, 2, 2]}, "user id 2 stands twice"),
        ({"item": ["a"]}, "item has 1 entries, user has 2"),
        ({"timestamp": [1.0]}, "timestamp has 1 entries, user has 2"),
        ({"value": [1.0, 2.0, 3.0]}, "value has 3 entries, user has 2"),
        ({"value": [1.0, -2.0]}, r"value\[1\] is -2.0"),
        ({"value": [np.nan, 1.0]}, r"value\[0\] is nan"),
        ({"value": [np.inf, 1.0]}, r"value\[0\] is inf"),
        ({"value": [1e300, 1.0]}, r"value\[0\] is 1e\+300"),
        ({"value": ["x", "y"]}, "value must be a vector of numbers"),
        ({"value": [0.0, 0.0]}, "no interactions"),
        ({"timestamp": [1.0, np.nan]}, r"timestamp\[1\] is nan"),
        ({"timestamp": [1.0, np.inf]}, r"timestamp\[1\] is inf"),
        ({"timestamp": [[1.0, 2.0]]}, "one-dimensional"),
        ({"timestamp": [1j, 2j]}, "not complex128"),
        ({"timestamp": ["2024-01-01", "soon"]}, r"timestamp\[1\] is soon, no time"),
        ({"timestamp": np.array(["2024-01-01", "NaT"], dtype="datetime64[s]")}, r"timestamp\[1\] is NaT"),
        ({"item_info": {"title": ["one"]}}, r"item_info\['title'\] must have one entry per item, 2"),
    ],
)
def test_bad_entries_are_named(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"user": [1, 2], "item": ["a", "b"]} | changes
    with pytest.raises(ValueError, match=message):
        Interactions.from_arrays(**arguments)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (5, "item_info must be a mapping of names to columns, got 5"),
        # A file could not be written of it.
        ({0: ["x", "y"]}, "item_info must name its columns by text, got 0"),
    ],
)
def test_facts_have_names(info: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Interactions.from_arrays([1, 2], ["a", "b"], item_info=info)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"title": ["x", "y\udc80"]}, r"item_info\['title'\]\[1\] is 'y\\udc80', of which a part is half"),
        ({"t": np.array(["x", "\ud800"], dtype=object)}, r"item_info\['t'\]\[1\] is '\\ud800', of which a part is"),
    ],
)
def test_facts_that_no_file_holds_are_refused(info: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interactions.from_arrays([1, 2], ["a", "b"], item_info=info)


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no interactions"):
        Interactions.from_arrays([], [])
    with pytest.raises(ValueError, match="no interactions"):
        Interactions.from_csr(sparse.csr_array((3, 4)))
    with pytest.raises(ValueError, match="no interactions"):
        Interactions.from_csr(np.zeros((0, 4)))


def test_summed_values_must_fit() -> None:
    with pytest.raises(ValueError, match="summed values"):
        Interactions.from_arrays([1, 1], [1, 1], value=[3e38, 3e38])


def test_entries_of_value_zero_are_none_with_their_times() -> None:
    data = Interactions.from_arrays([0, 0, 1], [0, 0, 1], timestamp=[5, 9, 7], value=[1, 0, 1])
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [5, 7]


MOMENT = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "times",
    [
        [MOMENT.replace(tzinfo=None)],
        [MOMENT.astimezone(timezone(timedelta(hours=2)))],
        np.array(["2024-05-01T12:00"], dtype="datetime64[m]"),
        np.array(["2024-05-01T12:00"], dtype="datetime64[ns]"),
        ["2024-05-01T12:00:00"],
        ["2024-05-01T14:00:00+02:00"],
        ["2024-05-01 12:00:00Z"],
        [MOMENT.timestamp()],
        [str(int(MOMENT.timestamp()))],
    ],
)
def test_times_of_all_kinds_become_seconds(times: Any) -> None:
    data = Interactions.from_arrays([1], [1], times)
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [MOMENT.timestamp()]


# From matrices


def corrupt(**arrays: Any) -> sparse.csr_array:
    matrix = sparse.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    for name, array in arrays.items():
        setattr(matrix, name, np.asarray(array))
    return matrix


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"indptr": [0, 3, 2]}, "indptr"),
        ({"indptr": [0, 2, 4]}, "indptr"),
        ({"indptr": [1, 2, 3]}, "indptr"),
        ({"indptr": [0, 3]}, "indptr"),
        ({"indptr": [0, -5, 3]}, "indptr"),
        ({"indptr": [0.0, 2.0, 3.0]}, "indptr"),
        ({"indices": [0, 2, 3]}, "indices"),
        ({"indices": [0, -1, 1]}, "indices"),
        ({"indices": [0, 2]}, "has 3 entries, expected 2"),
        ({"indices": [0, 2, 2**40]}, "indices"),
        ({"indices": [0.0, 2.0, 1.0]}, "indices"),
        ({"data": [1.0, 2.0]}, "data"),
        ({"data": [[1.0], [2.0], [3.0]]}, "data"),
        ({"data": [1.0, -2.0, 3.0]}, r"matrix\[0, 2\] is -2.0"),
        ({"data": [1.0, 2.0, np.nan]}, r"matrix\[1, 1\] is nan"),
        ({"data": [np.inf, 2.0, 3.0]}, r"matrix\[0, 0\] is inf"),
    ],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_corrupt_csr_is_refused_before_scipy_meets_it(arrays: dict[str, Any], message: str, transposed: bool) -> None:
    matrix: Any = corrupt(**arrays)
    if transposed:
        whole = sparse.csc_array((3, 2))
        whole.data, whole.indices, whole.indptr = matrix.data, matrix.indices, matrix.indptr
        matrix, message = whole, message.replace("0, 2", "2, 0")
    with pytest.raises(ValueError, match=f"matrix.*{message}|{message}"):
        Interactions.from_csr(matrix)
    with pytest.raises(ValueError, match=r"timestamps|matrix"):
        Interactions.from_csr(sparse.csr_array(np.ones(matrix.shape)), matrix)


def test_corrupt_coo_is_refused() -> None:
    matrix = sparse.coo_array(np.eye(3))
    matrix.row = np.array([0, 1, 7])
    with pytest.raises(ValueError, match="axis 0 of size 3 holds 7"):
        Interactions.from_csr(matrix)


@pytest.mark.parametrize("matrix", [[[1, 0]], "matrix", None, 3, {"a": 1}])
def test_what_is_no_matrix_is_a_type_error(matrix: Any) -> None:
    with pytest.raises(TypeError, match="matrix must be a SciPy sparse matrix"):
        Interactions.from_csr(matrix)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones(3), r"two dimensions, not shape \(3,\)"),
        (np.ones((2, 2, 2)), "two dimensions"),
        (np.array([["a"]]), "real numbers, not <U1"),
        (np.array([[1j]]), "real numbers, not complex128"),
        (sparse.csr_array(np.array([[1j]])), "real numbers, not complex128"),
        (np.array([[1.0, -1.0]]), r"matrix\[0, 1\] is -1.0"),
        (np.array([[1.0, np.nan]]), r"matrix\[0, 1\] is nan"),
    ],
)
def test_matrices_of_the_wrong_kind_are_refused(matrix: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interactions.from_csr(matrix)


def test_sparse_vectors_are_refused() -> None:
    vector = sparse.coo_array(np.ones(3))
    if vector.ndim != 1:
        pytest.skip("this SciPy has no sparse vectors")
    with pytest.raises(ValueError, match=r"matrix must have two dimensions, not shape \(3,\)"):
        Interactions.from_csr(vector)


def test_unsorted_and_repeated_entries_and_stored_zeros() -> None:
    #               row 0: 2, 0, 2 (twice), and a stored 0 at 1; row 1: a stored 0 and a 4
    matrix = sparse.csr_array(
        (np.array([1.0, 2.0, 3.0, 0.0, 0.0, 4.0]), np.array([2, 0, 2, 1, 0, 1]), np.array([0, 4, 6])), shape=(2, 3)
    )
    times = matrix.copy()
    times.data = np.array([10.0, 0.0, 30.0, 99.0, 99.0, 0.0])
    before = [array.copy() for array in (matrix.data, matrix.indices, matrix.indptr, times.data, times.indices)]
    data = Interactions.from_csr(matrix, times)
    assert data.matrix.toarray().tolist() == [[2, 0, 4], [0, 4, 0]]
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [0, 30, 0]
    after = (matrix.data, matrix.indices, matrix.indptr, times.data, times.indices)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.shares_memory(data.matrix.data, matrix.data)


def test_times_may_be_stored_in_another_order() -> None:
    matrix = sparse.csr_array((np.ones(2), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    times = sparse.csr_array((np.array([8.0, 0.0]), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    data = Interactions.from_csr(matrix, times)
    assert data.timestamps is not None
    assert data.timestamps.tolist() == [0, 8]


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        (sparse.csr_array(np.array([[1.0, 0.0]])), ValueError, r"pattern: \(0, 1\) is stored in one only"),
        (sparse.csr_array(np.array([[1.0, 1.0, 1.0]])), ValueError, r"shape \(1, 2\), not \(1, 3\)"),
        (sparse.csr_array(np.array([[1.0, np.nan]])), ValueError, r"timestamps\[1\] is nan"),
        (np.array([1.0, 2.0, 3.0]), ValueError, "one time per stored entry, 2, not 3"),
        ([1.0, 2.0], TypeError, "timestamps must be a SciPy sparse matrix"),
    ],
)
def test_times_must_match_the_matrix(times: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Interactions.from_csr(sparse.csr_array(np.array([[1.0, 1.0]])), times)


def test_times_must_repeat_where_the_matrix_repeats() -> None:
    matrix = sparse.csr_array((np.ones(3), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    times = sparse.csr_array((np.ones(3), np.array([0, 1, 1]), np.array([0, 3])), shape=(1, 2))
    with pytest.raises(ValueError, match="not repeated in both"):
        Interactions.from_csr(matrix, times)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint16, np.int64, np.float32, np.float64])
def test_values_of_every_type_are_taken(dtype: Any) -> None:
    for made in (np.eye(3, dtype=dtype), sparse.csr_array(np.eye(3, dtype=dtype))):
        assert Interactions.from_csr(made).matrix.toarray().tolist() == np.eye(3).tolist()


# Picking, aligning, joining


@given(any_rows, st.data())
def test_taken_histories_are_those_of_the_users(rows: list[Row], draw: st.DataObject) -> None:
    data = Interactions.from_arrays(*(list(column) for column in zip(*rows, strict=True)))
    picked = draw.draw(st.lists(st.integers(0, data.shape[0] - 1), unique=True))
    part = data.take(picked)
    chosen = [data.users[row] for row in picked]
    assert list(part.users) == chosen
    assert part.items is data.items
    assert contents(part) == {cell: entry for cell, entry in contents(data).items() if cell[0] in chosen}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([0, 5], ValueError, r"rows must lie in \[0, 2\), not 5"),
        ([-1], ValueError, "not -1"),
        ([0, 0], ValueError, "stands twice"),
        ([0.5], TypeError, "vector of integers"),
        ([[0]], TypeError, "vector of integers"),
        (0, TypeError, "vector of integers"),
    ],
)
def test_rows_to_take_are_checked(rows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Interactions.from_arrays([0, 1], [0, 1]).take(rows)


def test_masks_are_checked() -> None:
    data = Interactions.from_arrays([0, 0], [0, 1])
    assert len(data.where(np.array([False, True]))) == 1
    for mask in (np.array([True]), np.array([0, 1])):
        with pytest.raises(ValueError, match="mask must hold 2 booleans"):
            data.where(mask)


@given(any_rows, any_rows)
def test_aligning_keeps_what_is_known_and_counts_the_rest(rows: list[Row], others: list[Row]) -> None:
    data, other = (Interactions.from_arrays(*(list(c) for c in zip(*r, strict=True))) for r in (rows, others))
    aligned, left_out = data.align(other.users, other.items)
    known = {cell: entry for cell, entry in contents(data).items() if cell[0] in other.users and cell[1] in other.items}
    assert contents(aligned) == known
    assert left_out == len(data) - len(known)
    assert aligned.users is other.users
    assert aligned.shape == other.shape
    require_canonical(aligned)


def test_aligning_to_itself_changes_nothing() -> None:
    data = Interactions.from_arrays(["b", "a"], [1, 2], [3, 4], item_info={"title": ["one", "two"]})
    aligned, left_out = data.align()
    assert left_out == 0
    assert contents(aligned) == contents(data)
    assert aligned.item_info["title"].tolist() == ["one", "two"]


def test_item_info_follows_the_items() -> None:
    data = Interactions.from_arrays([0, 0], [1, 2], item_info={"title": ["one", "two"]})
    turned, _ = data.align(items=[2, 1])
    assert turned.item_info["title"].tolist() == ["two", "one"]
    wider, _ = data.align(items=[2, 1, 3])
    assert dict(wider.item_info) == {}


def test_merging_sums_values_and_keeps_the_newest_time() -> None:
    one = Interactions.from_arrays([0, 0], [0, 1], [5, 6], users=[0, 1], items=[0, 1])
    other = Interactions.from_arrays([0, 1], [0, 1], [9, 7], users=[0, 1], items=[0, 1])
    both = one.merge(other)
    assert both.matrix.toarray().tolist() == [[2, 1], [0, 1]]
    assert both.timestamps is not None
    assert both.timestamps.tolist() == [9, 6, 7]
    timeless = Interactions.from_arrays([1], [0], users=[0, 1], items=[0, 1])
    assert one.merge(other, timeless).timestamps is None
    with pytest.raises(ValueError, match="same users and items"):
        one.merge(Interactions.from_arrays([0], [0]))


# How they show themselves


def test_the_summary_says_sizes_density_and_dates() -> None:
    day = 86_400.0
    data = Interactions.from_arrays(
        [0, 0, 1], [0, 1, 1], [1.7e9, 1.7e9 + day, 1.7e9 + 9 * day], users=[0, 1, 2], item_info={"title": ["a", "b"]}
    )
    assert str(data) == data.summary()
    assert data.summary().splitlines() == [
        "3 interactions of 3 users with 2 items",
        "density         50.000%",
        "history length  median 1.5, from 1 to 2",
        "no history      1 users",
        "time            2023-11-14 to 2023-11-23",
        "item info       title",
    ]
    assert repr(data) == "<Interactions: 3 users x 2 items, 3 interactions, with timestamps>"


def test_the_summary_copes_with_other_times_and_with_nothing() -> None:
    places = Interactions.from_arrays([0, 0], [0, 1], [0, 1])
    assert "time            0 to 1" in places.summary()
    hours = Interactions.from_arrays([0, 0], [0, 1], [1.7e9, 1.7e9 + 60])
    assert "2023-11-14 22:13 to 22:14 UTC" in hours.summary()
    empty = places.take([])
    assert empty.summary().startswith("0 interactions of 0 users with 2 items")


def test_items_go_by_title_or_name_or_id() -> None:
    def labels(**info: list[str]) -> list[str]:
        return Interactions.from_arrays([0, 0], ["x", "y"], item_info=info).item_labels.tolist()

    assert labels(name=["b", "c"], title=["d", "e"]) == ["d", "e"]
    assert labels(genre=["a", "a"], name=["b", "c"]) == ["b", "c"]
    assert labels(genre=["a", "a"]) == ["x", "y"]


@pytest.mark.parametrize("restore", [copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_copies_hold_the_same(restore: Any) -> None:
    data = Interactions.from_arrays(["b", "a"], [1, 2], [3, 4], item_info={"title": ["one", "two"]})
    assert contents(restore(data)) == contents(data)


def test_what_was_pickled_before_ids_had_facts() -> None:
    data = Interactions.from_arrays([0, 1], [3, 1], item_info={"name": ["A", "Z"]}, items=[1, 3])
    state = data.__dict__ | {"items": Ids([1, 3], "item"), "item_info": {"name": np.array(["A", "Z"])}}
    old = Interactions.__new__(Interactions)
    old.__setstate__(state)
    assert "facts" not in vars(state["items"])
    assert old.item_info["name"].tolist() == old.items.facts["name"].tolist() == ["A", "Z"]
    assert pickle.loads(pickle.dumps(old)).item_info["name"].tolist() == ["A", "Z"]
    assert old.users.facts == {}


def test_no_facts_are_nobodys_to_change() -> None:
    with pytest.raises(TypeError):
        Ids([1, 2]).facts["name"] = np.array(["A", "Z"])  # type: ignore[index]
    bare = Ids([1, 2]).with_facts({"name": np.array(["A", "Z"])}).with_facts(Ids([5]).facts)
    assert pickle.loads(pickle.dumps(bare)) == bare
