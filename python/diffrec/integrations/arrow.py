"""Histories in, lists out, as Arrow record batches: what every engine calls."""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import flag, needed, shown, whole
from diffrec.data import Ids, Interactions
from diffrec.data._csr import assemble
from diffrec.data._entries import times_of, values_of
from diffrec.ranking import NO_ITEM
from diffrec.recommenders import Recommender
from diffrec.recommenders.limits import listed, require_for_all

if TYPE_CHECKING:
    import pyarrow as pa

_KINDS = {"i": "integers", "U": "text"}


class BatchRecommender:
    """Lists for the people of an Arrow record batch, from their histories in it.

    Parameters
    ----------
    model : Recommender
        Fitted. It need not know the people: they are scored by the histories they come with.
    k : int
        Length of the lists.
    user : str
        Column that says who, of any type; it comes back as it is. A user who stands in several rows gets as many lists.
    items : str
        Column of lists of item ids, integers or text as the model's; null is no history.
    times, values : str, optional
        Columns of lists beside those of ``items``, of the same lengths: when (numbers or times, as
        ``Interactions.from_frame`` reads them) and how much. A model that weighs by age needs times.
    exclude_seen, strict, now, steer, tags, novelty, diversity
        As for ``Recommender.recommend``.
    allow, deny : item ids, optional
        Recommend only these; never these. The same for everybody.

    Raises
    ------
    ImportError
        When pyarrow is not installed.
    TypeError
        When ``allow`` or ``deny`` names items by user, or the model cannot be guided, or has no use for ``now``.
    ValueError
        When something is out of range; ``allow`` or ``deny`` names an item that the model does not know, and
        ``strict``; or the model needs times, and no column of them is named.

    Examples
    --------
    >>> import diffrec, pyarrow
    >>> sold = diffrec.Interactions.from_arrays([1, 1, 2, 2, 3], ["tea", "milk", "tea", "milk", "salt"])
    >>> lists_of = BatchRecommender(diffrec.fit(sold, variant="popularity"), k=1)
    >>> lists_of(pyarrow.RecordBatch.from_pydict({"user": ["Ann"], "items": [["milk"]]})).to_pylist()
    [{'user': 'Ann', 'item': 'tea', 'rank': 1, 'score': 2.0}]
    """

    def __init__(
        self,
        model: Recommender,
        k: int = 20,
        *,
        user: str = "user",
        items: str = "items",
        times: str | None = None,
        values: str | None = None,
        exclude_seen: bool = True,
        allow: Iterable[Any] | None = None,
        deny: Iterable[Any] | None = None,
        strict: bool = False,
        now: float | date | str | None = None,
        steer: Mapping[Any, float] | None = None,
        tags: Mapping[Any, Iterable[Any]] | None = None,
        novelty: float = 0.0,
        diversity: float = 0.0,
    ) -> None:
        pa = needed("pyarrow", "record batches need pyarrow", "diffrec[parquet]")
        require_for_all(allow=allow, deny=deny)
        self._model = model._fitted()
        self._k = whole(1)("k", k)
        self._columns = {"user": user, "items": items, "times": times, "values": values}
        self._strict = flag("strict", strict)
        self._choice: dict[str, Any] = {
            "exclude_seen": flag("exclude_seen", exclude_seen),
            # More than one batch reads them.
            **{
                name: None if given is None else listed(name, given)
                for name, given in (("allow", allow), ("deny", deny))
            },
            "strict": self._strict,
            "now": now,
            "steer": steer,
            "tags": tags,
            "novelty": novelty,
            "diversity": diversity,
        }
        self._ids = pa.array(model.train_.items.ids)
        # What is wrong with the choice, or missing, is said before any batch: of someone with an item, and of nobody.
        held = {"items": self._ids[:1], "times": pa.array([0.0]), "values": pa.array([1.0])}
        given = {self._columns[name]: pa.array([one.to_pylist()]) for name, one in held.items() if self._columns[name]}
        someone = pa.RecordBatch.from_pydict(given)
        model._read(self._histories(someone))
        model.recommend(self._histories(someone[:0]), self._k, **self._choice)

    def __call__(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """Recommend to the people of a batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            A row for each of n people.

        Returns
        -------
        pyarrow.RecordBatch
            Columns user, item, rank (from 1) and score, at most k rows for each person, as ``schema`` has them. The
            lists are those of ``model.recommend``.

        Raises
        ------
        ValueError
            When a column is missing or not of lists, an entry is null, lists beside each other differ in length, a time
            or value is none; or an item is unknown to the model and ``strict``.
        TypeError
            When the items are of another kind than the model's.
        """
        import pyarrow as pa

        users = self._column(batch, "user")
        top = self._model.recommend(self._histories(batch), self._k, **self._choice)
        filled = top.item_rows != NO_ITEM
        counts = filled.sum(axis=1)
        ranks = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        owners = pa.array(np.repeat(np.arange(len(counts)), counts))
        return pa.RecordBatch.from_arrays(
            [
                users.take(owners),
                self._ids.take(pa.array(top.item_rows[filled])),
                pa.array(ranks),
                pa.array(top.scores[filled]),
            ],
            schema=self.schema(users.type),
        )

    def schema(self, user: "pa.DataType") -> "pa.Schema":
        """Return the columns of the lists: user (of the type given), item (int64 or text), rank, score."""
        import pyarrow as pa

        return pa.schema({"user": user, "item": self._ids.type, "rank": pa.int64(), "score": pa.float32()})

    def _histories(self, batch: "pa.RecordBatch") -> Interactions:
        import pyarrow.compute as pc

        lengths, items = self._lists(batch, "items")
        coded = items if hasattr(items, "dictionary") else pc.dictionary_encode(items)
        ids = self._model.train_.items
        columns = _found(coded.dictionary, ids, self._columns["items"])[coded.indices.to_numpy(zero_copy_only=False)]
        known = columns >= 0
        if self._strict and not known.all():
            strange = items[int(np.argmin(known))].as_py()
            raise ValueError(
                f"column {self._columns['items']!r} has the item {shown(strange)}, which the model does not know"
            )
        beside = {}
        for name in ("times", "values"):
            if self._columns[name] is not None:
                own, entries = self._lists(batch, name)
                if not np.array_equal(own, lengths):
                    row = int(np.argmax(own != lengths))
                    raise ValueError(
                        f"row {row} of a batch has {lengths[row]} entries in column {self._columns['items']!r} and "
                        f"{own[row]} in {self._columns[name]!r}"
                    )
                beside[name] = _numbers(entries)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        times, weights = None, np.ones(len(rows), dtype=np.float32)
        if "times" in beside:
            times = times_of(beside["times"], lambda place: self._place("times", lengths, place))
        if "values" in beside:
            weights = values_of(beside["values"], lambda place: self._place("values", lengths, place), netted=False)
        parts = assemble(
            rows[known],
            columns[known],
            weights[known],
            None if times is None else times[known],
            (len(lengths), len(ids)),
        )
        # Rows stand for the people: the ids in the batch may be of any type, and repeat.
        return Interactions.of_parts(parts, Ids.numbered(len(lengths), "user"), ids)

    def _lists(self, batch: "pa.RecordBatch", name: str) -> tuple[NDArray[np.int64], Any]:
        """Length of each row's list, 0 where there is none, and their entries one after the other."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self._column(batch, name)
        if pa.types.is_null(column.type):
            # Nobody in the batch has a history, so that nothing said of what it is a list.
            return np.zeros(len(column), dtype=np.int64), pa.array([], pa.null())
        kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        if not any(kind(column.type) for kind in kinds):
            raise ValueError(f"column {self._columns[name]!r} must hold a list for each user, not {column.type}")
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        entries = pc.list_flatten(column)
        if entries.null_count:
            raise ValueError(f"{self._place(name, lengths, pc.index(entries.is_null(), True).as_py())} is null")
        return lengths, entries

    def _place(self, name: str, lengths: NDArray[np.int64], place: int) -> str:
        """Name one of the entries of all rows' lists, which stand one after the other."""
        ends = np.cumsum(lengths)
        row = int(np.searchsorted(ends, place, side="right"))
        return f"entry {place - (ends[row] - lengths[row])} of row {row} of a batch in column {self._columns[name]!r}"

    def _column(self, batch: "pa.RecordBatch", name: str) -> Any:
        wanted = self._columns[name]
        if wanted not in batch.schema.names:
            listed = ", ".join(map(repr, batch.schema.names))
            raise ValueError(f"{name}={wanted!r} is no column of the batch, which has {listed}")
        return batch.column(wanted)


def recommend_batches(
    model: Recommender, batches: "Iterable[pa.RecordBatch]", k: int = 20, **choice: Any
) -> "Iterator[pa.RecordBatch]":
    """Recommend to the people of Arrow record batches, from their histories in them, a batch at a time.

    Parameters
    ----------
    model : Recommender
        Fitted.
    batches : iterable of pyarrow.RecordBatch
        Such as of a Parquet file, a stream or Spark: a row for each person, with a list of items.
    k : int
        Length of the lists.
    **choice
        As for ``BatchRecommender``.

    Yields
    ------
    pyarrow.RecordBatch
        For each batch its lists: user, item, rank, score.

    Examples
    --------
    >>> import diffrec, pyarrow
    >>> sold = diffrec.Interactions.from_arrays([1, 1, 2, 2, 3], [7, 8, 7, 8, 9])
    >>> histories = pyarrow.table({"who": ["Ann", "Bob"], "had": [[8], None]}).to_batches(max_chunksize=1)
    >>> lists = recommend_batches(diffrec.fit(sold, variant="ease"), histories, k=1, user="who", items="had")
    >>> [batch["item"].to_pylist() for batch in lists]
    [[7], [7]]
    """
    lists_of = BatchRecommender(model, k, **choice)
    return map(lists_of, batches)


def kept(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return a choice that can be read more than once, by every worker."""
    return {name: list(one) if isinstance(one, Iterator) else one for name, one in choice.items()}


def share_threads() -> None:
    """Let kernels take the threads that an engine gives its worker, as it tells OpenMP's programs, not all there are.

    To be called before the first of them runs in this process.
    """
    if "OMP_NUM_THREADS" in os.environ:
        os.environ.setdefault("RAYON_NUM_THREADS", os.environ["OMP_NUM_THREADS"])


def _found(distinct: Any, ids: Ids, column: str | None) -> NDArray[np.int64]:
    """Columns of distinct items, -1 where the model does not know one."""
    import pyarrow as pa

    if pa.types.is_null(distinct.type):
        return np.empty(0, dtype=np.int64)
    text = pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type)
    if not text and not pa.types.is_integer(distinct.type):
        raise TypeError(f"column {column!r} must hold lists of integers or text, not of {distinct.type}")
    kind = "U" if text else "i"
    if len(distinct) and kind != ids.ids.dtype.kind:
        raise TypeError(
            f"column {column!r} holds {_KINDS[kind]}, and the model's items are {_KINDS[ids.ids.dtype.kind]}, such as "
            f"{shown(ids[0])}: cast the column"
        )
    return ids.find(np.array(distinct.to_pylist(), dtype=np.str_) if text else distinct.to_numpy(zero_copy_only=False))


def _numbers(entries: Any) -> NDArray[Any]:
    """Entries as NumPy has them; times without their zone, which is UTC in Arrow."""
    import pyarrow as pa

    if pa.types.is_null(entries.type):
        return np.empty(0)
    if pa.types.is_timestamp(entries.type):
        entries = entries.cast(pa.timestamp(entries.type.unit))
    array: NDArray[Any] = entries.to_numpy(zero_copy_only=False)
    return array
