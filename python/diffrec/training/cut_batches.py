"""Batches of histories cut at random: what came before, and what the denoiser is to forecast."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch

from diffrec.data import Csr, RepeatView, Timeline, TimeScale, columns_of, owners_of, with_values
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion.part import Part, Whole
from diffrec.training.batches import Shuffled


@dataclass(frozen=True)
class CutBatch:
    """n cuts of histories.

    Attributes
    ----------
    before : scipy.sparse CSR
        float32 (n, scales * items), on the host; of all items.
    x : SparseRows
        The same on the device; of the part's items.
    after : SparseRows
        n rows over the items that followed, on the device; each row sums to 1, or to what it counts by its age, or is
        empty where nothing counts of what followed.
    """

    before: Csr
    x: SparseRows
    after: SparseRows

    def __len__(self) -> int:
        return len(self.x)


class CutBatches(Shuffled):
    """An epoch's cuts, drawn anew each time; of what they show no more than a batch exists at once.

    Parameters
    ----------
    timeline : Timeline
        Histories in the order of time.
    scales : sequence
        Views of what came before; see ``Timeline.before``.
    horizon : int
        How many of the following items are to be forecast.
    cuts : int
        Of each history in an epoch; fewer where it cannot be cut at so many places.
    batch_size : int
        Cuts in a batch.
    device : torch.device
        Where the batches are wanted.
    seed : int
        Of the cuts and their order.
    by_value : bool
        Share a row among the items that followed by the values of the user's pairs with them; otherwise evenly.
    repeats : bool
        Whether what came before a cut may be to follow it, too; otherwise a row whose followers all came before has
        none.
    half_life : timedelta, optional
        Age of what followed at which it counts half; see ``Timeline.trend``.
    part : Part, optional
        Where the work of a batch is spread: whose items the columns are, and which rows of each batch are yielded.

    Examples
    --------
    >>> from diffrec.data import Interactions
    >>> timeline = Timeline(Interactions.from_arrays([0, 0, 1], [0, 1, 1], timestamp=[1, 2, 3]))
    >>> batches = CutBatches(timeline, [None], horizon=5, cuts=3, batch_size=2, device="cpu", seed=0)
    >>> [len(batch) for batch in batches]
    [1]
    """

    def __init__(
        self,
        timeline: Timeline,
        scales: Sequence[TimeScale | RepeatView],
        *,
        horizon: int,
        cuts: int,
        batch_size: int,
        device: torch.device | str,
        seed: int,
        by_value: bool = False,
        repeats: bool = True,
        half_life: timedelta | None = None,
        part: Part | None = None,
    ) -> None:
        self._timeline = timeline
        self._scales = scales
        self._horizon = horizon
        self._batch_size = batch_size
        self._device = device
        self._seed = seed
        self._by_value = by_value
        self._repeats = repeats
        self._half_life = half_life
        self._items = timeline.n_items
        self._part: Part = part or Whole(self._items)
        self._shuffle = np.random.default_rng(seed)
        self._cuts = cuts
        self._rows, self._places = timeline.cuts_of_all(cuts)
        self._number: int = 0

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def __iter__(self) -> Iterator[CutBatch]:
        """Yield an epoch's batches."""
        order = self._shuffle.permutation(len(self._rows))
        self._number += 1
        for start in range(0, len(order), self._batch_size):
            chosen = order[start : start + self._batch_size]
            chosen = chosen[self._part.begin(len(chosen))]
            rows = self._rows[chosen]
            cuts = self._timeline.draw_cuts(rows, self._places[chosen], self._cuts, self._seed, self._number)
            before = self._timeline.before(rows, cuts, self._scales)
            after = self._timeline.after(rows, cuts, self._horizon, repeats=self._repeats)
            weights = self._timeline.values(rows, after) if self._by_value else after.data
            owners = owners_of(after)
            shares = (weights / np.bincount(owners, weights)[owners]).astype(np.float32)
            trend = self._timeline.trend(rows, cuts, self._half_life)
            shares = shares if trend is None else shares * trend[owners]
            after = with_values(after, shares)
            here = before
            if self._part.spread:
                place = self._items, self._part.first, self._part.size
                here, after = columns_of(before, *place), columns_of(after, *place)
            seen, followed = (SparseRows.from_matrix(part, self._device) for part in (here, after))
            yield CutBatch(before, seen, followed)
