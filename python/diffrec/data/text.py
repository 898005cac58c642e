"""Interactions out of .csv, .tsv and .inter files, packed or not: what stands where, and what the cells mean."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffrec.data import _cells
from diffrec.data._cells import PACKED, Cells, Layout, Ragged, Unlike, lines_of, opened, records
from diffrec.data._columns import Columns, choose, looks_like_header, names_a_time, names_its_column
from diffrec.data._encode import Coded, Coder
from diffrec.data._settle import Found
from diffrec.data._table import LOOKED_AT, are_times
from diffrec.data._times import DATE, TextTimes, are_numbers, in_seconds, unit_notes
from diffrec.data.report import Bad, Origin

#: What was asked for as user, item, timestamp and value; and the places found for them in a line.
AskedColumns: TypeAlias = tuple[str | int | None, str | int | None, str | int | None, str | int | None]
Places: TypeAlias = tuple[int, int, int | None, int | None]

SUFFIXES = (".csv", ".tsv", ".inter")


class _Plan(NamedTuple):
    """Plan of a file: its layout, and which column holds what."""

    layout: Layout
    places: Places
    names: dict[str, str]  # part -> what its column is called
    unused: tuple[str, ...]
    times: tuple[str, ...]  # of the unused, those that look like times


def is_text(file: Path) -> bool:
    """Whether a file's name is that of text, packed or not."""
    return suffix_of(file) in SUFFIXES


def suffix_of(file: Path) -> str:
    """The suffix that says what a file holds, without that of how it is packed."""
    return Path(file.stem if file.suffix.lower() in PACKED else file).suffix.lower()


def read_text(file: Path, asked: AskedColumns, dayfirst: bool | None) -> Found:
    """Read one entry per row of text."""
    plan = _planned(file, asked)
    for reader in _cells.readers():
        ragged: list[Ragged] = []
        try:
            return _read(file, plan, reader(file, plan.layout, _wanted(plan), ragged), ragged, dayfirst)
        except Unlike:
            continue
    raise AssertionError("the last reader has the word")


def text_table(file: Path) -> dict[str, list[str]]:
    """Read every column of a file with a header, as text.

    Raises
    ------
    ValueError
        If rows have another number of columns than the header.
    """
    suffix = suffix_of(file)
    delimiter, quoted = "," if suffix == ".csv" else "\t", suffix != ".inter"
    first, _ = _first_lines(file, delimiter, quoted)
    layout = Layout(delimiter, quoted, first, header=True)
    ragged: list[Ragged] = []
    columns: list[list[str]] = [[] for _ in first]
    # These tables are small, as items are few.
    for chunk in _cells.plain_chunks(file, layout, range(len(first)), ragged):
        for column, cells in zip(columns, chunk, strict=True):
            column.extend(cells.texts())
    if ragged:
        where = lines_of(file, layout, np.array([ragged[0].row]))[0]
        raise ValueError(f"{file}, {where}: {ragged[0].cells} columns where the first line has {len(first)}")
    return {
        name.strip().split(":")[0] if suffix == ".inter" else name.strip(): texts
        for name, texts in zip(first, columns, strict=True)
    }


def _wanted(plan: _Plan) -> list[int]:
    return [place for place in plan.places if place is not None]


def _planned(file: Path, asked: AskedColumns) -> _Plan:
    suffix = suffix_of(file)
    delimiter, quoted = "," if suffix == ".csv" else "\t", suffix != ".inter"
    first, rows = _first_lines(file, delimiter, quoted)
    places, header = _places(file, first, asked)
    seen = rows if header else []
    names = [cell.strip() if header else f"column {place}" for place, cell in enumerate(first)]
    parts = zip(("user", "item", "timestamp", "value"), places, strict=True)
    used = {part: names[place] for part, place in parts if place is not None}
    unused = [place for place in range(len(names)) if place not in places]
    times = [
        names[place]
        for place in unused
        if header and (names_a_time(names[place]) or are_times([row[place] for row in seen if any(row[place:][:1])]))
    ]
    layout = Layout(delimiter, quoted, first, header)
    return _Plan(layout, places, used, tuple(names[place] for place in unused), tuple(times))


