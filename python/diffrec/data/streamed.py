"""Interactions that stay in files: Parquet sorted by user, read some users at a time."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import needed, one_of, whole
from diffrec.data._csr import assemble, users_per_item
from diffrec.data._encode import IdArray, id_array
from diffrec.data._entries import require_finite, require_values
from diffrec.data.files import PARTS
from diffrec.data.ids import Ids
from diffrec.data.interactions import Interactions

#: What a folder says of itself.
PREPARED = "prepared.json"
#: Fact of the items: how many users have each.
OWNERS = "users"
FORMAT = 1
#: Users held in memory at once, by default.
HELD = 1 << 17


class ParquetInteractions:
    """Interactions in a folder that ``diffrec prepare`` made, to train from without holding them.

    The files are sorted by user, and no user is in two row groups: a row group is a *block* of users. An epoch reads
    blocks in a random order, and shuffles the users of as many as ``held`` allows; memory does not grow with the users.

    Parameters
    ----------
    path
        The folder.
    part
        ``"train"``, ``"valid"`` or ``"test"``.
    held
        How many users are in memory at once, at least those of one block. Where that is all of them an epoch's order is
        that of interactions in memory.

    Attributes
    ----------
    shape : (int, int)
        Users and items.
    items : Ids
        What the columns stand for; the rows are numbers, whose ids are in ``users.parquet``.
    n_events : int
        How many events this part has.
    bounds : NDArray[np.int64]
        First user of each block, and the number of users, (blocks + 1,).

    Raises
    ------
    FileNotFoundError
        If it is no such folder.
    ImportError
        If pyarrow is not installed.
    ValueError
        If a file is not sorted by user, or something else than what is promised.

    Examples
    --------
    >>> import tempfile
    >>> from diffrec.data.prepare import prepare
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Interactions.from_arrays(["Ann", "Bob", "Bob"], ["tea", "tea", "salt"]).write(f"{folder}/sold.csv")
    ...     report = prepare(f"{folder}/sold.csv", f"{folder}/sold", valid=0, test=0)
    ...     sold = ParquetInteractions(f"{folder}/sold")
    ...     sold.shape, sold.read().matrix.toarray()
    ((2, 2), array([[0., 1.],
           [1., 1.]], dtype=float32))
    """

    def __init__(self, path: str | PathLike[str], part: str = "train", *, held: int = HELD) -> None:
        self.path = Path(path)
        self.part = one_of(PARTS)("part", part)
        self.held = whole(1)("held", held)
        said = self.path / PREPARED
        if not said.is_file():
            raise FileNotFoundError(f"{self.path} is no folder that `diffrec prepare` made: it has no {PREPARED}")
        facts = json.loads(said.read_text())
        if facts.get("format") != FORMAT:
            raise ValueError(f"{said} has format {facts.get('format')!r}; this version reads format {FORMAT}")
        parquet = needed("pyarrow.parquet", "reading Parquet needs pyarrow", "diffrec[parquet]")
        self.items, owners = items_of(parquet.read_table(self.path / "items.parquet"))
        self.item_info = {} if owners is None else {OWNERS: owners}
        self.shape = (whole(0, most=2**62)("users", facts["users"]), len(self.items))
        self._file = parquet.ParquetFile(self.path / f"{part}.parquet")
        names = self._file.schema_arrow.names
        self.has_times, self._has_values = "timestamp" in names, "value" in names
        self.n_events = self._file.metadata.num_rows
        self.bounds = self._bounds(names.index("user"))

    def _bounds(self, column: int) -> NDArray[np.int64]:
        """First user of each row group, by the statistics: nothing is read."""
        meta = self._file.metadata
        spans = [meta.row_group(group).column(column).statistics for group in range(meta.num_row_groups)]
        if any(span is None or not span.has_min_max for span in spans):
            raise ValueError(f"{self._name} has no statistics of its row groups, by which blocks of users are told")
        low = np.array([span.min for span in spans], dtype=np.int64)
        high = np.array([span.max for span in spans], dtype=np.int64)
        if (high[:-1] >= low[1:]).any() or (len(low) and (low[0] < 0 or high[-1] >= self.shape[0])):
            raise ValueError(f"{self._name} is not sorted by user with no user in two row groups: prepare it anew")
        bounds = np.append(low, self.shape[0])
        if len(low):
            bounds[0] = 0
        return bounds

    @property
    def _name(self) -> str:
        return str(self.path / f"{self.part}.parquet")

    @property
    def n_blocks(self) -> int:
        """How many blocks of users there are."""
        return len(self.bounds) - 1

    @property
    def events_held(self) -> int:
        """About how many events are in memory at once."""
        return int(self.n_events * min(1.0, self.held / max(1, self.shape[0])))

    def __repr__(self) -> str:
        users, items = self.shape
        return f"<ParquetInteractions: {users:,} users x {items:,} items, {self.n_events:,} events in {self._name}>"

    def block(self, number: int) -> Interactions:
        """Read a block of users; those without an event in it have empty rows, and ids are row numbers.

        Raises
        ------
        ValueError
            If the file holds something else than what is promised.
        """
        return self._interactions(self._group(number), int(self.bounds[number]), int(self.bounds[number + 1]))

    def blocks(self) -> Iterator[Interactions]:
        """Read every block, one at a time."""
        return map(self.block, range(self.n_blocks))

    def users(self, start: int, stop: int) -> Interactions:
        """Read the users ``start`` to ``stop``, whatever blocks they are in."""
        first = max(0, int(np.searchsorted(self.bounds, start, side="right")) - 1)
        last = int(np.searchsorted(self.bounds, stop, side="left"))
        parts = [self._group(number) for number in range(first, min(last, self.n_blocks))]
        columns = {
            name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, np.int64)
            for name in ("user", "item", *(("timestamp",) if self.has_times else ()), *self._value)
        }
        inside = (columns["user"] >= start) & (columns["user"] < stop)
        return self._interactions({name: column[inside] for name, column in columns.items()}, start, stop)

    def read(self) -> Interactions:
        """Read all of it into memory."""
        return self.users(0, self.shape[0])

    def catalogue(self) -> Interactions:
        """Return the items and what is known of them, without users: what a model keeps that was trained from files."""
        nothing: dict[str, NDArray[Any]] = {"user": np.empty(0, np.int64), "item": np.empty(0, np.int64)}
        if self.has_times:
            nothing["timestamp"] = np.empty(0)
        made = self._interactions(nothing, 0, 0)
        made.item_info = self.item_info
        return made

    def in_short(self) -> str:
        """Say which interactions these are, by their sizes and a checksum of the files, which are read for it."""
        digest = hashlib.blake2b(digest_size=8)
        for file in (Path(self._name), self.path / "items.parquet"):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
        users, items = self.shape
        checksum = digest.hexdigest()
        return f"{users:,} users x {items:,} items, {self.n_events:,} events in blocks, checksum {checksum}"

    def split(self, **_: Any) -> NoReturn:
        """Refuse: parts are made when the folder is."""
        raise ValueError(
            "holdout needs all interactions in memory: give valid=, as of a folder prepared with valid above 0, or "
            "holdout=0"
        )

    @property
    def _value(self) -> tuple[str, ...]:
        return ("value",) if self._has_values else ()

    def _group(self, number: int) -> dict[str, NDArray[Any]]:
        table = self._file.read_row_group(number, use_threads=False)
        columns = {name: table[name].to_numpy() for name in table.column_names}
        if (np.diff(columns["user"]) < 0).any():
            raise ValueError(f"row group {number} of {self._name} is not sorted by user")
        return columns

    def _interactions(self, columns: dict[str, NDArray[Any]], start: int, stop: int) -> Interactions:
        return interactions_of(columns, start, stop, self.items, self._name)


def interactions_of(
    columns: Mapping[str, NDArray[Any]], start: int, stop: int, items: Ids, file: str | Path
) -> Interactions:
    """Make interactions of the users ``start`` to ``stop`` from columns of a file, whose ids are row numbers.

    Raises
    ------
    ValueError
        If the file holds something else than what is promised.
    """
    rows, places = columns["user"].astype(np.int64) - start, columns["item"].astype(np.int64)
    if len(rows) and not (rows.min() >= 0 and rows.max() < stop - start):
        raise ValueError(f"{file} has other users in a row group than it says")
    if len(places) and not (places.min() >= 0 and places.max() < len(items)):
        raise ValueError(f"{file} has an item that is none of the {len(items):,} in items.parquet")
    times = None
    if "timestamp" in columns:
        times = columns["timestamp"].astype(np.float64)
        require_finite(times, "timestamp")
    values = np.ones(len(rows), dtype=np.float32)
    if "value" in columns:
        values = require_values(columns["value"], lambda row: f"value[{row}] of {file}", netted=False)
    parts = assemble(rows, places, values, times, (stop - start, len(items)))
    return Interactions.of_parts(parts, Ids.trusted(np.arange(start, stop), "user"), items)


def is_prepared(path: str | PathLike[str]) -> bool:
    """Whether this is a folder that ``prepare`` made."""
    return (Path(path) / PREPARED).is_file()


def streamed(data: Any, part: str = "train") -> ParquetInteractions | None:
    """Take interactions in files, or the path of their folder; None for whatever else there is."""
    if isinstance(data, str | PathLike):
        return ParquetInteractions(data, part) if Path(data).is_dir() else None
    return data if isinstance(data, ParquetInteractions) else None


def validation_files(data: ParquetInteractions, given: Any, valid: Any) -> ParquetInteractions | None:
    """Take what a fit from files is stopped on: other files of the same users and items, by default those beside it.

    Raises
    ------
    TypeError
        If ``valid`` is in memory.
    ValueError
        If it is of other users or items.
    """
    if not data.n_events:
        raise ValueError(f"{data._name} holds no interactions")
    if valid is None:
        # A folder stands for all that was prepared in it; who names a part gets that part.
        beside = ParquetInteractions(data.path, "valid", held=data.held) if isinstance(given, str | PathLike) else None
        return beside if beside is not None and beside.n_events else None
    files = streamed(valid, "valid")
    if files is None:
        raise TypeError(f"valid must be files as the data is, or the path of their folder, got {type(valid).__name__}")
    if files.shape != data.shape or files.items != data.items:
        raise ValueError(f"valid must be of the users and items of the data, {data.shape}, got {files.shape}")
    if not files.n_events:
        raise ValueError("valid must hold an interaction of a user and an item of the data, got none")
    return files


def items_of(table: Any) -> tuple[Ids, NDArray[np.int64] | None]:
    """Return the items of a prepared folder, and how many users have each where that is said."""
    ids: IdArray = id_array(np.array(table["item"].to_pylist()) if len(table) else np.empty(0, np.int64), "item")
    owners = table[OWNERS].to_numpy() if OWNERS in table.column_names else None
    return Ids(ids, "item"), owners


def owners_of_items(train: Interactions) -> NDArray[np.int64]:
    """Count the users of each item, int64 (items,): also where training read files, which leave no histories."""
    if train.shape[0] == 0 and OWNERS in train.item_info:
        return train.item_info[OWNERS].astype(np.int64)
    return users_per_item(train.matrix)
