"""Train, valid and test parts of a set of interactions."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec._shown import facts_as_html
from diffrec.checks import one_of, real
from diffrec.data._csr import Parts, assemble, owners_of, users_per_item
from diffrec.data._reshape import keep
from diffrec.data.events import Baskets
from diffrec.data.files import part_times, read_split
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions
from diffrec.data.time_weights import require_clock

WAYS = ("time", "global-time", "leave-last", "random", "users")

#: Share of a held-out user's history that is hidden when users are parted; a fifth, as Liang et al. (2018) have it.
HIDDEN_SHARE = 0.2
# Of users in the order of their first events, those that begin before another ended: more than these share a clock.
# Where there are fewer, numbers that are up to so many times as many as the events are places in a list; a clock of
# seconds has many more between people who do not meet.
_MEET, _DENSE = 0.01, 20


class PartReport(NamedTuple):
    """Contents of one part of a split, and how much of it train knows.

    Attributes
    ----------
    events, pairs, users
        Events, distinct pairs of user and item, and users with any of them.
    new_users, new_items
        Users and items without an event in train (and what is visible).
    new_events
        Events of such a user or item.
    repeats
        Pairs that stand in an earlier part, too: bought before.
    since
        The moment of the part's first event where it begins at one moment for all users, else None.
    """

    events: int
    pairs: int
    users: int
    new_users: int
    new_items: int
    new_events: int
    repeats: int
    since: float | None


@dataclass(frozen=True)
class SplitReport:
    """Contents of the parts of a split; ``str`` makes a line of each."""

    train: PartReport
    valid: PartReport
    test: PartReport

    def __str__(self) -> str:
        return "\n".join(_line(name, getattr(self, name)) for name in ("train", "valid", "test"))


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Three parts of the same users and items, as attributes and in this order: ``train, valid, test = split``.

    Attributes
    ----------
    train, valid, test : Interactions
        To train on, to choose by and to test on.
    visible : Interactions or None
        Where whole users were held out: what they did before what is hidden in ``valid`` and ``test``, for a model
        trained without them. None where parts are of the same users.
    moments : (float or None, float or None)
        Those at which valid and test begin for everybody, if there are such.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> watched = Interactions.from_arrays([0] * 10, range(10), timestamp=range(10))
    >>> train, valid, test = watched.split(by="time", valid=0.1, test=0.2)
    >>> test.matrix.indices
    array([8, 9], dtype=int32)
    """

    train: Interactions
    valid: Interactions
    test: Interactions
    visible: Interactions | None = None
    moments: tuple[float | None, float | None] = (None, None)

    def __iter__(self) -> Iterator[Interactions]:
        return iter((self.train, self.valid, self.test))

    def __len__(self) -> int:
        return 3

    def __getitem__(self, place: int) -> Interactions:
        return (self.train, self.valid, self.test)[place]

    def __repr__(self) -> str:
        sizes = " / ".join(f"{len(part):,}" for part in self)
        return f"<Split: {sizes} interactions to train on, choose by and test on, of {self.train.shape[0]:,} users>"

    def _repr_html_(self) -> str:
        lines = (line.partition("  ")[::2] for line in str(self.report_).splitlines())
        users, items = self.train.shape
        return facts_as_html(
            {name: said.strip() for name, said in lines}, f"a split of {users:,} users, {items:,} items"
        )

    @cached_property
    def report_(self) -> SplitReport:
        """Counts of each part: events, pairs, users; what is new in it; which pairs it repeats.

        Examples
        --------
        >>> bought = Interactions.from_arrays([0, 0, 0, 1], [7, 8, 7, 9], timestamp=[1, 2, 3, 4])
        >>> print(bought.split(by="global-time", valid=0, test=0.5).report_)
        train  2 events of 2 pairs, 1 users
        valid  0 events of 0 pairs, 0 users
        test   2 events of 2 pairs, 2 users, since 3: 1 users and 1 items are new (1 events), 1 pairs seen before
        """
        n_items = self.train.shape[1]
        known = self.train if self.visible is None else self.train.merge(self.visible)
        earlier = _cells(known, n_items)
        reports = []
        for part, since in zip(self, (None, *self.moments), strict=True):
            own = _cells(part, n_items)
            reports.append(_part_report(part, known, int(np.isin(own, earlier).sum()), since))
            earlier = np.concatenate([earlier, own])
        # Train is the first part: its pairs repeat none of an earlier one.
        first = reports[0]._replace(repeats=0)
        return SplitReport(first, *reports[1:])

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Split":
        """Read a ready-made split.

        Parameters
        ----------
        path
            A ``.npz`` file of ``shape`` (users, items) and, for each part, an (n, 2) array of user and item
            numbers: ``train``, ``valid``, ``test``. Times may stand beside them in ``train_time`` and so on
            and are kept as they are. A file without any gives each interaction its place in the file, train
            first, as its time.

        Returns
        -------
        Split
            Parts of the same users and items, whose ids are the numbers from 0.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file holds no split, or a number lies outside the shape.
        """
        file = read_split(path)
        users, items = Ids.numbered(file.shape[0], "user"), Ids.numbered(file.shape[1], "item")
        times = part_times(file)
        parts = []
        for name, (rows, columns, _) in file.parts.items():
            ones = np.ones(len(rows), dtype=np.float32)
            parts.append(Interactions.of_parts(assemble(rows, columns, ones, times[name], file.shape), users, items))
        train, valid, test = parts
        return cls(train, valid, test)


