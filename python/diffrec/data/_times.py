"""Times as people write them, as seconds since the epoch: numbers, ISO 8601, and dates like 31/01/2025."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffrec.checks import shown

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86400.0
#: Numbers of this size and more are no seconds but these parts of one: each unit reaches from 1973 to 5138.
_UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
#: Length of a date in ISO 8601.
DATE = 10

_NUMBERS = re.compile(r"\s*(\d{1,4})([/.-])(\d{1,2})\2(\d{2}|\d{4})(?:[ T,]\s*(\S.*?))?\s*")
_CLOCK = re.compile(
    r"\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([ap]m)?"
    r"\s*(z|utc|gmt|[+-]\d{2}(?::?\d{2})?)?\s*",
    re.IGNORECASE,
)


class Slashed(NamedTuple):
    """A date whose day and month stand first, in one order or the other."""

    first: int
    second: int
    year: int
    clock: float

    def seconds(self, dayfirst: bool) -> float:
        """Read it one way, as NaN where there is no such day."""
        day, month = (self.first, self.second) if dayfirst else (self.second, self.first)
        return _days(self.year, month, day) * _DAY + self.clock


def in_seconds(times: NDArray[np.float64]) -> tuple[NDArray[np.float64], str | None]:
    """Make seconds of numbers that can only be milliseconds, microseconds or nanoseconds, and say so.

    The middle one decides: from 1e11 on it would lie after the year 5138 if it were seconds.

    Examples
    --------
    >>> in_seconds(np.array([1.7e12, 1.8e12]))
    (array([1.7e+09, 1.8e+09]), 'milliseconds')
    >>> in_seconds(np.array([1.0, 2.0]))
    (array([1., 2.]), None)
    """
    finite = np.abs(times[np.isfinite(times)])
    middle = float(np.median(finite)) if len(finite) else 0.0
    for least, parts, name in _UNITS:
        if middle >= least:
            return times / parts, name
    return times, None


def unit_notes(name: str, unit: str | None) -> list[str]:
    """Say what was made of a column of numbers."""
    return [] if unit is None else [f"{name}: read as {unit} since 1970, and kept in seconds"]


class TextTimes:
    """Reads times that come as text, chunk by chunk, each distinct text once.

    Whether 01/02/2025 is in January or in February is ``dayfirst``, or found out from all others at the end.
    """

    def __init__(self, dayfirst: bool | None = None) -> None:
        self._dayfirst = dayfirst
        self._read: list[NDArray[np.float64]] = []
        self._done = 0
        self._dates: dict[str, float] = {}
        self._clocks: dict[str, float] = {}
        self._wholes: dict[str, float | Slashed] = {}
        self._dates_found: dict[str, Slashed] = {}
        self._numbers: dict[str, int] = {}  # of these, in their order
        self._where: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []  # entries that are one, and which

    @property
    def last(self) -> int:
        """Entries of the chunk that was added last."""
        return len(self._read[-1])

    def add_parts(
        self, dates: tuple[Sequence[str], NDArray[np.int64]], clocks: tuple[Sequence[str], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Take in entries parted after a date's ten characters, each half as distinct texts and codes.

        Returns which of them are no such date: these are to be given to :meth:`add_whole`.
        """
        read = _each(dates[0], self._dates, _iso_date)[dates[1]]
        read = read + _each(clocks[0], self._clocks, _after_date)[clocks[1]]
        self._read.append(read)
        self._done += len(read)
        return np.flatnonzero(np.isnan(read))

    def add_whole(
        self, places: NDArray[np.int64], distinct: Sequence[str], codes: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Read entries of the last chunk that are written otherwise, such as 31/01/2025 8:26.

        Returns which of them are no times.
        """
        used = np.unique(codes)
        seconds = np.full(len(distinct), np.nan)
        which = np.full(len(distinct), -1, dtype=np.int64)
        for code in used.tolist():
            text = distinct[code]
            if text not in self._wholes:
                self._wholes[text] = moment(text)
            found = self._wholes[text]
            if isinstance(found, Slashed):
                self._dates_found[text] = found
                which[code] = self._numbers.setdefault(text, len(self._numbers))
            else:
                seconds[code] = found
        held = self._read[-1]
        held[places] = seconds[codes]
        slashed = which[codes]
        if (slashed >= 0).any():
            self._where.append((self._done - len(held) + places[slashed >= 0], slashed[slashed >= 0]))
        return places[(slashed < 0) & np.isnan(held[places])]

    def finish(self, name: str) -> NDArray[np.float64]:
        """Return all of them in seconds; NaN where an entry is no time.

        Raises
        ------
        ValueError
            If nothing says whether the day or the month comes first.
        """
        times = np.concatenate([np.empty(0), *self._read])
        if self._where:
            if self._dayfirst is None:
                self._dayfirst = self._order(name)
            rows, which = (np.concatenate(parts) for parts in zip(*self._where, strict=True))
            times[rows] = np.array([one.seconds(self._dayfirst) for one in self._dates_found.values()])[which]
        return times

    def slashed(self, row: int) -> str:
        """The text of an entry that is such a date."""
        rows, which = (np.concatenate(parts) for parts in zip(*self._where, strict=True))
        text: str = list(self._dates_found)[which[np.flatnonzero(rows == row)[0]]]
        return text

    def notes(self, name: str) -> list[str]:
        """Say how the dates were read."""
        if not self._where:
            return []
        return [f"{name}: dates such as {shown(next(iter(self._dates_found)))} read with dayfirst={self._dayfirst}"]

    def _order(self, name: str) -> bool:
        dates = self._dates_found
        days = next((text for text, one in dates.items() if one.first > 12), None)
        months = next((text for text, one in dates.items() if one.second > 12), None)
        if (days is None) == (months is None):
            found = f"such as {shown(next(iter(dates)))}" if days is None else f"{shown(days)} and {shown(months)}"
            what = "could have the day or the month first" if days is None else "have the day first and the month first"
            raise ValueError(f"{name}: dates {found} {what}: say which with dayfirst=True or dayfirst=False")
        return days is not None


def times_of_text(
    entries: Sequence[str], dayfirst: bool | None, name: str
) -> tuple[NDArray[np.float64], list[str], str]:
    """Read times in text as seconds since the epoch, and numbers as they are where the first entry is one.

    Returns the times, NaN where an entry is none; notes; and what an entry should have been.
    """
    if are_numbers(entries):
        seconds, unit = in_seconds(numbers_of_text(entries))
        return seconds, unit_notes(name, unit), "number, as the first one is,"
    reader = TextTimes(dayfirst)
    each = np.arange(len(entries))
    odd = reader.add_parts(([entry[:DATE] for entry in entries], each), ([entry[DATE:] for entry in entries], each))
    reader.add_whole(odd, entries, odd)
    return reader.finish(name), reader.notes(name), "time"


def numbers_of_text(entries: Sequence[str]) -> NDArray[np.float64]:
    """Read numbers; NaN where an entry is none."""
    try:
        return np.array(list(map(float, entries)), dtype=np.float64)
    except ValueError:
        return np.array([float(entry) if is_number(entry) else np.nan for entry in entries], dtype=np.float64)


def are_numbers(entries: Iterable[str]) -> bool | None:
    """Whether the first text that is neither empty nor NaN is a number; None where all of them are."""
    first = next((entry for entry in entries if entry.strip().lower() not in ("", "nan")), None)
    return None if first is None else is_number(first)


def is_number(entry: str) -> bool:
    """Whether a text is a number."""
    try:
        float(entry)
    except ValueError:
        return False
    return True


def looks_like_time(entry: str) -> bool:
    """Whether a text is a date or a moment, and no mere number."""
    if is_number(entry):
        return False
    found = moment(entry)
    return isinstance(found, Slashed) or found == found


def moment(entry: str) -> float | Slashed:
    """Read one moment as seconds since the epoch, UTC unless it says otherwise; NaN where it is none.

    Examples
    --------
    >>> moment("1970-01-02T00:00:10Z"), moment("1970-01-01 02:00 +02:00")
    (86410.0, 0.0)
    >>> moment("31/01/2025 8:26 PM")
    Slashed(first=31, second=1, year=2025, clock=73560.0)
    """
    parted = _NUMBERS.fullmatch(entry)
    if parted is not None:
        first, _, second, last, clock = parted.groups()
        seconds = 0.0 if clock is None else _clock(clock)
        if len(first) == 4 and len(last) == 2:
            return _days(int(first), int(second), int(last)) * _DAY + seconds
        if len(first) <= 2 and seconds == seconds:
            # Two digits as POSIX has them: 69 to 99 are of the last century.
            year = int(last) if len(last) == 4 else int(last) + (1900 if int(last) > 68 else 2000)
            found = Slashed(int(first), int(second), year, seconds)
            return found if any(found.seconds(way) == found.seconds(way) for way in (True, False)) else np.nan
        return np.nan
    try:
        made = datetime.fromisoformat(entry.strip())
    except ValueError:
        return np.nan
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()


def _each(texts: Iterable[str], known: dict[str, float], read: Callable[[str], float]) -> NDArray[np.float64]:
    found = []
    for text in texts:
        if text not in known:
            known[text] = read(text)
        found.append(known[text])
    return np.array(found, dtype=np.float64)


def _iso_date(text: str) -> float:
    try:
        return (date.fromisoformat(text).toordinal() - _EPOCH) * _DAY
    except ValueError:
        return np.nan


def _after_date(text: str) -> float:
    if not text:
        return 0.0
    # 24:00:00 is no time of a day, whatever the version of Python makes of it.
    if len(text) == 9 and text[0] in "Tt " and text[3] == text[6] == ":" and text[1:3] < "24":
        # As most are written: read in half the time.
        try:
            clock = time.fromisoformat(text[1:])
        except ValueError:
            return _clock(text[1:])
        return float(clock.hour * 3600 + clock.minute * 60 + clock.second)
    return _clock(text[1:]) if text[0] in "Tt " else np.nan


def _clock(text: str) -> float:
    """Seconds since midnight in UTC; NaN for what is no time of a day."""
    parted = _CLOCK.fullmatch(text)
    if parted is None:
        return np.nan
    hours, minutes, seconds, fraction, half, zone = parted.groups()
    hour, minute, second = int(hours), int(minutes), int(seconds or 0)
    if half is not None:
        if not 1 <= hour <= 12:
            return np.nan
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return np.nan
    made = hour * 3600 + minute * 60 + second + (float(f"0.{fraction[:6]}") if fraction else 0.0)
    return made - _offset(zone)


def _offset(zone: str | None) -> float:
    if zone is None or zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "")
    offset = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return float(-offset if zone[0] == "-" else offset)


def _days(year: int, month: int, day: int) -> float:
    try:
        return float(date(year, month, day).toordinal() - _EPOCH)
    except ValueError:
        return np.nan
