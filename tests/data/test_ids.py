import copy
import pickle
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Ids
from diffrec.data._encode import Coder, encode
from support.interactions import int_ids, str_ids

distinct_ids = st.one_of(st.lists(int_ids, unique=True, min_size=1), st.lists(str_ids, unique=True, min_size=1))
repeated_ids = st.one_of(st.lists(int_ids, min_size=1), st.lists(str_ids, min_size=1))


@given(distinct_ids)
def test_rows_and_ids_are_inverse(ids: list[int | str]) -> None:
    made = Ids(ids)
    assert len(made) == len(ids)
    assert list(made) == ids
    assert made.rows(ids).tolist() == list(range(len(ids)))
    shuffled = np.random.default_rng(len(ids)).permutation(len(ids))
    assert made.rows(made[shuffled]).tolist() == shuffled.tolist()
    assert [made[int(row)] for row in range(len(ids))] == ids
    assert all(one in made for one in ids)


@given(distinct_ids, repeated_ids)
def test_find_marks_the_unknown(ids: list[int | str], wanted: list[int | str]) -> None:
    found = Ids(ids).find(wanted)
    assert found.tolist() == [ids.index(one) if one in ids else -1 for one in wanted]


@given(repeated_ids)
def test_encoding_sorts_and_comes_back(ids: list[int | str]) -> None:
    distinct, codes = encode(ids, "user")
    assert distinct.tolist() == sorted(set(ids))  # type: ignore[type-var]
    assert distinct[codes].tolist() == ids


def chunk_of(entries: list[str]) -> tuple[list[str], np.ndarray]:
    distinct = sorted(set(entries), reverse=True)
    return distinct, np.array([distinct.index(entry) for entry in entries])


@given(st.lists(st.lists(st.integers(-50, 50).map(str) | str_ids, min_size=1), min_size=1))
def test_text_is_encoded_alike_in_chunks_and_at_once(chunks: list[list[str]]) -> None:
    coder = Coder()
    for chunk in chunks:
        coder.add(*chunk_of(chunk))
    distinct, codes = coder.finish("user")
    text = [entry for chunk in chunks for entry in chunk]
    assert ["" if code < 0 else str(distinct[code]) for code in codes.tolist()] == text
    text = [entry for entry in text if entry]
    numbers = all(entry.lstrip("-").isdecimal() and str(int(entry)) == entry for entry in text)
    assert (distinct.dtype.kind == "i") == numbers


@pytest.mark.parametrize("text", ["007", "+7", " 7", "7 ", "1_0", "7.0", "-0", "٣", str(2**63)])
def test_text_that_would_not_come_back_is_no_integer(text: str) -> None:
    coder = Coder()
    coder.add(["1", text], np.array([0, 1]))
    distinct, codes = coder.finish("user")
    assert distinct[codes].tolist() == ["1", text]


def test_unknown_ids_are_named() -> None:
    ids = Ids(["anna", "bert"], "user")
    with pytest.raises(ValueError, match="unknown user id 'zoe'"):
        ids.rows(["bert", "zoe", "carl"])
    with pytest.raises(ValueError, match=r"unknown user id 3 \(user ids are strings here\)"):
        ids.rows(3)


def test_single_ids_and_slices() -> None:
    ids = Ids([30, 10, 20], "item")
    assert ids.rows(10).tolist() == [1]
    assert ids.rows(np.int64(20)).tolist() == [2]
    assert ids.rows(one for one in (20, 30)).tolist() == [2, 0]
    assert ids.rows([]).tolist() == []
    assert ids[1:].tolist() == [10, 20]
    assert ids[-1] == 20
    assert np.asarray(ids).tolist() == [30, 10, 20]
    assert np.array(ids, copy=True) is not ids.ids


def test_membership_takes_anything() -> None:
    ids = Ids([1, 2])
    assert 1 in ids
    assert np.int32(2) in ids
    assert "1" not in ids
    assert True not in ids
    assert None not in ids
    assert 1.5 not in ids
    assert 1 not in Ids.numbered(0)


