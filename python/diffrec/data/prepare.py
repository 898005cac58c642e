"""From raw interactions, larger than memory, to a folder that training reads block by block."""

import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import needed, one_of, shown, whole
from diffrec.data._columns import Names, choose
from diffrec.data._replace import folder_beside
from diffrec.data._times import in_seconds
from diffrec.data.files import PARTS, parquet_files
from diffrec.data.split import shares
from diffrec.data.streamed import FORMAT, OWNERS, PREPARED, interactions_of, items_of

_SUFFIXES = (".csv", ".tsv", ".parquet")
#: Ways to part histories that need one user at a time.
WAYS = ("time", "leave-last", "random")
#: Events in a block of users, about.
BLOCK = 1 << 17
_WHOLE = "(regexp_full_match({0}, '0|-?[1-9][0-9]{{0,18}}') AND TRY_CAST({0} AS BIGINT) IS NOT NULL)"


@dataclass(frozen=True)
class Prepared:
    """Counts of what became of raw interactions.

    Attributes
    ----------
    rows : int
        Read.
    left_out : int
        Of these without user, item, time or value, or with one that is none, or of value 0; lines of text with more or
        fewer columns than the first.
    events, users, items : int
        What is left of them after the k-core.
    train, valid, test : int
        Events of each part.
    """

    rows: int
    left_out: int
    events: int
    users: int
    items: int
    train: int
    valid: int
    test: int


def prepare(
    raw: str | PathLike[str],
    out: str | PathLike[str],
    *,
    user: str | None = None,
    item: str | None = None,
    timestamp: str | None = None,
    value: str | None = None,
    core: int = 1,
    by: str | None = None,
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    on_bad_row: str = "error",
    block: int = BLOCK,
    memory: str = "1GB",
) -> Prepared:
    """Prepare raw interactions for training from files: ids to rows, k-core, baskets, a split.

    DuckDB sorts and counts on the disk, so neither the file nor what is in it has to fit into memory. The folder gets
    ``train.parquet``, ``valid.parquet`` and ``test.parquet`` (row numbers ``user`` and ``item``, and ``timestamp`` and
    ``value`` where there are any), sorted by user, time and item, a block of users in each row group; and
    ``users.parquet`` and ``items.parquet``, whose row r has the id of row r.

    Parameters
    ----------
    raw
        ``.csv`` and ``.tsv`` with a header, ``.parquet`` or a folder of Parquet: a row for each event.
    out
        The folder; it is there, complete, or not at all.
    user, item, timestamp, value
        Column names, guessed as in ``Interactions.from_frame``. Times are numbers, dates, or text in ISO 8601.
    core : int
        Users with fewer than so many items, and items with fewer than so many users, are left out, over and over until
        there are none.
    by : {"time", "leave-last", "random"}, optional
        How each history is parted, as in ``Interactions.split``: whole baskets, the newest last. By default "time"
        where there are times, else "random".
    valid, test : float
        Shares of each history.
    seed : int
        Of a random split.
    on_bad_row : {"error", "drop"}
        What becomes of rows that cannot be used.
    block : int
        Events in a row group, about: a user is in one alone.
    memory : str
        How much DuckDB may use while it sorts, such as ``"4GB"``; it spills to the disk beyond that.

    Returns
    -------
    Prepared
        Counts.

    Raises
    ------
    FileExistsError
        If the folder is there already.
    ImportError
        If DuckDB or pyarrow is not installed.
    MemoryError
        If ``memory`` is too little for DuckDB.
    OSError
        If there is no room on the disk.
    TypeError
        If ``memory`` is no text.
    ValueError
        If a column cannot be found, a row cannot be used, or nothing is left.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sold = Interactions.from_arrays(["a", "a", "a", "b", "b"], [1, 2, 3, 1, 2], timestamp=[1, 2, 3, 4, 5])
    ...     sold.write(f"{folder}/sold.csv")
    ...     prepare(f"{folder}/sold.csv", f"{folder}/sold", core=2, by="leave-last")
    Prepared(rows=5, left_out=0, events=4, users=2, items=2, train=2, valid=0, test=2)
    """
    source, folder = Path(raw), Path(out)
    core, seed, block = whole(1)("core", core), whole(0)("seed", seed), whole(1)("block", block)
    one_of((None, *WAYS))("by", by)
    one_of(("error", "drop"))("on_bad_row", on_bad_row)
    if not isinstance(memory, str):
        raise TypeError(f"memory must be a size such as '1GB', got {memory!r}")
    valid, test = shares(valid, test)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist")
    if not source.is_dir() and source.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{source}: unknown suffix {source.suffix!r}, not one of {', '.join(_SUFFIXES)} or a folder")
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; name a folder to be made")
    with folder_beside(folder.absolute()) as work:
        made = work / "made"
        made.mkdir()
        with _Database(source, work, memory) as base:
            names = base.read((user, item, timestamp, value))
            way = by or ("time" if names.timestamp else "random")
            if way != "random" and names.timestamp is None:
                raise ValueError(
                    f"by={way!r} needs timestamps, and these interactions have none (by='random' does not)"
                )
            rows, left_out = base.clean(on_bad_row)
            base.cut(core)
            users, items = base.number(made)
            sorted_file = work / "sorted.parquet"
            base.sort(sorted_file)
        counts = _part(sorted_file, made, way, (valid, test), seed, block)
        said = {"format": FORMAT, "users": users, "items": items, "core": core, "by": way, "valid": valid, "test": test}
        (made / PREPARED).write_text(json.dumps(said | {"seed": seed}, indent=2) + "\n")
        report = Prepared(rows, left_out, sum(counts), users, items, *counts)
        made.rename(folder)
    return report


