"""Objectives: what a denoiser learns to produce, and what it sees of histories for that."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from diffrec.anchors import Ridge
from diffrec.data import (
    Csr,
    Interactions,
    RepeatView,
    Timeline,
    TimeScale,
    binary,
    empty_like,
    row_keys,
    rows_times,
    with_values,
)
from diffrec.data.sparse_rows import SparseRows
from diffrec.data.streamed import ParquetInteractions
from diffrec.data.time_weights import require_clock
from diffrec.diffusion import Part, Sequences
from diffrec.recommenders.diffrec.network import Views
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.histories import Ageing, Reading
from diffrec.recommenders.sequences import sequences_of, standing, standing_means
from diffrec.training import CutBatches, InMemoryRows, NoisedBatches, Rows, WindowBatches, rows_from

# Cut histories the forecast's equations are made of, at most: more hardly change them.
_MOST_ROWS = 500_000
# Cuts whose vectors are made at once.
_ROWS_AT_ONCE = 50_000


class Objective(Protocol):
    """An objective makes of histories the inputs of network and anchor: what they show, what they are to produce.

    In training ``batches``, ``equations`` and ``intervals`` take what ``inputs`` of the same objective returned.
    """

    @property
    def held_out_by(self) -> str:
        """The way to hold a part out for validation, see ``Interactions.split``."""
        ...

    @property
    def reading(self) -> Reading:
        """Reading of a history: the weights of each item, in words."""
        ...

    def require_times(self, histories: Interactions) -> None:
        """Refuse histories without the times that are read of them."""
        ...

    def inputs(self, histories: Any) -> Any:
        """Take histories to learn from, and refuse those that nothing can be learnt from."""
        ...

    def batches(self, inputs: Any, device: torch.device, part: Part | None = None) -> Any:
        """Make the batches of every epoch, of a part of the items where they are spread."""
        ...

    def pair(self, batch: Any) -> tuple[SparseRows, SparseRows]:
        """Return what a batch's histories show, (n, views * items), and what they are to produce, (n, items)."""
        ...

    def equations(self, inputs: Any, part: Part | None = None) -> Ridge:
        """Prepare the anchor's equations, from what histories show to what they are to produce."""
        ...

    def intervals(self, inputs: Any) -> NDArray[np.float32] | None:
        """Return the usual intervals of the items, (items,), if a view compares with them."""
        ...

    def views(self, block: Interactions) -> Views:
        """Return what whole histories show, to be ranked."""
        ...

    def read(self, block: Interactions) -> Csr:
        """Return the weights that are read of whole histories, (n, views * items)."""
        ...


class Reconstruction:
    """A history is to produce itself: the vectors x_0, binary, weighted by age; values are the confidence in them."""

    def __init__(self, settings: DiffRecSettings) -> None:
        self._settings = settings

    @property
    def held_out_by(self) -> str:
        """The way to hold out, see ``Interactions.split``: the newest where they weigh most, else a random part."""
        return "time" if self._settings.time_weights else "random"

    @property
    def reading(self) -> Reading:
        """Reading of a history: one weight for each item."""
        s = self._settings
        kind = s.time_weights
        ageing = None if kind is None else Ageing(kind, s.w_min, s.w_max, s.half_life, f"time_weights={kind!r}")
        return Reading.of(values=False, ageing=ageing)

    def require_times(self, histories: Interactions) -> None:
        """Refuse histories without times where interactions are weighed by their age."""
        self.reading.require_times(histories)

    def inputs(self, histories: Interactions | ParquetInteractions) -> Rows:
        """Return the vectors x_0, (users, items), and the confidence in their entries."""
        return rows_from(histories, self.rows_of)

    def rows_of(self, histories: Interactions) -> "tuple[Csr, Csr | None]":
        """Return the vectors x_0 of some users, and the confidence in their entries, None for 1."""
        return self.reading.weights(histories), None if self._settings.binarize else histories.matrix

    def batches(self, inputs: Rows, device: torch.device, part: Part | None = None) -> NoisedBatches:
        """Make the batches of every epoch: rows of x_0."""
        s = self._settings
        if part is not None and part.spread:
            inputs = inputs.of_items(part.items, part.first, part.size)
        return NoisedBatches(inputs, s.batch_size, device, np.random.default_rng(s.seed), part, seed=s.seed)

    def pair(self, batch: SparseRows) -> tuple[SparseRows, SparseRows]:
        """Return what a batch's histories show, (n, views * items), and what they are to produce: the rows, twice."""
        return batch, batch

    def equations(self, inputs: InMemoryRows, part: Part | None = None) -> Ridge:
        """Prepare the anchor's equations, of a part of the items where they are spread: from x_0 to x_0.

        A closed form knows no confidence in single entries.
        """
        x0 = inputs.held.matrix
        return _ridge(self._settings, [(x0, x0)], part)

    def intervals(self, inputs: Rows) -> None:
        """Return None: no view compares with an interval."""

    def views(self, block: Interactions) -> Views:
        """Return the vectors x_0."""
        newest = 1.0 if self._settings.time_weights is None else self._settings.w_max
        return Views(self.reading.weights(block), None, row_keys(block.matrix), _disliked(block, [newest]))

    def read(self, block: Interactions) -> Csr:
        """Return the vectors x_0."""
        return self.reading.weights(block)


