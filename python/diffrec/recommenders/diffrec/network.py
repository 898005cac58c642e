"""Protocol of the networks that DiffRec holds, over items, over latents, or forecasting, and what most have alike."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec.data import Csr
from diffrec.data.sparse_rows import SparseRows
from diffrec.diffusion import GaussianProcess, RowNoise, Sequences
from diffrec.latent import ItemGroups
from diffrec.ranking import AddedScores, LinearScores, Scores
from diffrec.training import Stateful

# What predicted x_0 scores at a step, before guidance -> what to add to it along the directions, (n, e).
StepGuide = Callable[[Scores], Tensor]


@dataclass(frozen=True)
class Views:
    """n histories as network and anchor see them.

    Attributes
    ----------
    x : scipy.sparse CSR
        float32 (n, views * items): the vectors x_0, or views of the histories on several time scales side by side.
    last : Sequences or None
        The last events of each, where an encoder reads them.
    keys : int64 (n,)
        What each history's noise is drawn by.
    disliked : scipy.sparse CSR or None
        What the anchor takes off ``x``: for each item disliked what an interaction with it right now would add.
    own : scipy.sparse CSR or None
        Of ``x`` the columns of the items that the network holds; None where it holds all.
    """

    x: Csr
    last: Sequences | None
    keys: NDArray[np.int64]
    disliked: "Csr | None" = None
    own: "Csr | None" = None

    @property
    def signed(self) -> Csr:
        """Input of the anchor: ``x``, and below 0 what is disliked."""
        return self.x if self.disliked is None else sparse.csr_array(self.x - self.disliked)

    def __len__(self) -> int:
        return len(self.keys)

    def on(self, device: torch.device) -> tuple[SparseRows, Sequences | None]:
        """Return as tensors on a device what the network reads, ``x`` and ``last``."""
        return SparseRows.from_matrix(
            self.x if self.own is None else self.own, device
        ), None if self.last is None else self.last.to(device)


class Run(Protocol):
    """A reverse chain, or a forecast's one step, ready to be run on a block of users."""

    def __call__(
        self,
        rows: SparseRows,
        last: Sequences | None,
        fresh: RowNoise,
        /,
        *,
        guide: StepGuide | None = None,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        """Score at the end of the chain, without an anchor's scores.

        Parameters
        ----------
        rows : SparseRows
            n histories as the network sees them.
        last : Sequences or None
            Their last events, where an encoder reads them.
        fresh : RowNoise
            Draws the noise, if any.
        guide : callable, optional
            In a chain along directions: asked at every step.
        on_step : callable, optional
            Is shown what is scored after every step.
        """
        ...


def one_step(
    score: Callable[[SparseRows, Sequences | None, RowNoise], Scores], directions: Tensor | None = None
) -> Run:
    """Make a run of a forecast's one step, with guidance of what it predicts along ``directions`` (items, e)."""

    @torch.no_grad()
    def run(
        rows: SparseRows,
        last: Sequences | None,
        fresh: RowNoise,
        *,
        guide: StepGuide | None = None,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        scores = score(rows, last, fresh)
        if guide is not None and directions is not None:
            scores = AddedScores(scores, LinearScores(guide(scores), directions))
        if on_step is not None:
            on_step(scores)
        return scores

    return run


class Network(Protocol):
    """A network in training and as it ranks; what is said here holds for those that say nothing else.

    Attributes
    ----------
    process : GaussianProcess
        The noise it was trained against.
    has_chain : bool
        Whether it ranks by several steps that can be watched; a forecast takes one.
    anchor_start : float
        The weight of the anchor's scores where it is not learnt and no validation can say more.
    narrow_on_processor : bool
        Whether it was found to rank as well with products in bfloat16 on a processor.
    """

    process: GaussianProcess
    has_chain: ClassVar[bool] = True
    anchor_start: ClassVar[float] = 4.0
    narrow_on_processor: ClassVar[bool]

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        ...

    @property
    def groups(self) -> ItemGroups | None:
        """The groups of the items, where each has an encoder."""
        return None

    @property
    def anchor_scale(self) -> float | None:
        """The weight of the anchor's scores where it is learnt along; None where it is chosen on validation."""
        return None

    def parameter_groups(self) -> list[dict[str, object]]:
        """Return the optimizer's parameter groups."""
        ...

    def rows_by_item(self) -> dict[str, Tensor]:
        """Name the weights that have rows of items: number of the view * items + item of each."""
        ...

    def changing(self) -> dict[str, Stateful]:
        """Name what training changes in it besides its weights."""
        return {}

    def epoch_of(self, batches: Any, epoch: int = 1) -> Iterable[Any]:  # noqa: ARG002
        """Begin an epoch, counted from 1: return its batches in the form that ``loss`` takes."""
        return batches  # type: ignore[no-any-return]

    def loss(self, batch: Any) -> Tensor:
        """Mean training loss of a batch."""
        ...

    def changed(self) -> None:
        """Forget what was prepared from the weights: they have changed."""
        return

    @property
    def run(self) -> Run:
        """The run that ranks: without guidance, with the noise at inference that is set."""
        ...

    def along(self, directions: Tensor) -> Run:
        """Return a run with guidance along ``directions`` (items, e)."""
        ...

    def noisy(self, forward_steps: int, *, sampling_noise: bool) -> Run:
        """Return a run with other noise at inference than is set."""
        ...

    def noiseless_scores(
        self, rows: SparseRows, last: Sequences | None = None, presence: Tensor | None = None
    ) -> LinearScores:
        """Score as ``run`` does, without noise; gradients flow to the rows' values and to ``presence`` (n, length)."""
        ...

    def item_vectors(self) -> Tensor:
        """Return vectors (items, width) whose cosine says how alike two items are."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights by name."""
        ...


class OneStepNetwork(Network, Protocol):
    """A network that ranks by one step from the whole history, as forecasts do: ``_scores`` makes it."""

    has_chain: ClassVar[bool] = False

    @property
    def run(self) -> Run:
        """The one step from histories, as it ranks."""
        return one_step(self._scores)

    def along(self, directions: Tensor) -> Run:
        """Return the one step with guidance of what it predicts along ``directions`` (items, e)."""
        return one_step(self._scores, directions)

    def _scores(self, rows: SparseRows, last: Sequences | None, fresh: RowNoise, /) -> Scores: ...
