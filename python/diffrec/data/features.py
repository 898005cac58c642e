"""Features of facts: what texts, categories, numbers and vectors say of an item or a person, as a sparse matrix."""

import itertools
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.data._csr import Csr, with_values

# Places that the words of a text are hashed to.
WIDTH = 4096
# A text column of so few distinct values, as a share of all, holds categories, each a whole; or one with `|` in more
# than such a share of them.
_CATEGORIES = 0.1
# Standard deviations beyond which a number is taken for that many.
_FARTHEST = 3.0
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Text:
    """Words and pairs of words, or the categories between ``|``, hashed (Weinberger et al. 2009) and weighed by rarity.

    The weight is ``ln((1 + n) / (1 + d)) + 1``, d of the n known values having something at the place.
    """

    whole: bool
    rarity: NDArray[np.float64]
    width: int = WIDTH

    @classmethod
    def of(cls, values: NDArray[np.str_]) -> "_Text":
        distinct = np.unique(values)
        parted = np.mean(np.char.find(distinct, "|") >= 0)
        whole = bool(len(distinct) <= _CATEGORIES * len(values) or parted > _CATEGORIES)
        hashed = _hashed(values, whole=whole)
        having = np.bincount(hashed.indices, minlength=WIDTH)
        return cls(whole, np.log((1 + len(values)) / (1 + having)) + 1)

    def matrix(self, values: NDArray[np.str_]) -> Csr:
        hashed = _hashed(values, whole=self.whole)
        data = np.sign(hashed.data) * self.rarity[hashed.indices]
        return _unit(with_values(hashed, data))


@dataclass(frozen=True)
class _Number:
    """A number in standard deviations from the mean; 0 for what is not known."""

    mean: float
    spread: float
    width: int = 1

    @classmethod
    def of(cls, values: NDArray[Any]) -> "_Number":
        known = values[np.isfinite(values)].astype(np.float64)
        return cls(float(known.mean()) if len(known) else 0.0, float(known.std()) or 1.0 if len(known) else 1.0)

    def matrix(self, values: NDArray[Any]) -> Csr:
        scaled = np.clip((values.astype(np.float64) - self.mean) / self.spread, -_FARTHEST, _FARTHEST) / _FARTHEST
        column: Any = np.nan_to_num(scaled)[:, None]
        return sparse.csr_array(column)


@dataclass(frozen=True)
class _Vector:
    """A vector, scaled to unit length."""

    width: int

    @classmethod
    def of(cls, values: NDArray[Any]) -> "_Vector":
        return cls(values.shape[1])

    def matrix(self, values: NDArray[Any]) -> Csr:
        if values.shape[1:] != (self.width,):
            raise ValueError(f"a vector has {values.shape[1:]} numbers, and the known ones have {self.width}")
        rows: Any = np.nan_to_num(values.astype(np.float64))
        return _unit(sparse.csr_array(rows))


@dataclass(frozen=True)
class FactFeatures:
    """How facts become features, as it was learnt from those of known items or people.

    Examples
    --------
    >>> known = {"title": np.array(["red cup", "red plate", "blue plate"]), "price": np.array([2.0, 4.0, 6.0])}
    >>> features = FactFeatures.of(known)
    >>> new = features.matrix({"title": np.array(["a blue plate"])}, 1)
    >>> int((new @ features.matrix(known, 3).T).toarray().argmax())
    2
    """

    columns: Mapping[str, "_Text | _Number | _Vector"] = field(default_factory=dict)

    @classmethod
    def of(cls, info: Mapping[str, NDArray[Any]]) -> "FactFeatures":
        """Learn from columns of facts, a row for each item; columns that say the same of all are left out."""
        columns: dict[str, _Text | _Number | _Vector] = {}
        for name, values in info.items():
            if len(values) and (values.ndim == 2 or len(np.unique(values)) > 1):
                columns[name] = _kind(values).of(values)
        return cls(columns)

    def matrix(self, info: Mapping[str, NDArray[Any]], n: int) -> Csr:
        """Return the features of ``n`` items, float64 (n, width): columns of a fact each, the last always 1.

        What is not said of them is 0. Each text and each vector has length 1.

        Raises
        ------
        ValueError
            When a fact is of another kind than that of the known ones.
        """
        parts = []
        for name, column in self.columns.items():
            values = info.get(name)
            if values is not None and not isinstance(column, _kind(values)):
                raise ValueError(f"the fact {name!r} holds {values.dtype}, and that of the known ones is another kind")
            parts.append(sparse.csr_array((n, column.width)) if values is None else column.matrix(values))
        ones: Any = sparse.csr_array(np.ones((n, 1)))
        return sparse.csr_array(sparse.hstack([*parts, ones], format="csr"))


def _kind(values: NDArray[Any]) -> "type[_Text | _Number | _Vector]":
    if values.ndim == 2:
        return _Vector
    return _Text if values.dtype.kind == "U" else _Number


def _hashed(values: NDArray[np.str_], *, whole: bool) -> Csr:
    """Signed counts of the tokens of n texts at the places that they are hashed to, (n, WIDTH)."""
    rows, columns = [], []
    for row, text in enumerate(values.tolist()):
        for token in _tokens(text, whole=whole):
            rows.append(row)
            columns.append(zlib.crc32(token.encode()))
    hashes = np.array(columns, dtype=np.int64)
    # The sign has tokens that meet at a place cancel out on average.
    signs = np.where(hashes & (1 << 31), -1.0, 1.0)
    counts = sparse.csr_array((signs, (np.array(rows, dtype=np.int64), hashes % WIDTH)), shape=(len(values), WIDTH))
    counts.eliminate_zeros()
    return counts


def _tokens(text: str, *, whole: bool) -> Iterator[str]:
    if whole:
        yield from (part for part in (one.strip().casefold() for one in text.split("|")) if part)
        return
    words = _WORD.findall(text.casefold())
    yield from words
    yield from (f"{one} {other}" for one, other in itertools.pairwise(words))


def _unit(rows: Csr) -> Csr:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64))
    scaled = rows.data / np.repeat(np.where(lengths > 0, lengths, 1), np.diff(rows.indptr))
    return with_values(rows, scaled)