def test_equality_is_by_ids() -> None:
    assert Ids([1, 2], "user") == Ids([1, 2], "item")
    assert Ids([1, 2]) != Ids([2, 1])
    assert Ids([1]) != Ids(["1"])
    assert Ids([1]) != [1]
    assert Ids.numbered(3) == Ids([0, 1, 2])


def test_representation_is_short() -> None:
    assert repr(Ids(["a", "b"], "user")) == "Ids(2 users: 'a', 'b')"
    assert repr(Ids.numbered(9, "item")) == "Ids(9 items: 0, 1, 2, ...)"


@pytest.mark.parametrize("restore", [copy.deepcopy, lambda ids: pickle.loads(pickle.dumps(ids))])
def test_copies_are_equal(restore: object) -> None:
    ids = Ids(["b", "a"], "user")
    assert restore(ids) == ids  # type: ignore[operator]


def test_the_callers_array_is_not_kept() -> None:
    given_ids = np.array([5, 6])
    ids = Ids(given_ids)
    given_ids[0] = 9
    assert list(ids) == [5, 6]


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, 1], ValueError, "user id 1 stands twice"),
        (["a", "b", "a"], ValueError, "user id 'a' stands twice"),
        ([[1], [2]], ValueError, r"one-dimensional, not of shape \(2, 1\)"),
        ([[1], [2, 3]], ValueError, "user ids must be one-dimensional, not lists of several lengths"),
        ([True, False], TypeError, "not bool"),
        ([1.5, 2.0], ValueError, "row 0 holds 1.5"),
        ([1.0, np.nan], ValueError, "row 1 holds nan"),
        ([2.0**53], ValueError, "row 0 holds"),
        (["a", 1], TypeError, "all integers or all strings; row 1 holds 1"),
        ([1, None], TypeError, "row 1 holds None"),
        (np.array([1, True], dtype=object), TypeError, "row 1 holds True"),
        (np.array([2**63], dtype=np.uint64), ValueError, "does not fit into 64 signed bits"),
        (np.array([2**70], dtype=object), ValueError, "fit into 64 signed bits"),
        (np.array([1j]), TypeError, "not complex128"),
        (["a\0"], ValueError, "ends with a zero character"),
        (["a", "b\ud800"], ValueError, r"the user id is 'b\\ud800', of which a part is half of a character"),
        (np.array(["\udfff", "a"]), ValueError, r"the user id is '\\udfff', of which a part is half of a character"),
    ],
)
def test_what_is_no_id_is_refused(ids: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Ids(ids, "user")  # type: ignore[arg-type]


def test_what_is_neither_an_id_nor_several_is_refused() -> None:
    for nothing in (None, 1j, len):
        with pytest.raises(TypeError, match="user ids must be integers or strings, got (None|1j|<built-in)"):
            Ids([1, 2], "user").rows(nothing)


def test_ids_come_in_many_guises() -> None:
    assert list(Ids(np.array([1.0, 2.0]))) == [1, 2]
    assert list(Ids(np.array([b"a", b"b"]))) == ["a", "b"]
    assert list(Ids(np.array([1, 2], dtype=object))) == [1, 2]
    assert list(Ids(np.array([7], dtype=np.uint8))) == [7]
    assert list(Ids([])) == []
    wide = encode(np.array([0, 10**15, 0]), "user")
    assert wide.distinct.tolist() == [0, 10**15]
    assert wide.codes.tolist() == [0, 1, 0]


def test_single_ids_of_any_kind_are_one_id() -> None:
    ids = Ids([97, 98])
    for one in (1.5, b"ab"):
        with pytest.raises((TypeError, ValueError), match="ids"):
            ids.rows(one)
    assert Decimal(97) in ids
    assert Decimal("97.5") not in ids


def test_an_error_repeats_only_the_beginning_of_an_id() -> None:
    long = "x" * 10**6
    for call in (
        lambda: Ids(["a"], "user").rows([long]),
        lambda: Ids([long, long], "user"),
        lambda: Ids([long, 1], "user"),
        lambda: Ids([1, long], "user"),
        lambda: Ids([long + "\0"], "user"),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert len(str(caught.value)) < 400
