"""Values below zero: refused, left out, netted off what was bought, or kept as dislikes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

import diffrec
from diffrec import Interactions
from diffrec.data.arrays import from_stored, to_arrays
from diffrec.data.negatives import NEGATIVES, net_values
from diffrec.data.stored import Stored

VALUES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 4),
        st.sampled_from([-3, -2, -1, -0.5, 0.5, 1, 2, 3]),
    ),
    max_size=25,
)


def stacked(entries: list[tuple[float, float]]) -> tuple[list[float], int]:
    """What is left of one cell's (time, value) entries: purchases on a stack, returns taken from its top."""
    order = sorted(range(len(entries)), key=lambda i: (entries[i][0], entries[i][1] < 0, entries[i][1]))
    left, stack, unmatched = [max(value, 0.0) for _, value in entries], [], 0
    for i in order:
        value = entries[i][1]
        if value > 0:
            stack.append(i)
            continue
        owed = -value
        while stack and owed > 0:
            taken = min(owed, left[stack[-1]])
            left[stack[-1]] -= taken
            owed -= taken
            if left[stack[-1]] == 0:
                stack.pop()
        unmatched += owed > 0
    return left, unmatched


@given(VALUES, st.booleans())
def test_returns_net_off_as_a_stack_does(entries: list[tuple[int, int, int, float]], timed: bool) -> None:
    cells = np.array([3 * user + item for user, item, _, _ in entries], dtype=np.int64)
    values = np.array([value for *_, value in entries], dtype=np.float32)
    times = np.array([time for _, _, time, _ in entries], dtype=np.float64) if timed else np.zeros(len(entries))
    expected, unmatched = np.zeros(len(entries)), 0
    for cell in set(cells.tolist()):
        places = np.flatnonzero(cells == cell)
        left, of_cell = stacked(list(zip(times[places].tolist(), values[places].tolist(), strict=True)))
        expected[places] = left
        unmatched += of_cell
    found, count = net_values(cells, values, times if timed else None)
    # Which of two equal purchases at one time is taken first nobody can tell: they are compared in order.
    order, other = (np.lexsort((left, values, times, cells)) for left in (found, expected))
    assert_array_equal(found[order], expected[other])
    assert count == unmatched


