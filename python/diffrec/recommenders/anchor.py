"""The closed-form part of a diffusion recommender on its own: what a denoiser has to add to."""

import copy
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diffrec.anchors import LinearMap, Ridge
from diffrec.data import Interactions
from diffrec.ranking import Scores
from diffrec.recommenders.anchoring import anchor_equations
from diffrec.recommenders.diffrec import DiffRec
from diffrec.recommenders.explanation import Reasons, linear_reasons
from diffrec.recommenders.item_to_item import one_each
from diffrec.training import Plan, TrainingReport


class Anchor(DiffRec):
    """DiffRec's anchor without its denoiser: ridge regression from histories to items.

    With ``objective="reconstruct"`` a history predicts itself, as in EASE with its diagonal kept; with ``"forecast"``
    the views of a history before a cut predict the items after it. Of the settings those about histories, time scales,
    cuts and the anchor matter.

    Attributes
    ----------
    train_ : Interactions
        The training data.

    Examples
    --------
    >>> model = Anchor(anchor_l2=1.0).fit(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]))
    >>> model.recommend([3], k=1).items
    array([[1]])
    """

    variant: ClassVar[str] = "anchor"
    deterministic: ClassVar[bool] = False
    _anchor: LinearMap
    _equations: Ridge | None = None
    _has_chain = False

    def resolved(self, l2: float) -> Self:
        """The same model with another ``anchor_l2``, from equations that ``fit`` has prepared."""
        assert self._equations is not None
        other = copy.copy(self)
        other.settings = self.settings.replaced({"anchor_l2": l2})
        other._anchor = self._equations.solve(l2)
        return other

    def _fit(self, data: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        self._seen = None
        self._equations = anchor_equations(self.settings, self._prepared(data))
        self._anchor = self._equations.solve(self.settings.anchor_l2)
        self.training_ = TrainingReport()

    def _scores(self, histories: Interactions, start: int, stop: int) -> Scores:
        return self._anchor.scores(self._vectors(histories, start, stop)[0])

    def _reasons(self, histories: Interactions, row: int, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002 - exact
        matrix = histories.matrix
        past = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        return linear_reasons(self._vectors(histories, row, row + 1)[0], self._anchor, past, items)

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        views = len(self.settings.time_scales) if self._forecasting else 1
        return self._anchor.scores(one_each(rows, views * self._n_items))

    def _state(self) -> dict[str, Tensor]:
        return self._anchor.state()

    def _restore(self, state: dict[str, Tensor]) -> None:
        self._anchor = LinearMap.from_state(state)

    def plan(self, data: object, valid: object = None) -> Plan:  # noqa: ARG002 - the interface's
        """Nothing is trained: see ``Ridge.of`` for what the equations take."""
        raise TypeError("an anchor is solved, not trained: there is no plan to make")