class _Database:
    """The events on the disk, as DuckDB has them; closed and gone at the end."""

    def __init__(self, source: Path, work: Path, memory: str) -> None:
        duckdb = needed("duckdb", "preparing needs DuckDB", "diffrec[prepare]")
        self._source, self._memory, self._errors = source, memory, duckdb
        self._base = duckdb.connect(str(work / "events.duckdb"))
        try:
            self._base.execute(f"SET memory_limit={_text(memory)}")
        except duckdb.Error as error:
            self._base.close()
            raise ValueError(f"memory must be a size such as '1GB', got {memory!r}") from error
        self._base.execute(f"SET temp_directory={_text(str(work / 'spill'))}")
        self._base.execute("SET preserve_insertion_order=false; SET enable_progress_bar=false")

    def __enter__(self) -> "_Database":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._base.close()
        if error is None:
            return
        errors = self._errors
        full = isinstance(error, errors.OutOfMemoryException) and "max_temp_directory_size" in str(error)
        if isinstance(error, errors.OutOfMemoryException) and not full:
            raise MemoryError(
                f"memory={self._memory!r} is too little for DuckDB to sort {self._source}: allow more"
            ) from None
        if full or (isinstance(error, errors.IOException) and "No space left" in str(error)):
            raise OSError(
                f"{_first_line(error)}: what is sorted waits on the disk beside the folder to be made, which takes a "
                f"few times the room of {self._source}"
            ) from None
        if isinstance(error, errors.IOException):
            raise OSError(f"{self._source} cannot be read: {_first_line(error)}") from None
        # A damaged file ends in any of them.
        if isinstance(error, errors.Error):
            raise ValueError(f"{self._source} cannot be read: {_in_short(error)}") from None

    def _one(self, query: str) -> tuple[Any, ...]:
        row = self._base.execute(query).fetchone()
        assert row is not None
        return tuple(row)

    def read(self, asked: tuple[str | None, ...]) -> Names:
        """Take in the columns, as they are."""
        source = self._source
        self._is_text = not source.is_dir() and source.suffix.lower() != ".parquet"
        if not self._is_text:
            # The files that reading takes, too: others are what an engine has not finished, or its notes.
            files = parquet_files(source)
            # What folders inside say (country=FR) is a column; what those outside say is nothing of these rows.
            inside = any("=" in str(file.parent.relative_to(source.absolute())) for file in files if source.is_dir())
            listed = ", ".join(_text(glob.escape(str(file))) for file in files)
            table = f"read_parquet([{listed}], hive_partitioning={str(inside).lower()})"
        else:
            # Text stays text until all of it is known: 007 is no number.
            mark = "','" if source.suffix.lower() == ".csv" else "'\\t'"
            # Nothing is guessed: a quote or a # that DuckDB takes for a mark would change ids or leave out rows.
            marks = f"delim={mark}, quote='\"', escape='\"', comment='', skip=0, store_rejects=true"
            table = f"read_csv({_text(glob.escape(str(source)))}, header=true, all_varchar=true, {marks})"
        columns = [row[0] for row in self._base.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()]
        names = choose(columns, asked, str(source))
        picked = ", ".join(f"{_name(column)} AS {part}" for part, column in names.used.items())
        self._base.execute(f"CREATE TABLE raw AS SELECT {picked} FROM {table}")
        self._parts = list(names.used)
        return names

    def clean(self, on_bad_row: str) -> tuple[int, int]:
        """Make ids integers or text, times seconds and values numbers; how many rows there were, and how many bad."""
        ragged = self._ragged(on_bad_row)
        types = {row[0]: row[1] for row in self._base.execute("DESCRIBE raw").fetchall()}
        columns = {}
        for part in ("user", "item"):
            if types[part] in _INTEGERS:
                columns[part] = f"CAST({_name(part)} AS BIGINT)"
            elif types[part] == "VARCHAR":
                text = _name(part)
                # Ids that come as text are integers if all are; in Parquet they have the type that they have.
                (numbers,) = self._one(f"SELECT bool_and({_WHOLE.format(text)}) FROM raw WHERE {text} <> ''")
                numbers = numbers and self._is_text
                columns[part] = f"TRY_CAST({text} AS BIGINT)" if numbers else f"nullif({text}, '')"
            elif types[part].startswith(_FRACTIONS):
                # Such as pandas makes of integers where some are missing.
                number = _name(part)
                are_whole = f"{number} = trunc({number}) AND abs({number}) < {1 << 53}"
                columns[part] = f"CASE WHEN {are_whole} THEN CAST({number} AS BIGINT) END"
            else:
                raise ValueError(f"{part} ids of {self._source} must be integers or text, not {types[part]}")
        if "timestamp" in types:
            given = _name("timestamp")
            if types["timestamp"] == "VARCHAR":
                moment = f"epoch_us(TRY_CAST({given} AS TIMESTAMPTZ)) / 1e6"
                columns["timestamp"] = f"coalesce(TRY_CAST({given} AS DOUBLE), {moment})"
            elif types["timestamp"].startswith(("TIMESTAMP", "DATE")):
                columns["timestamp"] = f"epoch_us(CAST({given} AS TIMESTAMPTZ)) / 1e6"
            else:
                columns["timestamp"] = f"CAST({given} AS DOUBLE)"
        if "value" in types:
            columns["value"] = "TRY_CAST(value AS FLOAT)"
        picked = ", ".join(f"{made} AS {_name(part)}" for part, made in columns.items())
        self._base.execute("SET TimeZone='UTC'")
        self._base.execute(f"CREATE TABLE events AS SELECT {picked} FROM raw")
        self._base.execute("DROP TABLE raw")
        bad = [f"{_name(part)} IS NULL" for part in columns]
        bad += [f"NOT isfinite({_name(part)})" for part in ("timestamp", "value") if part in columns]
        bad += ["value < 0"] if "value" in columns else []
        condition = " OR ".join(f"coalesce({one}, true)" for one in bad)
        rows, wrong = self._one(f"SELECT count(*), count(*) FILTER ({condition}) FROM events")
        if wrong and on_bad_row == "error":
            first = self._base.execute(f"SELECT * FROM events WHERE {condition} LIMIT 1").fetchall()[0]
            shown = ", ".join(f"{part}={one!r}" for part, one in zip(columns, first, strict=True))
            raise ValueError(
                f"{wrong:,} of {rows:,} rows of {self._source} have no user, item, time or value, or one that is none, "
                f"such as {shown}; on_bad_row='drop' leaves them out"
            )
        self._base.execute(f"DELETE FROM events WHERE {condition}")
        if "value" in columns:
            (nothing,) = self._one("SELECT count(*) FROM events WHERE value = 0")
            self._base.execute("DELETE FROM events WHERE value = 0")
            wrong += nothing
        if "timestamp" in columns:
            # Milliseconds and the like are told by the middle time, as elsewhere.
            (middle,) = self._one("SELECT approx_quantile(abs(timestamp), 0.5) FROM events")
            if middle:
                made = float(in_seconds(np.array([middle]))[0][0])
                if made != middle:
                    self._base.execute(f"UPDATE events SET timestamp = timestamp / {round(middle / made)}")
        return rows + ragged, wrong + ragged

    def _ragged(self, on_bad_row: str) -> int:
        """How many lines of text have no cell for each column, or more of them; DuckDB leaves them out."""
        if not self._is_text:
            return 0
        others = self._base.execute(
            f"SELECT line, error_message FROM reject_errors WHERE error_type NOT IN {_RAGGED} ORDER BY line LIMIT 1"
        ).fetchone()
        if others is not None:
            raise ValueError(f"{self._source} cannot be read: line {others[0]}: {_first_line(others[1])}")
        (ragged,) = self._one("SELECT count(DISTINCT line) FROM reject_errors")
        if ragged and on_bad_row == "error":
            line, text, why = self._one("SELECT line, csv_line, error_message FROM reject_errors ORDER BY line LIMIT 1")
            raise ValueError(
                f"{ragged:,} lines of {self._source} are no rows of its columns, such as line {line}, {shown(text)} "
                f"({why}); on_bad_row='drop' leaves them out"
            )
        return int(ragged)

    def cut(self, core: int) -> None:
        """Leave out users and items with fewer than ``core`` of the other, until there are none."""
        while core > 1:
            (before,) = self._one("SELECT count(*) FROM events")
            for part, other in (("user", "item"), ("item", "user")):
                few = (
                    f"SELECT {_name(part)} FROM (SELECT DISTINCT {_name(part)}, {_name(other)} FROM events) "
                    f"GROUP BY {_name(part)} HAVING count(*) < {core}"
                )
                self._base.execute(f"DELETE FROM events WHERE {_name(part)} IN ({few})")
            if self._one("SELECT count(*) FROM events") == (before,):
                break
        if self._one("SELECT count(*) FROM events") == (0,):
            raise ValueError(f"no interactions are left, with at least core={core} of each user and item")

    def number(self, folder: Path) -> tuple[int, int]:
        """Give users and items their rows, in the order of their ids, and write these; how many there are of each."""
        sizes = []
        for part in ("user", "item"):
            self._base.execute(
                f"CREATE TABLE {part}s AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS place "
                f"FROM (SELECT DISTINCT {_name(part)} AS id FROM events)"
            )
            self._base.execute(
                f"COPY (SELECT id AS {_name(part)} FROM {part}s ORDER BY place) "
                f"TO {_text(str(folder / f'{part}s.parquet'))} (FORMAT parquet)"
            )
            sizes.append(self._one(f"SELECT count(*) FROM {part}s")[0])
        return sizes[0], sizes[1]

    def sort(self, file: Path) -> None:
        """Write the events by rows, sorted by user, time and item."""
        more = [part for part in ("timestamp", "value") if part in self._parts]
        order = ", ".join(['"user"', *(["timestamp"] if "timestamp" in more else []), "item"])
        picked = "".join(f", events.{_name(part)}" for part in more)
        self._base.execute(
            f'COPY (SELECT users.place AS "user", CAST(items.place AS INTEGER) AS item{picked} FROM events '
            'JOIN users ON events."user" = users.id JOIN items ON events.item = items.id '
            f"ORDER BY {order}) TO {_text(str(file))} (FORMAT parquet)"
        )