def split(data: Interactions, by: str | None = "time", valid: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
    """Part interactions in three; :meth:`Interactions.split` says how."""
    by = ("random" if data.timestamps is None else "time") if by is None else by
    one_of(WAYS)("by", by)
    return _parted_by(data, by, *shares(valid, test), seed)


def shares(valid: Any, test: Any) -> tuple[float, float]:
    """Check the shares of two parts, which leave something for the first."""
    valid, test = (real(0, 1, open_high=True)(name, share) for name, share in (("valid", valid), ("test", test)))
    if valid + test >= 1:
        raise ValueError(f"valid + test must stay below 1, not {valid} + {test}")
    return valid, test


def _parted_by(data: Interactions, by: str, valid: float, test: float, seed: int) -> Split:
    parted = _split(data.with_dislikes(None), by, valid, test, seed)
    if data.dislike_parts is None:
        return parted
    return _with_dislikes(parted, data.dislike_parts, ordered=by != "random")


def _split(data: Interactions, by: str, valid: float, test: float, seed: int) -> Split:
    if by not in ("random", "users"):
        require_clock(data, f"by={by!r}", " (by='random' does not)")
    if by == "random":
        return _by_lot(data, valid, test, seed)
    if by == "users":
        return _by_users(data, valid, test, seed)
    if by == "global-time":
        return _by_moments(data, valid, test)
    baskets = data.events.baskets()
    if by == "leave-last":
        in_test, in_valid = _last_ones(baskets, valid > 0, test > 0)
    elif by == "newest":
        in_test = _newest(baskets, test)
        in_valid = _newest(baskets, valid, in_test) | (_last_ones(baskets, False, valid > 0)[0] & ~in_test)
    else:
        in_test = _newest(baskets, test)
        in_valid = _newest(baskets, valid, in_test)
    return Split(*_parted(data, baskets.spread(in_valid), baskets.spread(in_test)))


def _with_dislikes(parted: Split, dislikes: Parts, *, ordered: bool) -> Split:
    """Give the parts their dislikes: valid and test those from the moment they begin, train or visible the others."""
    train, valid, test = parted
    owners, visible = owners_of(dislikes.matrix), parted.visible
    later = [np.zeros(len(owners), dtype=np.bool_)] * 2
    if ordered and dislikes.times is not None:
        begins = [_begins(part, since)[owners] for part, since in zip((valid, test), parted.moments, strict=True)]
        later = [dislikes.times >= since for since in begins]
    in_test, in_valid = later[1], later[0] & ~later[1]
    rest = ~(in_test | in_valid)
    if visible is not None:
        held = (np.diff(valid.matrix.indptr) + np.diff(test.matrix.indptr) > 0)[owners]
        visible = visible.with_dislikes(keep(dislikes, rest & held))
        rest &= ~held
    return Split(
        train.with_dislikes(keep(dislikes, rest)),
        valid.with_dislikes(keep(dislikes, in_valid)),
        test.with_dislikes(keep(dislikes, in_test)),
        visible,
        parted.moments,
    )


def _begins(part: Interactions, moment: float | None) -> NDArray[np.float64]:
    """When a part begins for each user: infinity for who has nothing in it, unless it begins at once for all."""
    begins = np.full(part.shape[0], np.inf if moment is None else moment)
    if moment is None and part.timestamps is not None:
        # The events of a user are sorted by time.
        events = part.events
        some = np.flatnonzero(np.diff(events.indptr))
        assert events.times is not None
        begins[some] = events.times[events.indptr[some]]
    return begins


def hold_out(data: Interactions, share: float, seed: int = 0) -> tuple[Interactions, Interactions]:
    """Part each user's history into what came first and what came last.

    Parameters
    ----------
    data
        With times, the newest baskets of each user are held out, as many as come nearest to the share, but at least
        one of two; none is parted, and each user keeps one. Without times, or where no user has two baskets, the parts
        are drawn at random.
    share
        Of each user's events, in [0, 1).
    seed
        Of a random draw.

    Returns
    -------
    kept, held : Interactions
        Of the same users and items.

    Raises
    ------
    ValueError
        If the share lies outside its range.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> watched = Interactions.from_arrays([0] * 5, range(5), timestamp=[1, 2, 3, 4, 4])
    >>> kept, held = hold_out(watched, 0.2)
    >>> held.matrix.indices
    array([3, 4], dtype=int32)
    """
    share = real(0, 1, open_high=True)("share", share)
    kept, held, _ = _parted_by(data, "newest" if has_order(data) else "random", share, 0.0, seed)
    return kept, held


def has_order(data: Interactions) -> bool:
    """Whether some user has two baskets, so that there is a before and an after."""
    if data.timestamps is None:
        return False
    return bool((data.events.baskets().counts > 1).any())


def has_clock(data: Interactions) -> bool:
    """Whether times are of a clock that users share, rather than places in an order of each user's own.

    Places are told by users of whom most begin at the same number, at most 1, or of whom each begins where another
    ended, all numbers taken up.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> has_clock(Interactions.from_arrays([0, 0, 1, 1], [3, 1, 2, 1], timestamp=[0, 1, 0, 1]))
    False
    >>> has_clock(Interactions.from_arrays([0, 0, 1, 1], [3, 1, 2, 1], timestamp=[10, 20, 15, 27]))
    True
    """
    times, indptr = data.events.times, data.events.indptr
    some = np.flatnonzero(np.diff(indptr))
    if times is None or len(some) < 2 or not np.ptp(times):
        return False
    begins, ends = times[indptr[some]], times[indptr[some + 1] - 1]
    order = np.argsort(begins, kind="stable")
    met = begins[order][1:] <= np.maximum.accumulate(ends[order])[:-1]
    # Many people whose first moment is a late one were taken over from somewhere on that day.
    own = begins.min() <= 1 and (begins == begins.min()).mean() > 0.5
    in_turn = met.mean() <= _MEET and np.ptp(times) <= _DENSE * len(times)
    return not (own or in_turn)


def _parted(
    data: Interactions, is_valid: NDArray[np.bool_], is_test: NDArray[np.bool_]
) -> tuple[Interactions, Interactions, Interactions]:
    """Part events; what is neither valid nor test is train."""
    return (
        data.where_events(~(is_valid | is_test)),
        data.where_events(is_valid),
        data.where_events(is_test),
    )


def _newest(baskets: Baskets, share: float, held: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Mark each user's newest baskets but those ``held`` already, as many as hold most nearly a share of the events.

    The oldest basket is never marked.
    """
    sizes, owners = baskets.sizes, baskets.owners
    events = np.bincount(owners, sizes, minlength=len(baskets.counts))
    ends = baskets.starts[baskets.indptr[1:]]
    newer = ends[owners] - baskets.starts[1:]
    free = np.ones(len(sizes), dtype=np.bool_)
    if held is not None:
        free = ~held
        newer = newer - np.bincount(owners, sizes * held, minlength=len(events)).astype(np.int64)[owners]
    free[baskets.indptr[:-1][baskets.counts > 0]] = False
    # Taking a basket comes at least as near as leaving it if the share is not below the middle of the two counts.
    # 1e-9: shares such as 0.7 * 5 must not miss a half by the last bit.
    nearer: NDArray[np.bool_] = 2 * newer + sizes <= 2 * events[owners] * share + 2e-9
    return free & nearer


def _last_ones(baskets: Baskets, valid: bool, test: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark each user's newest basket as test and the one before as valid, where there are enough."""
    counts = baskets.counts
    n_test = ((counts >= 2) & test).astype(np.int64)
    n_valid = ((counts - n_test >= 2) & valid).astype(np.int64)
    newer = baskets.indptr[1:][baskets.owners] - 1 - np.arange(len(baskets.sizes))
    in_test = newer < n_test[baskets.owners]
    return in_test, (newer < (n_test + n_valid)[baskets.owners]) & ~in_test


def _by_moments(data: Interactions, valid: float, test: float) -> Split:
    times = data.events.times
    assert times is not None
    order = np.argsort(times, kind="stable")
    # All users together are one with a long history.
    moments = Baskets.of(np.array([0, len(times)]), times[order])
    in_test = _newest(moments, test)
    in_valid = _newest(moments, valid, in_test)
    first = times[order][moments.starts[:-1]]
    masks, since = [], []
    for marked in (in_valid, in_test):
        mask = np.empty(len(times), dtype=np.bool_)
        mask[order] = moments.spread(marked)
        masks.append(mask)
        since.append(float(first[marked][0]) if marked.any() else None)
    return Split(*_parted(data, *masks), moments=(since[0], since[1]))


def _by_lot(data: Interactions, valid: float, test: float, seed: int) -> Split:
    counts = np.diff(data.matrix.indptr).astype(np.int64)
    in_test, in_valid = _share(counts, test), _share(counts, valid)
    in_test = np.minimum(in_test, np.maximum(counts - 1, 0))
    in_valid = np.minimum(in_valid, np.maximum(counts - 1 - in_test, 0))
    owner = owners_of(data.matrix)
    lot = np.random.default_rng(seed).random(len(owner))
    place: NDArray[np.int64] = np.empty(len(owner), dtype=np.int64)
    place[np.lexsort((lot, owner))] = np.repeat(data.matrix.indptr[1:], counts) - 1 - np.arange(len(owner))
    is_test = place < in_test[owner]
    is_valid = (place < (in_test + in_valid)[owner]) & ~is_test
    return Split(data.where(~(is_test | is_valid)), data.where(is_valid), data.where(is_test))


def _by_users(data: Interactions, valid: float, test: float, seed: int) -> Split:
    before, hidden = hold_out(data, HIDDEN_SHARE, seed)
    with_history = int((np.diff(data.matrix.indptr) > 0).sum())
    # Only who has something to hide can be held out.
    able = np.random.default_rng(seed).permutation(np.flatnonzero(np.diff(hidden.matrix.indptr)))
    n_test, n_valid = _share(np.array([with_history, with_history]), np.array([test, valid])).tolist()
    in_test, in_valid = able[:n_test], able[n_test : n_test + n_valid]
    return Split(
        _of_users(data, np.concatenate([in_test, in_valid]), inside=False),
        _of_users(hidden, in_valid),
        _of_users(hidden, in_test),
        _of_users(before, np.concatenate([in_test, in_valid])),
    )


def _of_users(data: Interactions, rows: NDArray[np.int64], *, inside: bool = True) -> Interactions:
    chosen = np.full(data.shape[0], not inside)
    chosen[rows] = inside
    return data.where(chosen[owners_of(data.matrix)])


def _share(counts: NDArray[np.int64], share: Any) -> NDArray[np.int64]:
    # 1e-9: shares such as 0.7 * 5 must not miss a half by the last bit.
    shares: NDArray[np.int64] = np.floor(counts * share + 0.5 + 1e-9).astype(np.int64)
    return shares


def _cells(data: Interactions, n_items: int) -> NDArray[np.int64]:
    return owners_of(data.matrix) * n_items + data.matrix.indices


def _part_report(part: Interactions, known: Interactions, repeats: int, since: float | None) -> PartReport:
    events = part.events
    new_user = np.diff(known.matrix.indptr) == 0
    new_item = users_per_item(known.matrix) == 0
    of_new_user, of_new_item = new_user[events.owners], new_item[events.items]
    return PartReport(
        events=len(events),
        pairs=len(part),
        users=int((np.diff(part.matrix.indptr) > 0).sum()),
        new_users=len(np.unique(events.owners[of_new_user])),
        new_items=len(np.unique(events.items[of_new_item])),
        new_events=int((of_new_user | of_new_item).sum()),
        repeats=repeats,
        since=since,
    )


def _line(name: str, part: PartReport) -> str:
    line = f"{name:5}  {part.events:,} events of {part.pairs:,} pairs, {part.users:,} users"
    if part.since is not None:
        line += f", since {part.since:.10g}"
    notes = []
    if part.new_events:
        notes.append(f"{part.new_users:,} users and {part.new_items:,} items are new ({part.new_events:,} events)")
    if part.repeats:
        notes.append(f"{part.repeats:,} pairs seen before")
    return f"{line}: {', '.join(notes)}" if notes else line
