"""Batches of stretches of histories: at every basket, what is to be forecast from there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.data import Timeline
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import Part, Sequences, Whole
from diffrec.training.batches import Shuffled


@dataclass(frozen=True)
class WindowBatch:
    """Stretches of histories, and the m baskets in them that something follows.

    Attributes
    ----------
    history : Sequences
        n stretches.
    places : Tensor
        int64 (events,), those of the n * length places that hold an event of one of the m baskets.
    basket : Tensor
        int64 (events,), which of the m, rising.
    after : SparseRows
        m rows over the items that followed, each summing to 1 over all items, or to what it counts by its age.
    total : int
        How many baskets the whole batch has, where these are some of them.
    """

    history: Sequences
    places: Tensor
    basket: Tensor
    after: SparseRows
    total: int

    def __len__(self) -> int:
        return len(self.after)


class WindowBatches(Shuffled):
    """An epoch's stretches, of about the same length in a batch, in an order that is drawn anew each time.

    A history longer than ``length`` is parted into stretches, the newest the longest: each basket is forecast from once
    an epoch, and no basket is parted but one that is longer than a stretch.

    Parameters
    ----------
    timeline : Timeline
        Histories in the order of time.
    length : int
        Events of a stretch, at most.
    horizon : int
        How many of the following events are to be forecast, at least; see ``Timeline.following``.
    decay : float
        How much less each further basket counts.
    batch_size : int
        Events in a batch, about, or a single stretch.
    clock : bool
        Whether the time between events is wanted.
    by_value : bool
        Whether what followed counts by its value.
    device : torch.device
        Where the batches are wanted.
    seed : int
        Of their order.
    repeats : bool
        Whether what came before may be to follow; otherwise a basket is forecast from only where something new follows.
    half_life : timedelta, optional
        Age of what followed at which it counts half; see ``Timeline.trend``.
    part : Part, optional
        Where the work of a batch is spread: over whose items the rows of what followed are, and which stretches of each
        batch are yielded.

    Raises
    ------
    ValueError
        Without ``repeats``, if nobody took anything new after the first basket.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> timeline = Timeline(Interactions.from_arrays([0, 0, 0], [3, 1, 2], timestamp=[1, 2, 2]))
    >>> settings = {"length": 9, "horizon": 1, "decay": 0.5, "batch_size": 9, "clock": False}
    >>> batches = WindowBatches(timeline, **settings, device="cpu", seed=0)
    >>> [(batch.history.items.tolist(), batch.after.indices.tolist()) for batch in batches]
    [([[2, 0, 1]], [0, 1])]
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        length: int,
        horizon: int,
        decay: float,
        batch_size: int,
        clock: bool,
        by_value: bool = False,
        device: torch.device | str,
        seed: int,
        repeats: bool = True,
        half_life: timedelta | None = None,
        part: Part | None = None,
    ) -> None:
        self._part: Part = part or Whole(timeline.n_items)
        if not (repeats or timeline.brings_new):
            raise ValueError(
                "repeats='exclude' needs a history with something new after its first interactions, and there is none; "
                "repeats='include' forecasts what is taken again"
            )
        self._timeline = timeline
        self._horizon, self._decay = horizon, decay
        self._clock, self._by_value, self._repeats, self._half_life = clock, by_value, repeats, half_life
        self._device = device
        self._shuffle = np.random.default_rng(seed)
        self._rows, self._ends, self._lengths = _windows(timeline, length)
        self._batches = _even_batches(self._lengths, batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[WindowBatch]:
        """Yield an epoch's batches."""
        # Stretches of one length change their batches; those of others do not meet.
        order = np.lexsort((self._shuffle.random(len(self._rows)), self._lengths))
        for number in self._shuffle.permutation(len(self._batches)):
            batch = self._batch(order[self._batches[number]])
            # Without repeats a batch may have nothing to forecast.
            if batch.total:
                yield batch

    def _batch(self, chosen: NDArray[np.int64]) -> WindowBatch:
        rows, ends, length = self._rows[chosen], self._ends[chosen], int(self._lengths[chosen].max())
        items, ages, elapsed = self._timeline.sequences(rows, ends, length)
        places = np.flatnonzero(items >= 0)
        of_window, place = np.divmod(places, length)
        age = ages.reshape(-1)[places]
        begins = np.ones(len(places), dtype=np.bool_)
        begins[1:] = (of_window[1:] != of_window[:-1]) | (age[1:] != age[:-1])
        last = np.append(np.flatnonzero(begins)[1:], len(places)) - 1
        rows, cuts = rows[of_window[last]], ends[of_window[last]] - (length - 1 - place[last])
        indptr, after, weights = self._timeline.following(
            rows, cuts, self._horizon, self._decay, by_value=self._by_value, repeats=self._repeats
        )
        counts = np.diff(indptr)
        followed = counts > 0
        trend = self._timeline.trend(rows[followed], cuts[followed], self._half_life)
        weights = weights if trend is None else weights * np.repeat(trend, counts[followed])
        of_event, indptr = np.cumsum(begins) - 1, np.append(indptr[:-1][followed], indptr[-1])
        basket, kept = (np.cumsum(followed) - 1)[of_event], followed[of_event]
        # Of the baskets those of this part's stretches: they follow each other.
        own, part = self._part.begin(len(chosen)), self._part
        first, stop = np.searchsorted(of_window[last][followed], [own.start, own.stop]).tolist()
        kept &= (of_window >= own.start) & (of_window < own.stop)
        history = Sequences(
            torch.from_numpy(items[own]),
            torch.from_numpy(ages[own]),
            torch.from_numpy(elapsed[own]) if self._clock else None,
        )
        followers = SparseRows.from_csr(indptr, after, weights, first, stop, self._device)
        return WindowBatch(
            history.to(torch.device(self._device)),
            torch.from_numpy(places[kept] - own.start * length).to(self._device),
            torch.from_numpy(basket[kept] - first).to(self._device),
            followers.columns(part.first, part.first + part.size) if part.spread else followers,
            int(followed.sum()),
        )


def _windows(timeline: Timeline, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Part histories: of each stretch the user, its end as a cut, and its length."""
    rows = np.flatnonzero(timeline.baskets > 1)
    ends = timeline.lengths[rows]
    parts = []
    while len(rows):
        first = timeline.first_kept(rows, ends, length)
        # A stretch of the newest basket alone has nothing to forecast.
        some = timeline.basket_end(rows, first) < timeline.lengths[rows]
        parts.append((rows[some], ends[some], (ends - first)[some]))
        left = first > 0
        rows, ends = rows[left], first[left]
    found = [np.concatenate(values) for values in zip(*parts, strict=True)] if parts else [np.empty(0, np.int64)] * 3
    return found[0], found[1], found[2]


def _even_batches(lengths: NDArray[np.int64], batch_size: int) -> list[slice]:
    """Return the batches as slices of the stretches sorted by length."""
    batches, begin = [], 0
    rising = np.sort(lengths).tolist()
    for place, longest in enumerate(rising):
        if place > begin and longest * (place + 1 - begin) > batch_size:
            batches.append(slice(begin, place))
            begin = place
    return [*batches, slice(begin, len(rising))] if rising else []