def _first_lines(file: Path, delimiter: str, quoted: bool) -> tuple[list[str], list[list[str]]]:
    """The cells of the first line, and of some that follow."""
    with opened(file) as stream:
        rows = filter(None, records(stream, delimiter, quoted))
        try:
            first: list[str] | None = next(rows, None)
        except csv.Error as error:
            raise ValueError(f"{file}, line 1: {error}") from None
        if first is None:
            raise ValueError(f"{file} is empty")
        try:
            "".join(first).encode()
        except UnicodeEncodeError:
            raise ValueError(f"{file} is not UTF-8 text: save it as UTF-8") from None
        seen: list[list[str]] = []
        with suppress(csv.Error):  # said where it is read, if that is in a column that is used
            seen.extend(islice(rows, LOOKED_AT))
    return first, seen


def _places(file: Path, header: list[str], asked: AskedColumns) -> tuple[Places, bool]:
    """Find where in a line each part stands, and whether the first line is a header."""
    if any(isinstance(one, int) for one in asked):
        return _positions(file, header, asked), False
    columns = [cell.strip() for cell in header]
    if asked == (None,) * 4 and not looks_like_header(columns):
        raise ValueError(
            f"{file}: the first line {header} holds no known column name. Name the columns (user='...', "
            "item='...') or, if the file has no header, give their positions (user=0, item=1)"
        )
    found = choose(columns, asked, str(file))
    timestamp, value = (None if name is None else columns.index(name) for name in found[2:])
    return (columns.index(found.user), columns.index(found.item), timestamp, value), True


def _positions(file: Path, header: list[str], asked: AskedColumns) -> Places:
    """Check places that are given for the parts of a line, of a file that must have no header then."""
    given = [one for one in asked if one is not None]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in given) or None in asked[:2]:
        raise TypeError(f"{file}: give user, item and the others all by position (no header) or all by name")
    for place in given:
        if not 0 <= int(place) < len(header):
            raise ValueError(f"{file}: there is no column {place}, the first line has {len(header)}")
    if len(set(given)) < len(given):
        raise ValueError(f"{file}: one column cannot be two things: {given}")
    user, item = (int(place) for place in asked[:2] if place is not None)
    if names_its_column("user", header[user]) and names_its_column("item", header[item]):
        raise ValueError(f"{file}: the first line {header} is a header; give columns by name instead of position")
    return asked  # type: ignore[return-value]


def _read(
    file: Path, plan: _Plan, chunks: Iterator[Sequence[Cells]], ragged: list[Ragged], dayfirst: bool | None
) -> Found:
    users, items = _Ids(), _Ids()
    times, values = _Times(dayfirst), _Numbers()
    done = 0
    every: tuple[_Column, ...] = (users, items, times, values)
    columns = [column for column, place in zip(every, plan.places, strict=True) if place is not None]
    for chunk in chunks:
        for column, cells in zip(columns, chunk, strict=True):
            rows = column.add(cells, done)
        done += rows
    names = plan.names
    lost = np.array([one.row for one in ragged], dtype=np.int64)
    total = done + len(lost)
    if not total:
        raise ValueError(f"{file} holds no rows{' below its header' if plan.layout.header else ''}")
    rows_held = np.delete(np.arange(total), lost) if len(lost) else None
    user, bad_users = users.finish(names["user"])
    item, bad_items = items.finish(names["item"])
    when = times.finish(file, names["timestamp"]) if "timestamp" in names else None
    amount = values.finish(names["value"]) if "value" in names else None
    width = len(plan.layout.first)
    return Found(
        Columns(user, item, None if when is None else when.numbers, None if amount is None else amount.numbers),
        Origin(
            str(file),
            total,
            lambda rows: lines_of(file, plan.layout, rows),
            names,
            plan.unused,
            () if when is None else tuple(when.notes),
            plan.times,
        ),
        [*bad_users, *bad_items, *(when.bad if when else ()), *(amount.bad if amount else ())],
        rows_held,
        Bad.of(
            f"the number of columns is not {width}, as in the first line,",
            lost,
            lambda row: str(next(one.cells for one in ragged if one.row == row)),
        ),
    )


class _Read(NamedTuple):
    """Numbers of a column, what of it cannot be used, and what was done to it."""

    numbers: NDArray[np.float64]
    bad: list[Bad]
    notes: list[str]


