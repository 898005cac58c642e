"""Matrix factorisation for implicit feedback by alternating least squares."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec import _core
from diffrec._progress import progress_bar
from diffrec.checks import flag, one_of, real, whole, width
from diffrec.data import Csr, Interactions, csr_arrays, with_values
from diffrec.data.stored import Stored
from diffrec.ranking import FactorScores, Scores
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.settings import Settings, setting
from diffrec.recommenders.updating import Growth, Start, go_on
from diffrec.training import EpochRecord, TrainingReport
from diffrec.training.checkpoint import TRAINING
from diffrec.training.report import Interrupted
from diffrec.training.share import ALONE, Share

FactorRows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class IALSSettings(Settings):
    """Settings of iALS; symbols are those of the paper."""

    factors: int = setting(64, width, "number of factors of each user and item", symbol="f")
    l2: float = setting(
        10.0,
        real(0, open_low=True),
        "weight of the factors' squared lengths in the loss; higher values shrink the factors",
        symbol="lambda",
    )
    # Confidences are of single precision, where no number beyond 3e38 is.
    alpha: float = setting(10.0, real(1e-30, 1e30), "confidence in an interaction of value 1", symbol="alpha")
    binarize: bool = setting(False, flag, "count every interaction as 1, whatever its value")
    iterations: int = setting(15, whole(1), "number of times that all users' and then all items' factors are solved")
    solver: str = setting(
        "cg",
        one_of(("cg", "cholesky")),
        "method that solves for the factors: 'cg' (conjugate gradients) or 'cholesky' (exact, slower)",
    )
    cg_steps: int = setting(
        3, whole(1), "number of conjugate gradient steps for a user or item; read where `solver` is 'cg'"
    )


class IALS(Recommender):
    """Implicit alternating least squares (Hu, Koren & Volinsky, ICDM 2008).

    Users and items have factors x_u and y_i that minimise ``sum c_ui (p_ui - x_u.y_i)^2 + lambda (|X|^2 + |Y|^2)`` over
    all pairs (eq. 3): p is 1 where there is an interaction, trusted with confidence c = ``alpha`` times its value, and
    0 elsewhere, with confidence 1. Where a user dislikes an item p is 0, with confidence ``alpha`` times the dislike's
    size. With one side fixed the other has a closed form (eq. 4 and 5), solved exactly or, in a fraction of the time,
    by a few steps of conjugate gradients (Takacs, Pilaszy & Tikk, RecSys 2011).

    A user's factors are those that fit the history exactly, whether the user was there in training or not.

    Attributes
    ----------
    item_factors_ : float32 (items, factors)
        What was learnt of each item [Y].
    training_ : TrainingReport
        By iteration, the sum minimised per interaction.

    Examples
    --------
    >>> model = IALS(factors=2, l2=0.1, progress=False).fit(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 0]]))
    >>> model.recommend([3], k=1).items
    array([[1]])
    """

    variant: ClassVar[str] = "ials"
    # Every process solves for some of the factors, and ranks some of the items.
    _spreads: ClassVar[bool] = True
    settings_type = IALSSettings
    settings: IALSSettings
    item_factors_: FactorRows

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:  # noqa: ARG002 - nothing to stop
        s = self.settings
        drawn = np.float32(0.01) * np.random.default_rng(s.seed).random((train.shape[1], s.factors), dtype=np.float32)
        self.item_factors_, report = drawn if self._start is None else self._carried(self._start), TrainingReport()
        callbacks = self._share.callbacks(s.callbacks)
        kept = None if self._checkpoint is None else self._checkpoint.resume(TRAINING)
        if kept is not None:
            self.item_factors_, report = kept["items"], TrainingReport.from_dict(kept["report"])
            report.tell(callbacks)
        done = len(report.epochs)
        started = time.perf_counter()
        shown = s.progress and self._share.speaks
        bar = progress_bar(shown, total=s.iterations, initial=done, desc="iALS", unit="iteration")
        try:
            iterations = alternate(self._signed(train), self.item_factors_, s, done, self._share)
            for epoch, (items, loss) in enumerate(iterations, done + 1):
                self.item_factors_ = items
                report.epochs.append(EpochRecord(epoch, loss, time.perf_counter() - started))
                bar.set_postfix({"loss": f"{loss:.4g}"}, refresh=False)
                for callback in callbacks:
                    callback(report.epochs[-1])
                bar.update()
                if self._checkpoint is not None:
                    self._checkpoint.keep(TRAINING, lambda: {"items": self.item_factors_, "report": report.to_dict()})
                started = time.perf_counter()
        except KeyboardInterrupt as interruption:
            if not report.epochs:
                raise
            self._end(report)
            raise Interrupted(report) from interruption
        finally:
            bar.close()
        self._end(report)

    def _carried(self, start: Start) -> FactorRows:
        """Factors of another model: users are folded into them first, and then give new items theirs."""
        held: FactorRows = start.model._state()["item_factors"]  # type: ignore[assignment]
        if held.shape[1] != self.settings.factors:
            raise ValueError(f"init has {held.shape[1]} factors, and this fit {self.settings.factors}")
        return np.where(start.items[:, None] >= 0, held[start.items], np.float32(0))

    def _update(self, growth: Growth) -> None:
        go_on(self, growth, iterations=growth.passes())

    def _end(self, report: TrainingReport) -> None:
        report.best_epoch = len(report.epochs)
        self.training_ = report
        self._use(self.item_factors_)

    def _use(self, items: FactorRows) -> None:
        self.item_factors_ = items
        self._whitened = _core.als_whiten(items, self.settings.l2)

    def user_factors(self, histories: Csr) -> FactorRows:
        """Factors (n, factors) that fit histories (n, items) exactly; what is disliked has values below 0."""
        return _core.als_solve(csr_arrays(histories), *self._whitened, self.settings.alpha)[0]

    def _reading(self) -> Reading:
        return Reading.of(values=not self.settings.binarize)

    def _signed(self, block: Interactions) -> Csr:
        """Return the values of histories as they count, those of what is disliked below 0."""
        values = block.signed_matrix
        return with_values(values, np.sign(values.data)) if self.settings.binarize else values

    def _scores(self, block: Interactions) -> Scores:
        return FactorScores(self.user_factors(self._signed(block)), self._share.rows(self.item_factors_))

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002 - exact
        # With A the matrix of the user's equations, x_u = A^-1 sum c_i y_i: each item's term is its part of the score
        # (Hu et al., section 5).
        x, s = self._signed(one), self.settings
        y = self.item_factors_.astype(np.float64)
        own, confidence = y[x.indices], s.alpha * x.data.astype(np.float64)
        equations = y.T @ y + s.l2 * np.eye(y.shape[1]) + (own.T * (np.abs(confidence) - 1)) @ own
        # A disliked item contributes nothing itself: it is in A, and so lowers what the others contribute.
        terms = np.linalg.solve(equations, own.T * np.maximum(confidence, 0))
        return Reasons(y[items] @ terms, np.zeros(len(items)), exact=True, past=x.indices)

    def _item_vectors(self) -> FactorRows:
        return self.item_factors_

    def _state(self) -> dict[str, FactorRows]:
        return {"item_factors": self.item_factors_}

    def _restore(self, state: Stored) -> None:
        self._use(state.weights("item_factors", (self._n_items, self.settings.factors)))


def alternate(
    matrix: Csr, items: FactorRows, settings: IALSSettings, done: int = 0, share: Share = ALONE
) -> Iterator[tuple[FactorRows, float]]:
    """Solve users and items in turn.

    Parameters
    ----------
    matrix : scipy.sparse CSR
        (users, items).
    items : float32 (items, factors)
        Where to start.
    settings : IALSSettings
    done : int
        Iterations that led to ``items``, and are not to be made again.
    share : Share
        Where several processes solve, which users and items are this one's: rows do not depend on each other.

    Yields
    ------
    items : float32 (items, factors)
        After each iteration.
    loss : float
        The sum minimised, per interaction.
    """
    by_user, by_item = (csr_arrays(_rows(side, share)) for side in (matrix, sparse.csr_array(matrix.T)))
    l2, alpha = settings.l2, settings.alpha
    steps = settings.cg_steps if settings.solver == "cg" else None
    for _ in range(done, settings.iterations):
        users = share.joined(_core.als_solve(by_user, *_core.als_whiten(items, l2), alpha, steps)[0])
        own, error = _core.als_solve(by_item, *_core.als_whiten(users, l2), alpha, steps)
        items, error = share.joined(own), float(share.joined(np.array([error])).sum())
        yield items, (error + l2 * float(np.square(users, dtype=np.float64).sum())) / max(matrix.nnz, 1)


def _rows(side: Csr, share: Share) -> Csr:
    """The rows that this process solves for: all of them without a copy."""
    own = share.divided(side.shape[0])
    return side if own == slice(0, side.shape[0]) else sparse.csr_array(side[own])