@given(VALUES, st.randoms())
def test_the_order_of_the_rows_says_nothing(entries: list[tuple[int, int, int, float]], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    for rule in ("drop", "net", "dislike"):
        made = []
        for rows in (entries, shuffled):
            user, item, time, value = zip(*rows, (9, 9, 9, 1), strict=True)
            made.append(
                Interactions.from_arrays(user, item, time, value, users=range(10), items=range(10), negatives=rule)
            )
        one, other = map(to_arrays, made)
        assert list(one) == list(other)
        for name, array in one.items():
            assert_array_equal(array, other[name])
        assert str(made[0].negatives_) == str(made[1].negatives_)


def test_fractions_cancel_out_as_they_are_written() -> None:
    """0.1 + 0.2 - 0.3 is nothing, although the floats are not quite."""
    values = np.array([0.1, 0.2, -0.3, 7.0], dtype=np.float32)
    left, unmatched = net_values(np.array([5, 5, 5, 6]), values, np.arange(4.0))
    assert (left.tolist(), unmatched) == ([0, 0, 0, 7], 0)


def test_a_return_takes_from_the_newest_earlier_purchases() -> None:
    bought = Interactions.from_arrays(
        ["ann"] * 6,
        ["tea", "tea", "tea", "tea", "milk", "salt"],
        timestamp=[1, 2, 3, 4, 1, 1],
        value=[5, 2, -3, 1, -2, 4],
        negatives="net",
    )
    events = bought.events
    assert bought.items.ids.tolist() == ["milk", "salt", "tea"]
    assert [*zip(events.times.tolist(), events.items.tolist(), events.values.tolist(), strict=True)] == [
        (1, 1, 4),
        (1, 2, 4),
        (4, 2, 1),
    ]
    report = bought.negatives_
    assert (report.entries, report.unmatched, report.vanished) == (2, 1, 1)
    assert "1 return of more than was bought" in str(report)


def test_a_return_is_no_debt_of_later_purchases() -> None:
    bought = Interactions.from_arrays([0] * 3, [0] * 3, [1, 2, 3], [1, -5, 2], negatives="net")
    assert bought.matrix.toarray().tolist() == [[2]]
    assert bought.timestamps.tolist() == [3]


def test_without_times_returns_come_last() -> None:
    bought = Interactions.from_arrays([0] * 3, [0] * 3, value=[-2, 1, 4], negatives="net")
    assert bought.matrix.toarray().tolist() == [[3]]


def test_all_returned_is_no_interaction() -> None:
    with pytest.raises(ValueError, match="no interactions.*1 event returned as a whole"):
        Interactions.from_arrays([0, 0], [0, 0], [1, 2], [1, -1], negatives="net")


def test_drop_leaves_out_and_counts() -> None:
    bought = Interactions.from_arrays([0, 0, 1], [0, 0, 1], value=[2, -1, 3], negatives="drop")
    assert bought.matrix.toarray().tolist() == [[2, 0], [0, 3]]
    assert str(bought.negatives_) == "1 entry below 0 left out"
    assert Interactions.from_arrays([0], [0], negatives="drop").negatives_ is None


def test_they_are_refused_unless_a_rule_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": [0, 1], "item": [0, 1], "n": [1, -2]})
    frame.to_csv(tmp_path / "orders.csv", index=False)
    for make in (
        lambda **rule: Interactions.from_arrays([0, 1], [0, 1], value=[1, -2], **rule),
        lambda **rule: Interactions.from_csr(sparse.csr_array([[1, 0], [0, -2]]), **rule),
        lambda **rule: Interactions.from_frame(frame, value="n", **rule),
        lambda **rule: Interactions.read(tmp_path / "orders.csv", value="n", **rule),
    ):
        with pytest.raises(ValueError, match=r"-2.*negatives='net'.*'drop'.*'dislike'"):
            make()
        assert make(negatives="drop").matrix.sum() == 1
        assert make(negatives="net").negatives_.unmatched == 1
        assert make(negatives="dislike").dislikes.toarray().tolist() == [[0, 0], [0, 2]]
        with pytest.raises(ValueError, match="negatives must be one of"):
            make(negatives="keep")


@pytest.mark.parametrize("rule", NEGATIVES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e39])
def test_what_is_no_number_is_refused_under_every_rule(rule: str, value: float) -> None:
    with pytest.raises(ValueError, match="must be finite float32 numbers"):
        Interactions.from_arrays([0, 1], [0, 1], value=[1, value], negatives=rule)


def test_the_newest_word_holds() -> None:
    said = [
        ("ann", 0, 1, 1),
        ("ann", 0, 2, -1),
        ("bob", 0, 2, 3),
        ("bob", 0, 1, -1),
        ("cid", 0, 5, 2),
        ("cid", 0, 5, -2),
    ]
    user, item, time, value = zip(*said, strict=True)
    votes = Interactions.from_arrays(user, item, time, value, negatives="dislike")
    assert votes.matrix.toarray().ravel().tolist() == [0, 3, 0]
    assert votes.dislikes.toarray().ravel().tolist() == [1, 0, 2]
    assert votes.n_dislikes == 2
    assert votes.negatives_.overruled == 3
    assert "2 dislikes" in repr(votes)
    assert "dislikes        2 pairs" in votes.summary()
    # Without times nobody can tell, and the dislike holds.
    undated = Interactions.from_arrays((*user, "dan"), (*item, 0), value=(*value, 1), negatives="dislike")
    assert (len(undated), undated.n_dislikes) == (1, 3)


@pytest.fixture
def votes() -> Interactions:
    """Six users' likes and dislikes of eight items over ten days."""
    rng = np.random.default_rng(5)
    user, item = np.divmod(rng.permutation(48)[:40], 8)
    value = rng.choice([1.0, 2.0, -1.0, -3.0], 40)
    return Interactions.from_arrays(
        user,
        item,
        timestamp=rng.integers(10, size=40),
        value=value,
        users=range(6),
        items=range(8),
        negatives="dislike",
    )


