"""Who did what and when: the sparse user x item matrix with its ids."""

import copy
from collections.abc import Mapping
from datetime import date
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from diffrec._shown import facts_as_html
from diffrec._tensors import as_matrix
from diffrec.checks import one_of, shown
from diffrec.data._columns import Columns
from diffrec.data._csr import Csr, Parts, align_times, empty_matrix, owners_of, stored_entries
from diffrec.data._encode import Coded, encode
from diffrec.data._entries import moment_of, require_finite, require_times, require_values, values_of
from diffrec.data._reshape import add, cells_of, events_of, keep, keep_events, move, pick_rows
from diffrec.data._settle import Settled, all_usable, settle
from diffrec.data._summary import facts, heading, one_line, summary
from diffrec.data._table import read_table
from diffrec.data._times import in_seconds, unit_notes
from diffrec.data.events import Events
from diffrec.data.facts import as_kept, facts_of, holds_facts, title_of
from diffrec.data.files import blamed_on, read_file
from diffrec.data.ids import Ids, catalogue
from diffrec.data.negatives import NEGATIVES, Entries, NegativesReport, newest_words, settle_negatives
from diffrec.data.report import ReadReport
from diffrec.data.tables import table_file

if TYPE_CHECKING:
    from diffrec.data.split import Split

# Rows written at a time.
_WRITTEN = 1 << 18