class Forecasting:
    """Histories up to a cut are to produce what followed it."""

    held_out_by: ClassVar[str] = "time"

    def __init__(self, settings: DiffRecSettings, intervals: NDArray[np.float32] | None = None) -> None:
        self._settings = settings
        self._intervals = intervals

    @property
    def reading(self) -> Reading:
        """A weight for each item on every time scale."""
        scales = self._scales
        views = "; ".join(map(_meaning, scales))
        return Reading(
            f"{len(scales)} for each item, its age being the number of newer baskets: {views}",
            views=len(scales),
            by_clock=any(isinstance(scale, timedelta) or scale in ("due", "usual") for scale in scales),
        )

    @property
    def _scales(self) -> tuple[TimeScale | RepeatView, ...]:
        """The views of network and anchor, and those of an item for itself."""
        return self._settings.time_scales + self._settings.own_terms

    def require_times(self, histories: Interactions) -> None:
        """Refuse histories without times: there is no order in them."""
        if len(histories):
            instead = ": give histories with times, such as Interactions.from_arrays(users, items, timestamp=...)"
            require_clock(histories, "objective='forecast'", instead)

    def inputs(self, histories: Interactions) -> Timeline:
        """Put histories in the order of time.

        Raises
        ------
        ValueError
            When there is no order, or nothing in them to learn from.
        """
        if self._settings.encoder_length:
            raise ValueError(
                f"encoder_length must be 0 in a fit, got {self._settings.encoder_length}: only files of older versions "
                "have such an encoder; denoiser='sequence' reads the order"
            )
        timeline = self.timeline(histories)
        if timeline.baskets.max(initial=0) < 2:
            raise ValueError(
                "objective='forecast' needs a history with at least 2 interactions at different times, one to see "
                "and one to forecast; there is none"
            )
        if timeline.intervals is None and "usual" in self._scales:
            timeline.intervals = timeline.usual_intervals()
        return timeline

    def intervals(self, inputs: Timeline) -> NDArray[np.float32] | None:
        """Return the usual intervals of the items, if a view compares with them."""
        return inputs.intervals

    def batches(self, inputs: Timeline, device: torch.device, part: Part | None = None) -> CutBatches | WindowBatches:
        """Make the batches of every epoch: cuts of histories, drawn anew."""
        s = self._settings
        return CutBatches(
            inputs,
            self._scales,
            horizon=s.horizon,
            cuts=s.cuts,
            batch_size=s.batch_size,
            device=device,
            seed=s.seed,
            by_value=not s.binarize,
            repeats=s.repeats == "include",
            half_life=s.forecast_half_life,
            part=part,
        )

    def pair(self, batch: Any) -> tuple[SparseRows, SparseRows]:
        """Return what came before the cuts, and what came after."""
        return batch.x, batch.after

    def equations(self, inputs: Timeline, part: Part | None = None) -> Ridge:
        """Map views of cut histories to the items that followed."""
        s = self._settings
        rows, places = inputs.cuts_of_all(s.anchor_cuts)
        if len(rows) > _MOST_ROWS:
            chosen = np.random.default_rng(s.seed).choice(len(rows), _MOST_ROWS, replace=False)
            rows, places = rows[chosen], places[chosen]
        # A step of its own: training draws its cuts at the low ones.
        all_cuts = inputs.draw_cuts(rows, places, s.anchor_cuts, s.seed, 1 << 32)
        pairs = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some, cuts = rows[start : start + _ROWS_AT_ONCE], all_cuts[start : start + _ROWS_AT_ONCE]
            # Repeats are targets here whatever is asked: a linear map learns from them which items go together, and has
            # a diagonal for what they say of themselves. Without them it finds less of what is new, too.
            after = inputs.after(some, cuts, s.horizon)
            # Trends: an item that was taken of late is predicted more often than one that used to be. The histories
            # keep their weight, for how items follow each other changes less than which of them there are.
            trend = inputs.trend(some, cuts, s.anchor_half_life)
            after = after if trend is None else rows_times(after, trend)
            pairs.append((inputs.before(some, cuts, s.time_scales), after))
        return _ridge(s, pairs, part)

    def views(self, block: Interactions) -> Views:
        """Return views of the whole histories."""
        timeline = self.timeline(block)
        even = 1 / np.sqrt(timeline.lengths.clip(1))
        newest = [even if scale is None else 1.0 for scale in self._settings.time_scales]
        newest += [0.0 for _ in self._settings.own_terms]
        length, last = self._settings.encoder_length, None
        if length:
            items = torch.from_numpy(timeline.last(np.arange(len(timeline.lengths)), timeline.lengths, length))
            last = Sequences(items, torch.zeros_like(items), None)
        return Views(self._before(timeline), last, row_keys(block.matrix), _disliked(block, newest))

    def read(self, block: Interactions) -> Csr:
        """Return views of the whole histories."""
        return self._before(self.timeline(block))

    def _before(self, timeline: Timeline) -> Csr:
        return timeline.before(np.arange(len(timeline.lengths)), timeline.lengths, self._scales)

    def timeline(self, histories: Interactions) -> Timeline:
        """Put any histories in the order of time.

        Raises
        ------
        ValueError
            When there is no order.
        """
        self.require_times(histories)
        return Timeline(histories, self._intervals)