def same_dislikes(one: Interactions, other: Interactions) -> None:
    assert_array_equal(one.dislikes.toarray(), other.dislikes.toarray())
    assert_array_equal(one.dislike_parts.times, other.dislike_parts.times)


def test_they_go_where_their_users_and_items_go(votes: Interactions) -> None:
    assert votes.n_dislikes > 10
    dense = votes.dislikes.toarray()
    assert_array_equal(votes.take([4, 1]).dislikes.toarray(), dense[[4, 1]])
    assert_array_equal(votes[2:].dislikes.toarray(), dense[2:])
    aligned, _ = votes.align(users=[3, 0, 9], items=[7, 2, 1])
    assert_array_equal(aligned.dislikes.toarray(), np.vstack([dense[[3, 0]], np.zeros((1, 8))])[:, [7, 2, 1]])
    same_dislikes(votes, votes.with_ids(items=diffrec.Ids(list("abcdefgh"))))
    same_dislikes(votes, votes.where(votes.matrix.data > 1))
    same_dislikes(votes, votes.where_events(votes.events.times > 3))
    assert_array_equal(votes.signed_matrix.toarray(), votes.matrix.toarray() - dense)


def test_a_file_keeps_them(votes: Interactions, tmp_path: Path) -> None:
    for suffix in ("csv", "parquet", "npz", "inter"):
        votes.write(tmp_path / f"votes.{suffix}")
        names = {} if suffix == "npz" else {"value": "value:float" if suffix == "inter" else "value"}
        read = Interactions.read(
            tmp_path / f"votes.{suffix}", negatives="dislike", users=range(6), items=range(8), **names
        )
        same_dislikes(votes, read)
        assert_array_equal(votes.matrix.toarray(), read.matrix.toarray())
    same_dislikes(votes, from_stored(Stored(to_arrays(votes)), votes.shape, []))


@pytest.mark.parametrize("by", ["time", "leave-last", "global-time", "random", "users"])
def test_a_split_shares_them_out_by_time(votes: Interactions, by: str) -> None:
    parts = votes.split(by=by, valid=0.2, test=0.2)
    all_parts = [part for part in (*parts, parts.visible) if part is not None]
    assert_array_equal(sum(part.dislikes.toarray() for part in all_parts), votes.dislikes.toarray())
    joined = all_parts[0].merge(*all_parts[1:])
    same_dislikes(votes, joined)
    assert_array_equal(joined.matrix.toarray(), votes.matrix.toarray())
    if by == "random":
        assert parts.train.n_dislikes == votes.n_dislikes
        return
    # Nothing that was disliked after a part began is known to the one before it.
    known = parts.train if parts.visible is None else parts.train.merge(parts.visible)
    rows = np.repeat(np.arange(6), np.diff(known.dislikes.indptr))
    for part in (parts.valid, parts.test):
        begins = np.full(6, np.inf)
        np.minimum.at(begins, part.events.owners, part.events.times)
        if by == "global-time":
            begins[:] = begins.min()
        assert (known.dislike_parts.times < begins[rows]).all()
    assert parts.valid.n_dislikes + parts.test.n_dislikes > 0


def test_merging_lets_the_newest_word_hold() -> None:
    liked = Interactions.from_csr(np.array([[1.0, 1.0]]), np.array([5.0, 1.0]))
    disliked = Interactions.from_csr(
        sparse.csr_array([[-1.0, -1.0]]), np.array([3.0, 3.0]), negatives="dislike", allow_empty=True
    )
    joined = liked.merge(disliked)
    assert joined.matrix.toarray().tolist() == [[1, 0]]
    assert joined.dislikes.toarray().tolist() == [[0, 1]]


def test_a_large_purchase_takes_no_digits_from_others() -> None:
    values = np.array([1e20, -1e19, 5, -2, 3, -1, -4, 7], np.float32)
    left, unmatched = net_values(np.array([0, 0, 1, 1, 2, 2, 2, 2]), values, np.arange(8.0))
    np.testing.assert_allclose(left, [9e19, 0, 3, 0, 0, 0, 0, 7], rtol=1e-6)
    assert unmatched == 1
