"""The closed-form part of a diffusion recommender on its own: what a denoiser has to add to."""

import copy
from collections.abc import Iterable, Iterator
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diffrec.anchors import LinearMap, Ridge
from diffrec.data import Csr, Interactions, unit_rows
from diffrec.data.stored import Stored
from diffrec.ranking import Scores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.objective import Objective, objective_of
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.explanation import Reasons, linear_reasons, past_items
from diffrec.recommenders.histories import Reading
from diffrec.training import TrainingReport


class Anchor(Recommender):
    """DiffRec's anchor without its denoiser: ridge regression from histories to items.

    With ``objective="reconstruct"`` a history predicts itself, as in EASE with its diagonal kept; with ``"forecast"``
    the views of a history before a cut predict the items after it. Of the settings those about histories, time scales,
    cuts and the anchor matter.

    Attributes
    ----------
    map_ : LinearMap
        From what is seen of a history to the items.

    Examples
    --------
    >>> model = Anchor(anchor_l2=1.0).fit(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]))
    >>> model.recommend([3], k=1).items
    array([[1]])
    """

    variant: ClassVar[str] = "anchor"
    _spreads: ClassVar[bool] = True
    settings_type = DiffRecSettings
    settings: DiffRecSettings
    map_: LinearMap
    # The objective that was made of settings last, and these.
    _made: "tuple[DiffRecSettings, Objective] | None" = None

    def at_strengths(self, train: Interactions, strengths: Iterable[float]) -> Iterator[Self]:
        """Fit to the same data for several ``anchor_l2`` in turn: the equations are prepared once, and then let go."""
        equations = self._equations(train)
        for l2 in strengths:
            one = copy.copy(self)
            one.settings = one._wanted = self.settings.replaced({"anchor_l2": l2})
            one.train_, one.training_, one.map_ = train, TrainingReport(), equations.solve(l2)
            yield one

    @property
    def _objective(self) -> Objective:
        of, made = self._made or (None, None)
        if made is None or of is not self.settings:
            # Whatever denoiser it is to stand beside, it reads the views of a cut history, and of no item for itself.
            made = objective_of(self.settings.replaced({"denoiser": "mlp", "own_views": ()}))
            self._made = self.settings, made
        return made

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        self.map_ = self._equations(train).solve(self.settings.anchor_l2)

    def _equations(self, train: Interactions) -> Ridge:
        objective = self._objective
        return objective.equations(objective.inputs(train), self._share.part(train.shape[1]))

    def _reading(self) -> Reading:
        return self._objective.reading

    def _read(self, block: Interactions) -> Csr:
        return self._objective.read(block)

    def _scores(self, block: Interactions) -> Scores:
        return self.map_.scores(self._objective.views(block).signed)

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002 - exact
        x = self._objective.views(one).signed
        return linear_reasons(x, self.map_.between(x.indices, items), self._n_items, past_items(one))

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        return self.map_.scores(unit_rows(rows, self.settings.n_seen * self._n_items))

    def _state(self) -> dict[str, Tensor]:
        return self.map_.state()

    def _restore(self, state: Stored) -> None:
        items = self._n_items
        self.map_ = LinearMap.from_state(state, self.settings.n_seen * items, items, self._share.part(items))