class SequentialForecasting(Forecasting):
    """Every basket of a history is to produce what followed it; an anchor learns what a cut history is to produce."""

    @property
    def reading(self) -> Reading:
        """Reading of the anchor, if there is one, and of the place of each item in its history."""
        s, cut = self._settings, super().reading
        meanings = standing_means(clock=s.sequence_clock)
        if not s.anchor:
            return Reading("; ".join(meanings), views=len(meanings))
        return Reading(
            "; ".join([cut.meaning, *meanings]), views=(cut.views or 0) + len(meanings), by_clock=cut.by_clock
        )

    def batches(self, inputs: Timeline, device: torch.device, part: Part | None = None) -> WindowBatches:
        """Make the batches of every epoch: stretches of histories."""
        s = self._settings
        return WindowBatches(
            inputs,
            length=s.sequence_length,
            horizon=s.horizon,
            decay=s.horizon_decay,
            batch_size=s.batch_size,
            clock=s.sequence_clock,
            by_value=not s.binarize,
            device=device,
            seed=s.seed,
            repeats=s.repeats == "include",
            half_life=s.forecast_half_life,
            part=part,
        )

    def views(self, block: Interactions) -> Views:
        """Return the last events of the histories; and views of all of them where an anchor reads them."""
        s, timeline = self._settings, self.timeline(block)
        last = sequences_of(timeline, s.sequence_length, clock=s.sequence_clock)
        if s.anchor:
            return replace(super().views(block), last=last)
        return Views(empty_like(block.matrix), last, row_keys(block.matrix))

    def read(self, block: Interactions) -> Csr:
        """Return what an anchor reads, and where each item stands in its history."""
        s = self._settings
        parts = standing(block, self.timeline(block), clock=s.sequence_clock)
        return sparse.csr_array(sparse.hstack([*([super().read(block)] if s.anchor else []), *parts], format="csr"))


def anchor_rows(settings: DiffRecSettings, users: int, events: int) -> int:
    """Return how many rows the equations of an anchor have at most: histories, or cuts between their events."""
    if settings.objective == "reconstruct":
        return users
    return min(users * settings.anchor_cuts, events, _MOST_ROWS)


def objective_of(settings: DiffRecSettings, intervals: NDArray[np.float32] | None = None) -> Objective:
    """Return the objective that is set, with the items' usual intervals if a fit has learnt them."""
    if settings.objective == "reconstruct":
        return Reconstruction(settings)
    return SequentialForecasting(settings) if settings.denoiser == "sequence" else Forecasting(settings, intervals)


def _disliked(block: Interactions, weights: Sequence[float | NDArray[np.float64]]) -> "Csr | None":
    """Return the dislikes of n users, (n, views * items): a view's weight is one for all or one for each user."""
    if not block.n_dislikes:
        return None
    pattern = binary(block.dislikes)
    counts = np.diff(pattern.indptr)
    views = []
    for weight in weights:
        of_rows = np.broadcast_to(np.asarray(weight, dtype=np.float32), len(counts))
        views.append(with_values(pattern, np.repeat(of_rows, counts)))
    disliked: Csr = sparse.hstack(views, format="csr")
    return disliked


def _ridge(s: DiffRecSettings, pairs: list[tuple[Csr, Csr]], part: Part | None) -> Ridge:
    return Ridge.of(
        pairs,
        damping=s.anchor_damping,
        row_damping=s.anchor_row_damping,
        rank=s.anchor_rank,
        neighbors=s.anchor_neighbors,
        exact=s.anchor_exact,
        seed=s.seed,
        part=part,
    )


_MEANINGS = {
    "had": "1",
    "often": "ln(1 + baskets with the item)",
    "ago": "1 / (1 + baskets newer than the newest with it)",
    "due": "r / (1 + r), r being the time since that as a multiple of the mean time between baskets with it",
    "usual": "r / (1 + r), r being the time since that as a multiple of the usual time between baskets with the item",
}


def _meaning(scale: TimeScale | RepeatView) -> str:
    """Say in words what weighs an item in a view."""
    if isinstance(scale, str):
        return _MEANINGS[scale]
    if scale is None:
        return "1 / sqrt(number of items)"
    if isinstance(scale, timedelta):
        return f"exp(-seconds before the newest / {scale.total_seconds():g})"
    return f"exp(-age / {scale:g})"