class _Column(Protocol):
    """Takes in a column, chunk by chunk."""

    def add(self, cells: Cells, done: int) -> int:
        """Take in the cells behind the first ``done`` rows, and say how many they are."""


class _Ids:
    """A column of ids."""

    def __init__(self) -> None:
        self._coder = Coder()

    def add(self, cells: Cells, done: int) -> int:  # noqa: ARG002 - an empty one has its own code
        distinct, codes = cells.coded()
        self._coder.add(distinct, codes)
        return len(codes)

    def finish(self, name: str) -> tuple[Coded, list[Bad]]:
        coded = self._coder.finish(name)
        return coded, Bad.of(f"{name} is empty", np.flatnonzero(coded.codes < 0))


class _Odd:
    """Cells of a column that hold no number or time: empty ones, and the first few others as written."""

    def __init__(self) -> None:
        self.empty: list[NDArray[np.int64]] = []
        self.texts: dict[int, str] = {}

    def add(self, cells: Cells, rows: NDArray[np.int64], done: int) -> None:
        if len(rows):
            texts = cells.take(rows)
            self.empty.append(done + rows[[not text for text in texts]])
            for row, text in zip((done + rows).tolist(), texts, strict=True):
                if text and len(self.texts) < LOOKED_AT:
                    self.texts[row] = text

    def finish(
        self, numbers: NDArray[np.float64], name: str, wanted: str, text: Callable[[int], str | None]
    ) -> list[Bad]:
        bad = ~np.isfinite(numbers)
        empty = np.concatenate([np.empty(0, dtype=np.int64), *self.empty])
        bad[empty] = False
        return [
            *Bad.of(f"{name} is empty", empty),
            *Bad.of(f"{name} is no {wanted}", np.flatnonzero(bad), lambda row: str(text(row))),
        ]


class _Numbers:
    """A column of numbers."""

    def __init__(self, odd: _Odd | None = None) -> None:
        self._read: list[NDArray[np.float64]] = []
        self._odd = _Odd() if odd is None else odd

    def add(self, cells: Cells, done: int) -> int:
        numbers = cells.numbers()
        self._odd.add(cells, np.flatnonzero(~np.isfinite(numbers)), done)
        self._read.append(numbers)
        return len(numbers)

    def finish(self, name: str) -> _Read:
        return _Read(self.numbers, self._odd.finish(self.numbers, name, "finite number", self._odd.texts.get), [])

    @property
    def numbers(self) -> NDArray[np.float64]:
        """All of them so far; NaN for what is none."""
        return np.concatenate([np.empty(0), *self._read])


class _Times:
    """A column of times: numbers, or text where the first entry that is not empty is no number."""

    def __init__(self, dayfirst: bool | None) -> None:
        self._odd = _Odd()
        self._numbers = _Numbers(self._odd)  # also of what is empty before the first that is not
        self._texts = TextTimes(dayfirst)
        self._are_numbers: bool | None = None
        self._before = 0

    def add(self, cells: Cells, done: int) -> int:
        if self._are_numbers is None:
            self._are_numbers = are_numbers(cells.coded()[0])
            self._before = done
        if self._are_numbers is not False:
            return self._numbers.add(cells, done)
        dates, clocks = cells.parted(DATE)
        odd = self._texts.add_parts(dates.coded(), clocks.coded())
        if len(odd):
            distinct, codes = cells.coded()
            self._odd.add(cells, self._texts.add_whole(odd, distinct, codes[odd]), done)
        return self._texts.last

    def finish(self, file: Path, name: str) -> _Read:
        times, notes, wanted = self._numbers.numbers, [], "number, as the first one is,"
        if self._are_numbers is False:
            times = np.concatenate([times, self._texts.finish(f"{file}: {name}")])
            notes, wanted = self._texts.notes(name), "time"
        bad = self._odd.finish(times, name, wanted, self._text)
        if self._are_numbers is not False:
            times, unit = in_seconds(times)
            notes = unit_notes(name, unit)
        return _Read(times, bad, notes)

    def _text(self, row: int) -> str:
        # Whether there is a 31/02/2025 is known last.
        return self._odd.texts[row] if row in self._odd.texts else self._texts.slashed(row - self._before)
