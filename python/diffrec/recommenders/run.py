"""How the parts of a diffusion recommender are asked for scores."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from diffrec.diffusion import SparseRows
from diffrec.ranking import Scores

# What predicted x_0 scores at a step, before guidance -> what to add to it along the directions, (n, e).
ScoresGuide = Callable[[Scores], Tensor]


class Run(Protocol):
    """A reverse chain, or a forecast's one step, ready to be run on a block of users."""

    def __call__(
        self,
        rows: SparseRows,
        last: Tensor | None,
        /,
        *,
        seed: int,
        guide: ScoresGuide | None = None,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        """Scores at the end of the chain, without an anchor's.

        Parameters
        ----------
        rows : SparseRows
            n histories as the denoiser sees them.
        last : Tensor or None
            int64 (n, length), their last items, where an encoder reads them.
        seed : int
            Draws the noise, if any.
        guide : callable, optional
            In a chain along directions: asked at every step.
        on_step : callable, optional
            Is shown what is scored after every step.
        """
        ...