def _first_line(error: BaseException | str) -> str:
    return str(error).splitlines()[0]


def _in_short(error: BaseException) -> str:
    """Its first two lines, but for the line of the file: what follows is advice about DuckDB's own settings."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Original Line")]
    return " ".join(lines[:2])


def _part(file: Path, folder: Path, by: str, asked: tuple[float, float], seed: int, block: int) -> tuple[int, int, int]:
    """Part the histories a block of users at a time; how many events each part got."""
    import pyarrow as pa
    from pyarrow import parquet

    schema, known = parquet.read_schema(file).remove_metadata(), parquet.read_table(folder / "items.parquet")
    items, _ = items_of(known)
    owners, counts = np.zeros(len(items), dtype=np.int64), [0, 0, 0]
    writers = [parquet.ParquetWriter(folder / f"{name}.parquet", schema) for name in PARTS]
    try:
        for number, columns in enumerate(_blocks(file, block)):
            first = int(columns["user"][0])
            data = interactions_of(columns, first, int(columns["user"][-1]) + 1, items, file)
            # A draw of its own for each block.
            own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            parts = data.split(by, *asked, seed=own)
            for place, (part, writer) in enumerate(zip(parts, writers, strict=True)):
                if len(part):
                    events = part.events
                    held = {"user": events.owners + first, "item": events.items, "timestamp": events.times}
                    held["value"] = events.values
                    table = pa.table({name: held[name] for name in schema.names}).cast(schema)
                    # By itself pyarrow parts what has more than 2^20 rows.
                    writer.write_table(table, row_group_size=len(table))
                    counts[place] += len(events)
            owners += np.bincount(parts[0].matrix.indices, minlength=len(items))
    finally:
        for writer in writers:
            writer.close()
    parquet.write_table(known.append_column(OWNERS, pa.array(owners)), folder / "items.parquet")
    return counts[0], counts[1], counts[2]


def _blocks(file: Path, size: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Columns of about ``size`` rows at a time, which begin and end with a user."""
    from pyarrow import parquet

    left: dict[str, NDArray[Any]] | None = None
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=size):
        columns = {name: batch[name].to_numpy(zero_copy_only=False) for name in batch.schema.names}
        if left is not None:
            columns = {name: np.concatenate([left[name], column]) for name, column in columns.items()}
        # The last user may go on.
        end = int(np.searchsorted(columns["user"], columns["user"][-1]))
        if end:
            yield {name: column[:end] for name, column in columns.items()}
        left = {name: column[end:] for name, column in columns.items()}
    if left is not None:
        yield left


_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")
# What DuckDB calls a line that is no row: any other that it leaves out is one that cannot be read.
_RAGGED = ("MISSING COLUMNS", "TOO MANY COLUMNS")


def _text(value: str) -> str:
    """A string of SQL."""
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    """A name of SQL."""
    return '"' + value.replace('"', '""') + '"'