class Interactions:
    """Interactions of users with items; treat it as immutable.

    Every one is kept: a user who took an item three times has three *events* and one cell of the matrix, and
    what a user did at one time is a *basket* without inner order. Made by :meth:`from_arrays`, :meth:`from_csr`,
    :meth:`from_frame` and :meth:`read`, which check what they are given, so that nothing behind them has to.
    ``len`` counts the cells, ``n_events`` the events.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array
        float32 sums of the events' values, shape (users, items); columns sorted, none repeated, no stored zeros.
    timestamps : NDArray[np.float64] or None
        Newest time of each cell, aligned with ``matrix.data``: seconds since the epoch where clock time matters.
    users, items : Ids
        What the rows and the columns stand for.
    item_info : Mapping[str, NDArray]
        Columns of facts about the items (titles, genres), each aligned with ``items``: those of ``items.facts``.
    negatives_ : NegativesReport or None
        What became of values below zero (``negatives=``) when these interactions were made; None where none was.
    report_ : ReadReport or None
        What became of the rows these were made of: how many were read, merged, dropped and why. None for what was made
        of other interactions.
    now : float or None
        The moment that ages are counted from by the clock; None for each user's newest event. See :meth:`as_of`.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> played = Interactions.from_arrays(["anna", "bert", "anna"], [7, 7, 9], timestamp=[1, 2, 3])
    >>> played.shape
    (2, 2)
    >>> played.matrix.toarray()
    array([[1., 1.],
           [1., 0.]], dtype=float32)
    >>> played.items.rows([9])
    array([1])
    """

    def __init__(
        self,
        matrix: Csr,
        timestamps: NDArray[np.float64] | None,
        users: Ids,
        items: Ids,
        item_info: Mapping[str, NDArray[Any]] | None = None,
        events: Events | None = None,
        dislikes: Parts | None = None,
    ) -> None:
        """Wrap checked parts, ``events`` where a cell has several; the ``from_`` constructors are the ones to call."""
        self.matrix = matrix
        self.timestamps = timestamps
        self.users = users
        self.items = items.with_facts(item_info or {})
        self._events = events
        self._dislikes = dislikes
        self.negatives_: NegativesReport | None = None
        self.now: float | None = None
        self.report_: ReadReport | None = None

    @classmethod
    def from_arrays(
        cls,
        user: ArrayLike,
        item: ArrayLike,
        timestamp: ArrayLike | None = None,
        value: ArrayLike | None = None,
        *,
        users: Ids | ArrayLike | None = None,
        items: Any = None,
        item_info: Mapping[str, ArrayLike] | None = None,
        negatives: str = "error",
    ) -> "Interactions":
        """Make from one entry per interaction.

        Parameters
        ----------
        user, item
            Ids, integers or strings, shape (n,). A pair that stands twice has two events and one cell.
        timestamp
            Times, shape (n,): numbers (seconds where clock time matters), or datetimes or text,
            which become seconds since the epoch (UTC unless they say otherwise), as in :meth:`from_frame`.
        value
            Weights, shape (n,), ones by default; an entry of value 0 is no interaction.
        users, items
            Known ids in row order: an array or a sequence. They give rows also to ids without interactions; by default
            the rows are the sorted distinct ids that occur. ``items`` may be a table of facts instead (a frame, a
            mapping of columns, or the path of a ``.csv``, ``.tsv`` or ``.parquet`` file): its column of the items' name
            holds ids, the others (title, category, price) become ``item_info`` of those that occur. Then ids come from
            the interactions alone.
        item_info
            Facts about the items by name, each of shape (items,).
        negatives
            What becomes of values below zero: ``"error"``; ``"drop"`` leaves them out; ``"net"`` takes each, a
            return, off what the same user bought of the item before, the newest first: events that are returned as a
            whole are none any more, and what is returned of more than was bought is left out; ``"dislike"`` keeps
            them as :attr:`dislikes`. ``negatives_`` counts them.

        Raises
        ------
        TypeError
            If ids are neither integers nor strings.
        ValueError
            If lengths differ, an id is not in its given catalogue, a time or value is not finite, a value is
            negative and ``negatives`` is ``"error"``, or no interaction is left.

        Examples
        --------
        >>> Interactions.from_arrays([3, 3, 5], ["a", "a", "b"], value=[1, 2, 1]).matrix.toarray()
        array([[3., 0.],
               [0., 1.]], dtype=float32)
        >>> bought = Interactions.from_arrays([0, 0, 0], ["tea", "tea", "salt"], [1, 2, 3], [5, -2, 1], negatives="net")
        >>> bought.matrix.toarray()
        array([[1., 3.]], dtype=float32)
        """
        times = None if timestamp is None else require_times(np.asarray(timestamp))
        values = None if value is None else np.asarray(value)
        columns = Columns(encode(user, "user"), encode(item, "item"), None if times is None else times.seconds, values)
        notes = () if times is None else tuple(times.notes)
        return cls._settled(
            settle(all_usable(columns, "the arrays", notes), "error", negatives), users, items, item_info, negatives
        )

    @classmethod
    def _settled(
        cls,
        settled: Settled,
        users: Any,
        items: Any,
        item_info: Mapping[str, ArrayLike] | None = None,
        negatives: str = "error",
    ) -> "Interactions":
        user, item, times, given = settled.columns
        n = len(user.codes)
        signed = one_of(NEGATIVES)("negatives", negatives) != "error"
        values = np.ones(n, dtype=np.float32) if given is None else values_of(given, settled.name_value, signed=signed)
        for name, array in (("item", item.codes), ("timestamp", times), ("value", values)):
            if array is not None and len(array) != n:
                raise ValueError(f"{name} has {len(array)} entries, user has {n}")
        user_rows, known_users = _rows(user, users, "user")
        table = items if holds_facts(items) else None
        item_rows, known_items = _rows(item, None if table is not None else items, "item")
        said = None if table is None else facts_of(table, known_items, settled.origin.used.get("item"))
        info = item_info if said is None else {**(item_info or {}), **said.info}
        entries = Entries(user_rows, item_rows, values, times)
        made = cls._checked(entries, known_users, known_items, info, negatives)
        made.report_ = settled.report(made, () if said is None else (said.note,))
        return made

    @classmethod
    def from_csr(
        cls, matrix: Any, timestamps: Any = None, *, allow_empty: bool = False, negatives: str = "error"
    ) -> "Interactions":
        """Make from a user x item matrix; the ids are the row and column numbers.

        Parameters
        ----------
        matrix
            Any SciPy sparse matrix or array, a two-dimensional NumPy array, or a tensor (torch's may be
            sparse), shape (users, items), of finite values. Stored zeros are no interactions; repeated
            entries are events of one cell, as :meth:`from_arrays` has them. It is not changed.
        timestamps
            A sparse matrix storing the same cells, zeros included, or None. A dense array of the same shape,
            or a vector with one time for each stored entry of the CSR ``matrix``, will do too. Seconds, or numbers
            that can only be milliseconds, microseconds or nanoseconds, of which seconds are made.
        allow_empty
            Accept a matrix without interactions: histories of people who have none yet.
        negatives
            What becomes of values below zero, as in :meth:`from_arrays`.

        Raises
        ------
        TypeError
            If ``matrix`` is not a matrix.
        ValueError
            If the arrays inside are corrupt, a value is negative or not finite, the patterns differ, or
            nothing is stored.

        Examples
        --------
        >>> from scipy import sparse
        >>> Interactions.from_csr(sparse.csr_array([[0, 2], [1, 0]])).shape
        (2, 2)
        """
        (rows, columns, stored), shape = stored_entries(as_matrix(matrix), "matrix")
        signed = one_of(NEGATIVES)("negatives", negatives) != "error"
        values = require_values(stored, lambda place: f"matrix[{rows[place]}, {columns[place]}]", signed=signed)
        times, unit = None, None
        if timestamps is not None:
            times = align_times(as_matrix(timestamps), (rows, columns, stored), shape, "timestamps")
            require_finite(times, "timestamps")
            times, unit = in_seconds(times)
        users, items = Ids.numbered(shape[0], "user"), Ids.numbered(shape[1], "item")
        entries = Entries(rows, columns, values, times)
        made = cls._checked(entries, users, items, None, negatives, allow_empty=allow_empty)
        coded = Columns(Coded(users.ids, rows), Coded(items.ids, columns), times, values)
        found = all_usable(coded, "the matrix", tuple(unit_notes("timestamps", unit)))
        made.report_ = settle(found, "error", negatives).report(made)
        return made

    @classmethod
    def from_frame(
        cls,
        df: Any,
        user: str | None = None,
        item: str | None = None,
        timestamp: str | None = None,
        value: str | None = None,
        *,
        users: Ids | ArrayLike | None = None,
        items: Any = None,
        negatives: str = "error",
        on_bad_row: str = "error",
        dayfirst: bool | None = None,
    ) -> "Interactions":
        """Make from a data frame with a row per interaction.

        Parameters
        ----------
        df
            A pandas, Polars (also lazy) or pyarrow table, a DuckDB relation, or another frame that narwhals
            knows; a Hugging Face ``Dataset``; or a mapping of names to columns of the same length.
        user, item, timestamp
            Column names; by default guessed from usual names (``user_id``, ``customer``, ``Customer ID``;
            ``item_id``, ``sku``, ``StockCode``; ``timestamp``, ``order_date``, ``InvoiceDate``). Dates, times and text
            such as ``2025-01-31 08:26`` or ``31/01/2025`` become seconds since the epoch (UTC where they do not say
            otherwise); so do numbers that can only be milliseconds, microseconds or nanoseconds. Other numbers stay as
            they are.
        value
            Column of weights; never guessed, so a rating is used only if named.
        users, items, negatives
            As in :meth:`from_arrays`.
        on_bad_row
            What becomes of rows without user, item, time or value, or with one that is none: ``"error"`` names all
            kinds of them, ``"drop"`` leaves them out and counts them in ``report_``.
        dayfirst
            Whether 01/02/2025 is in February; by default what the other dates allow alone.

        Returns
        -------
        Interactions
            ``report_`` says what became of the rows, and which columns were used.

        Raises
        ------
        TypeError
            If ``df`` is no table.
        ValueError
            If a column is missing (the message lists those there are) or cannot be guessed, or a row cannot be used.

        Warns
        -----
        UserWarning
            If a column looks like times and is not used, unless ``timestamp`` names the one that is.

        Examples
        --------
        >>> import polars
        >>> orders = polars.DataFrame({"customer_id": ["anna", "bert"], "sku": [7, 9], "ts": [20, 30]})
        >>> Interactions.from_frame(orders)
        <Interactions: 2 users x 2 items, 2 interactions, with timestamps>
        """
        settled = settle(read_table(df, (user, item, timestamp, value), dayfirst=dayfirst), on_bad_row, negatives)
        settled.warn(timestamp)
        return cls._settled(settled, users, items, negatives=negatives)

    @classmethod
    def read(
        cls,
        path: str | PathLike[str],
        *,
        user: str | int | None = None,
        item: str | int | None = None,
        timestamp: str | int | None = None,
        value: str | int | None = None,
        part: str | None = None,
        users: Ids | ArrayLike | None = None,
        items: Any = None,
        negatives: str = "error",
        on_bad_row: str = "error",
        dayfirst: bool | None = None,
    ) -> "Interactions":
        r"""Read a file with a row per interaction.

        Parameters
        ----------
        path
            ``.csv`` and ``.tsv`` (UTF-8, with a header) and ``.inter`` (RecBole's atomic file), also packed (``.gz``;
            ``.zst``, which needs pyarrow); ``.parquet`` or a folder of such files (needs pyarrow); or ``.npz``: a SciPy
            sparse matrix, arrays ``user``, ``item`` and perhaps ``timestamp`` and ``value``, or a split (``shape``, and
            (n, 2) integers ``train``, ``valid``, ``test``). Text is read by pyarrow or Polars where one is
            installed, which is several times faster, and else by Python; all give the same.
        user, item, timestamp, value
            Column names, guessed as in :meth:`from_frame`; or, for text without a header, positions from 0.
            Text ids are integers if all are.
        part
            ``"train"``, ``"valid"`` or ``"test"`` of a split; all three joined by default, the places in the
            file being the times where there are no others.
        users, items, negatives
            As in :meth:`from_arrays`.
        on_bad_row, dayfirst
            As in :meth:`from_frame`; rows of text are named by their lines in the file.

        Returns
        -------
        Interactions
            ``report_`` says what became of the rows, and which columns were used.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ImportError
            If the format needs a package that is not installed.
        ValueError
            If the suffix is unknown, or the file's content is not what it should be: all kinds of rows that cannot be
            used are named.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "plays.csv")
        ...     _ = file.write_text("userId,artistId,date\nanna,7,2024-05-01\nbert,9,2024-05-02\n")
        ...     Interactions.read(file, item="artistId")
        <Interactions: 2 users x 2 items, 2 interactions, with timestamps>
        """
        with blamed_on(path, besides=items):
            settled = settle(read_file(path, (user, item, timestamp, value), part, dayfirst), on_bad_row, negatives)
            settled.warn(timestamp)
            return cls._settled(settled, users, items, negatives=negatives)

    def write(self, path: str | PathLike[str]) -> None:
        r"""Write a file with a row per interaction, which :meth:`read` reads back.

        The columns are ``user`` and ``item``, ``timestamp`` where there are times, and ``value`` where one is not 1
        (to be named when the file is read). Dislikes follow, with values below zero: ``negatives="dislike"`` reads
        them back. The file is there, complete, or what it was before.

        Parameters
        ----------
        path
            ``.csv``, ``.tsv``, ``.inter``, ``.parquet`` (needs pyarrow) or ``.npz``.

        Raises
        ------
        ImportError
            If the format needs a package that is not installed.
        ValueError
            If the suffix is unknown, or an id cannot be written in the format.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "plays.tsv")
        ...     Interactions.from_arrays(["anna", "bert"], [7, 9], timestamp=[10, 20]).write(file)
        ...     file.read_text()
        'user\titem\ttimestamp\nanna\t7\t10\nbert\t9\t20\n'
        """
        # Where nothing repeats the rows stand by user and item, whatever their times.
        events = self._events
        if events is None:
            indptr = self.matrix.indptr.astype(np.int64)
            events = Events(indptr, self.matrix.indices, self.timestamps, self.matrix.data)
        owners, items, times, values = events.owners, events.items, events.times, events.values
        if self._dislikes is not None:
            disliked = self._dislikes
            owners = np.concatenate([owners, owners_of(disliked.matrix)])
            items = np.concatenate([items, disliked.matrix.indices])
            values = np.concatenate([values, -disliked.matrix.data])
            times = None if times is None or disliked.times is None else np.concatenate([times, disliked.times])
        if times is not None and np.array_equal(times, np.trunc(times)) and np.abs(times).max(initial=0) < 2**53:
            times = times.astype(np.int64)
        weighted = bool((values != 1).any())
        with table_file(path) as append:
            for start in range(0, max(1, len(owners)), _WRITTEN):
                part = slice(start, start + _WRITTEN)
                block = {"user": self.users[owners[part]], "item": self.items[items[part]]}
                if times is not None:
                    block["timestamp"] = times[part]
                if weighted:
                    block["value"] = values[part]
                append(block)

    @classmethod
    def _checked(
        cls,
        entries: Entries,
        users: Ids,
        items: Ids,
        item_info: Mapping[str, ArrayLike] | None,
        negatives: str = "error",
        *,
        allow_empty: bool = False,
    ) -> "Interactions":
        if not isinstance(item_info, Mapping | None):
            raise TypeError(f"item_info must be a mapping of names to columns, got {shown(item_info)}")
        strange = [name for name in item_info or {} if not isinstance(name, str)]
        if strange:
            raise TypeError(f"item_info must name its columns by text, got {shown(strange[0])}")
        parts, dislikes, report = settle_negatives(entries, (len(users), len(items)), negatives)
        if not parts.matrix.nnz and not allow_empty:
            left = "" if report is None else f"; {report}"
            raise ValueError(f"there are no interactions: {len(entries.values)} entries, none above 0{left}")
        info = {name: as_kept(column, f"item_info[{name!r}]") for name, column in (item_info or {}).items()}
        for name, column in info.items():
            if column.shape[:1] != (len(items),):
                raise ValueError(f"item_info[{name!r}] must have one entry per item, {len(items)}, not {column.shape}")
        made = cls.of_parts(parts, users, items, info, dislikes)
        made.negatives_ = report
        return made

    @classmethod
    def of_parts(
        cls,
        parts: Parts,
        users: Ids,
        items: Ids,
        item_info: Mapping[str, NDArray[Any]] | None = None,
        dislikes: Parts | None = None,
    ) -> "Interactions":
        """Wrap what ``assemble`` and its like made; ``dislikes`` share no cell with the others."""
        if dislikes is not None and not dislikes.matrix.nnz:
            dislikes = None
        return cls(parts.matrix, parts.times, users, items, item_info, parts.events, dislikes)

    @property
    def _parts(self) -> Parts:
        return Parts(self.matrix, self.timestamps, self._events)

    @property
    def dislikes(self) -> Csr:
        """Users' dislikes, float32 (users, items): the sizes of the values below zero, summed by cell.

        Kept where interactions are made with ``negatives="dislike"``, apart from ``matrix``, with which they share no
        cell: where a user both liked and disliked an item the newest word holds. They are never recommended; iALS and
        the anchor of the diffusion models also recommend less of what is like them.

        Examples
        --------
        >>> votes = Interactions.from_arrays([0, 0], ["tea", "salt"], value=[1, -2], negatives="dislike")
        >>> votes.matrix.toarray(), votes.dislikes.toarray()
        (array([[0., 1.]], dtype=float32), array([[2., 0.]], dtype=float32))
        """
        return empty_matrix(*self.shape) if self._dislikes is None else self._dislikes.matrix

    @property
    def n_dislikes(self) -> int:
        """Number of pairs that are disliked."""
        return 0 if self._dislikes is None else int(self._dislikes.matrix.nnz)

    @property
    def signed_matrix(self) -> Csr:
        """``matrix`` and ``dislikes`` in one, the latter below zero."""
        return self.matrix if self._dislikes is None else sparse.csr_array(self.matrix - self._dislikes.matrix)

    def with_dislikes(self, dislikes: Parts | None) -> "Interactions":
        """Return these interactions with other dislikes, which share no cell with them."""
        return Interactions.of_parts(self._parts, self.users, self.items, self.item_info, dislikes)

    @property
    def dislike_parts(self) -> Parts | None:
        """``dislikes`` with the newest time of each; None where there are none."""
        return self._dislikes

    @property
    def events(self) -> Events:
        """Every event: sorted by user, then time (oldest first), then item.

        Where no pair repeats they say nothing that ``matrix`` and ``timestamps`` do not, so they are not stored but
        made anew each time: keep them where they are needed more than once.
        """
        return events_of(self._parts)

    def cells_of_events(self) -> NDArray[np.int64]:
        """Return the place in ``matrix.data`` of the cell of each of ``events``, int64 (events,)."""
        return cells_of(self._parts)

    @property
    def n_events(self) -> int:
        """Number of events, of which each pair of user and item has at least one."""
        return len(self if self._events is None else self._events)

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self.users), len(self.items)

    @property
    def item_info(self) -> Mapping[str, NDArray[Any]]:
        """Columns of facts about the items by name, each with an entry per item: ``items.facts``."""
        return self.items.facts

    @item_info.setter
    def item_info(self, facts: Mapping[str, NDArray[Any]]) -> None:
        self.items = self.items.with_facts(facts)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take what was pickled, also when facts about items were an attribute of their own."""
        self.__dict__.update(state)
        facts = self.__dict__.pop("item_info", None)
        if facts is not None:
            self.item_info = facts

    @property
    def titles(self) -> NDArray[Any] | None:
        """The column of ``item_info`` that holds titles or names, (items,), empty where there is none; None without."""
        title = title_of(self.item_info)
        return None if title is None else self.item_info[title]

    @property
    def item_labels(self) -> NDArray[Any]:
        """Names of the items for people, (items,): their titles or names, and ids where there are none."""
        titles = self.titles
        return self.items.ids if titles is None else np.where(titles == "", self.items.ids.astype(np.str_), titles)

    def __len__(self) -> int:
        # Distinct pairs: what ``matrix.data``, and so a mask for ``where``, has entries for.
        return int(self.matrix.nnz)

    def split(self, by: str | None = "time", valid: float = 0.1, test: float = 0.2, seed: int = 0) -> "Split":
        """Part the interactions into train, valid and test.

        What is parted are events: a pair that a user has before and after a cut is in both parts. Events of a user at
        one time are a basket, and no cut parts one. Every user keeps at least one basket in train: where the shares
        leave none, valid gives way first, then test. ``report_`` of the result says what each part holds, and how
        much of it is of users, items and pairs that train knows. Dislikes go to the part into whose time they fall;
        all to train (``"users"``: or visible) where parts have no order.

        Parameters
        ----------
        by
            ``"time"``: each user's newest baskets are test, those before them valid, as many as come nearest to the
            share of the user's events (halves up). ``"leave-last"``: the newest basket is test (of users with at
            least two), the one before it valid (of users with at least three); a share of 0 then says that the part
            is not wanted. ``"global-time"``: two moments part everything, the same for all users: test is what came
            last; users and items may be new in it. ``"random"``: pairs drawn per user, each with all of its events.
            ``"users"``: whole users are held out. Of those drawn the newest fifth (by whole baskets; at random where
            there is no order) is valid or test, and what they did before it is in ``Split.visible``, for a model
            that has never seen them (strong generalisation; Liang et al., 2018). None is ``"time"`` where there are
            times, else ``"random"``.
        valid, test
            Shares in [0, 1) whose sum stays below 1: of each user's events, of all events (``"global-time"``), or of
            the users.
        seed
            Of the random draws.

        Returns
        -------
        Split
            ``train``, ``valid`` and ``test``, of the same users, items and ``item_info``.

        Raises
        ------
        ValueError
            If ``by`` is unknown, a share lies outside its range, or times are needed and there are none.

        Examples
        --------
        >>> watched = Interactions.from_arrays([0] * 10, range(10), timestamp=range(10))
        >>> [len(part) for part in watched.split(by="time", valid=0.1, test=0.2)]
        [7, 1, 2]
        >>> bought = Interactions.from_arrays([0] * 4, ["tea", "milk", "tea", "salt"], timestamp=[1, 1, 2, 2])
        >>> train, _, test = bought.split(by="leave-last")
        >>> train.items[train.matrix.indices].tolist(), test.items[test.matrix.indices].tolist()
        (['milk', 'tea'], ['salt', 'tea'])
        """
        from diffrec.data.split import split

        return split(self, by, valid, test, seed)

    def take(self, rows: ArrayLike) -> "Interactions":
        """Pick the histories of some users.

        Parameters
        ----------
        rows
            Distinct row numbers, shape (m,), in the order wanted.

        Returns
        -------
        Interactions
            Of these m users and all items; it may hold no interaction.

        Examples
        --------
        >>> everyone = Interactions.from_arrays([0, 1, 2], [0, 1, 0])
        >>> everyone.take([2, 0]).users.ids
        array([2, 0])
        """
        picked = np.asarray(rows)
        if picked.ndim != 1 or (picked.dtype.kind not in "iu" and len(picked)):
            raise TypeError(f"rows must be a vector of integers, not {picked.dtype} of shape {picked.shape}")
        picked = picked.astype(np.int64)
        outside = (picked < 0) | (picked >= len(self.users))
        if outside.any():
            raise ValueError(f"rows must lie in [0, {len(self.users)}), not {picked[np.argmax(outside)]}")
        users = Ids(self.users[picked], "user")
        dislikes = None if self._dislikes is None else pick_rows(self._dislikes, picked)
        taken = Interactions.of_parts(pick_rows(self._parts, picked), users, self.items, self.item_info, dislikes)
        taken.now = self.now
        return taken

    def as_of(self, now: float | date | str | None) -> "Interactions":
        """Look at the same interactions from a moment: ages by the clock are counted from it.

        Parameters
        ----------
        now
            Seconds since the epoch, a datetime, or ISO 8601 text (UTC unless they say otherwise); None counts ages
            from each user's newest event.

        Returns
        -------
        Interactions
            The same, with ``now``; :meth:`take` keeps it, whatever else makes new interactions does not.

        Raises
        ------
        ValueError
            If it is no moment. One before an event is refused by what counts ages from it.

        Examples
        --------
        >>> from datetime import timedelta
        >>> from diffrec.data import time_weights
        >>> heard = Interactions.from_arrays([0, 0], [0, 1], timestamp=["2026-01-01", "2026-01-03"])
        >>> day = {"kind": "exponential", "w_min": 0, "half_life": timedelta(days=1)}
        >>> time_weights(heard, **day).data, time_weights(heard.as_of("2026-01-04"), **day).data
        (array([0.25, 1.  ], dtype=float32), array([0.125, 0.5  ], dtype=float32))
        """
        seen = copy.copy(self)
        seen.now = None if now is None else moment_of("now", now)
        return seen

    def __getitem__(self, rows: Any) -> "Interactions":
        """Pick users as :meth:`take` does, also by a slice or a mask: what scikit-learn splits rows with.

        Examples
        --------
        >>> everyone = Interactions.from_arrays([0, 1, 2], [0, 1, 0])
        >>> everyone[1:].users.ids
        array([1, 2])
        """
        if isinstance(rows, tuple) and rows[1:] == (...,):
            rows = rows[0]
        picked = np.arange(len(self.users))[rows]
        if picked.ndim != 1:
            raise TypeError(f"rows must be a slice or a vector of row numbers or booleans, not {shown(rows)}")
        return self.take(picked)

    # A length and rows do not make it a sequence: the length counts interactions.
    __iter__ = None

    def where(self, mask: NDArray[np.bool_]) -> "Interactions":
        """Keep the cells where a mask aligned with ``matrix.data`` is true, with all of their events, and all dislikes.

        Examples
        --------
        >>> rated = Interactions.from_arrays([0, 0, 1], [0, 1, 1], value=[5, 2, 4])
        >>> len(rated.where(rated.matrix.data >= 4))
        2
        """
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != self.matrix.data.shape:
            raise ValueError(f"mask must hold {len(self)} booleans, not {mask.dtype} of shape {mask.shape}")
        return Interactions.of_parts(keep(self._parts, mask), self.users, self.items, self.item_info, self._dislikes)

    def where_events(self, mask: NDArray[np.bool_]) -> "Interactions":
        """Keep the events where a mask aligned with ``events`` is true, and all dislikes.

        Examples
        --------
        >>> bought = Interactions.from_arrays([0, 0], [7, 7], timestamp=[10, 20])
        >>> bought.where_events(bought.events.times < 20).timestamps
        array([10.])
        """
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != (self.n_events,):
            raise ValueError(f"mask must hold {self.n_events} booleans, not {mask.dtype} of shape {mask.shape}")
        return Interactions.of_parts(
            keep_events(self._parts, mask), self.users, self.items, self.item_info, self._dislikes
        )

    def with_ids(self, users: Ids | None = None, items: Ids | None = None) -> "Interactions":
        """Give rows and columns other ids, as many as there are; ``item_info`` stays where the items do.

        Examples
        --------
        >>> Interactions.from_arrays([0, 1], [7, 7]).with_ids(users=Ids(["anna", "bert"])).users.ids
        array(['anna', 'bert'], dtype='<U4')
        """
        info = self.item_info if items is None else None
        users, items = self.users if users is None else users, self.items if items is None else items
        if (len(users), len(items)) != self.shape:
            raise ValueError(f"{len(users)} users and {len(items)} items do not fit the shape {self.shape}")
        return Interactions.of_parts(self._parts, users, items, info, self._dislikes)

    def align(
        self, users: Ids | ArrayLike | None = None, items: Ids | ArrayLike | None = None
    ) -> tuple["Interactions", int]:
        """Put the interactions on the rows and columns of other ids: a test file on those of a model.

        Parameters
        ----------
        users, items
            The ids wanted, in row order; None keeps what there is.

        Returns
        -------
        Interactions
            On these ids; it may hold no interaction. ``item_info`` is kept if every wanted item has some.
        int
            How many pairs were left out because their user or item is not among the ids.

        Examples
        --------
        >>> later = Interactions.from_arrays(["bert", "dora"], [7, 7])
        >>> aligned, left_out = later.align(users=["anna", "bert"])
        >>> aligned.shape, left_out
        ((2, 1), 1)
        """
        wanted_users = self.users if users is None else catalogue(users, "user")
        wanted_items = self.items if items is None else catalogue(items, "item")
        rows, columns = wanted_users.find(self.users), wanted_items.find(self.items)
        shape = (len(wanted_users), len(wanted_items))
        moved = move(self._parts, rows, columns, shape)
        sources = self.items.find(wanted_items)
        info = {name: column[sources] for name, column in self.item_info.items()} if sources.min(initial=0) >= 0 else {}
        dislikes = None if self._dislikes is None else move(self._dislikes, rows, columns, shape)
        aligned = Interactions.of_parts(moved, wanted_users, wanted_items, info, dislikes)
        return aligned, len(self) - len(aligned)

    def merge(self, *others: "Interactions") -> "Interactions":
        """Join the events and dislikes of the same users and items; times stay if all have them.

        Of a pair that one likes and another dislikes the newest word holds.

        Raises
        ------
        ValueError
            If users or items differ.

        Examples
        --------
        >>> train, valid, test = Interactions.from_arrays([0] * 10, range(10)).split(by="random")
        >>> len(train.merge(valid))
        8
        """
        for other in others:
            if other.users != self.users or other.items != self.items:
                raise ValueError("only interactions of the same users and items can be merged; align them first")
        joined, dislikes = add([part._parts for part in (self, *others)]), None
        disliked = [part._dislikes for part in (self, *others) if part._dislikes is not None]
        if disliked:
            joined, dislikes, _ = newest_words(joined, add(disliked))
        return Interactions.of_parts(joined, self.users, self.items, self.item_info, dislikes)

    def summary(self) -> str:
        """Describe sizes, density, lengths of histories and the span of time, a line each."""
        return summary(self)

    def __str__(self) -> str:
        return summary(self)

    def __repr__(self) -> str:
        return one_line(self)

    def _repr_html_(self) -> str:
        return facts_as_html(facts(self), heading(self))


def _rows(ids: Coded, known: Ids | ArrayLike | None, name: str) -> tuple[NDArray[np.int64], Ids]:
    if known is None:
        return ids.codes, Ids.trusted(ids.distinct, name)
    given = catalogue(known, name)
    return given.rows_of(ids), given
