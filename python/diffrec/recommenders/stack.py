"""Several recommenders that rank together: a weighted sum of their scores, each on its own scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec._tensors import Array, on_host
from diffrec.checks import each, optional, real, shown
from diffrec.data import Csr, Interactions
from diffrec.data.stored import Stored
from diffrec.ranking import AddedScores, DenseScores, LinearScores, Scores, WeightedScores, deviations
from diffrec.recommenders.base import GuidedScores, Recommender
from diffrec.recommenders.explanation import Reasons
from diffrec.recommenders.guidance import Guidance
from diffrec.recommenders.guide import Guide
from diffrec.recommenders.histories import Reading
from diffrec.recommenders.learning import kept, taken_back, updated
from diffrec.recommenders.registry import make
from diffrec.recommenders.settings import Settings, setting
from diffrec.recommenders.updating import Growth, passes_of
from diffrec.training import TrainingReport
from diffrec.training.steps import Steps

# Scores of a block that are written out once rather than computed twice, for their spread and for the ranking.
_WRITTEN_OUT = 1 << 24
_NAME = "stack"
# In a file, the passes over the data that led to each part.
_PASSES = "passes"
# A variant, and what it sets otherwise, by name.
Part = tuple[str, tuple[tuple[str, Any], ...]]


def _part(name: str, value: Any) -> Part:
    """Accept a variant by its name or beside a mapping of its settings; kept as a pair of name and values."""
    try:
        variant, settings = (value, {}) if isinstance(value, str) else value
        pairs = tuple(dict(settings).items())
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold variants, or pairs of one and its settings, got {shown(value)}") from None
    if variant == _NAME:
        raise ValueError(f"{name} must not hold another stack, got {shown(value)}")
    make(variant, **dict(pairs))
    return variant, pairs


def _weights(name: str, value: Any) -> tuple[float, ...]:
    """Accept numbers of at least 0 that are not all 0."""
    weights: tuple[float, ...] = each(real(0), "numbers")(name, value)
    if not any(weights):
        raise ValueError(f"{name} must hold a number above 0, got {shown(value)}")
    return weights


@dataclass(frozen=True, kw_only=True)
class StackSettings(Settings):
    """Settings of a stack."""

    parts: tuple[Part, ...] = setting(
        (("itemknn", ()), ("popularity", ())),
        each(_part, "variants"),
        "variants that score together: names, or pairs of a name and a mapping of its settings",
    )
    weights: tuple[float, ...] | None = setting(
        None, optional(_weights), "weight of each part's standardised scores; None for equal ones"
    )

    def check_together(self) -> None:
        """Refuse weights that are not as many as the parts."""
        if self.weights is not None and len(self.weights) != len(self.parts):
            raise ValueError(f"weights must be as many as parts, {len(self.parts)}, got {shown(self.weights)}")


class Stack(Recommender):
    """Ranks by a weighted sum of several recommenders' scores, each divided by its spread for the user.

    The score of an item is ``sum_p w_p s_p / sd_p``, with ``sd_p`` the standard deviation of part p's scores over the
    items that are not in the user's history (stacked generalisation, Wolpert 1992, with weights of at least 0). Parts
    that err in different ways rank better together than any of them does. ``diffrec.fit(data)`` chooses parts and
    weights by validation.

    Attributes
    ----------
    parts_ : list of Recommender
        The fitted parts, in the order of ``parts``.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> stack = diffrec.Stack(parts=["popularity", ("ease", {"l2": 50.0})], weights=[1, 3], progress=False).fit(data)
    >>> stack.recommend(k=3).items.shape, [part.variant for part in stack.parts_]
    ((60, 3), ['popularity', 'ease'])
    """

    variant: ClassVar[str] = _NAME
    settings_type = StackSettings
    settings: StackSettings
    parts_: list[Recommender]

    def _unfitted(self) -> list[Recommender]:
        """Make the parts anew, with what is set for all of them."""
        s = self.settings
        own = {name: getattr(s, name) for name in ("seed", "device", "progress", "callbacks", "repeats")}
        return [make(variant, **(own | dict(settings))) for variant, settings in s.parts]

    def _fit(self, train: Interactions, valid: Interactions | None) -> None:
        begun: Sequence[Recommender | None] = [None] * len(self.settings.parts)
        if self._start is not None:
            begun = cast(Stack, self._start.model).parts_
        if len(begun) != len(self.settings.parts):
            raise ValueError(f"init must be a stack of {len(self.settings.parts)} parts, got {len(begun)}")
        steps, self.parts_ = Steps(self._checkpoint), []
        for place, (part, init) in enumerate(zip(self._unfitted(), begun, strict=True)):
            held = steps.done(str(place))
            if held is None:
                part.fit(train, valid, init=init, **steps.within(str(place)))
                steps.note(str(place), kept(part))
            else:
                part = taken_back(part, held, train)
                part.training_.tell(self.settings.callbacks)
            self.parts_.append(part)
        steps.tidy()

    def _update(self, growth: Growth) -> None:
        steps, self.parts_ = Steps(self._checkpoint), []
        for place, part in enumerate(cast(Stack, growth.start.model).parts_):
            held, own = steps.done(str(place)), growth.of_part(part)
            fresh = updated(part, own) if held is None else taken_back(part, held, own.train)
            if held is None:
                steps.note(str(place), kept(fresh))
            self.parts_.append(fresh)
        steps.tidy()

    @classmethod
    def of(cls, parts: list[Recommender], settings: StackSettings) -> "Stack":
        """Put together parts that were fitted on the same data."""
        stack = cls(**settings.values())
        stack.train_, stack.training_, stack.parts_ = parts[0].train_, TrainingReport(), parts
        return stack

    @property
    def _shares(self) -> NDArray[np.float64]:
        """Weights of the parts, which sum to 1: (parts,)."""
        weights = self.settings.weights
        shares = np.ones(len(self.settings.parts)) if weights is None else np.array(weights, dtype=np.float64)
        shares /= shares.sum()
        return shares

    # -- scores --------------------------------------------------------------------------------------------------------

    def _reading(self) -> Reading:
        """Say what the parts read, side by side."""
        own = [part._reading() for part in self.parts_]
        meaning = "; ".join(
            f"{part.variant}: {reading.meaning}" for part, reading in zip(self.parts_, own, strict=True)
        )
        return Reading(
            meaning,
            values=any(reading.values for reading in own),
            views=sum(reading.views or 1 for reading in own),
            by_clock=any(reading.by_clock for reading in own),
        )

    def _read(self, block: Interactions) -> Csr:
        read = sparse.hstack([part._read(block) for part in self.parts_], format="csr")
        return sparse.csr_array(read)

    def _scores(self, block: Interactions) -> Scores:
        scores, weights = self._weighed(block)
        return WeightedScores(scores, weights)

    def _weighed(self, block: Interactions) -> tuple[list[Scores], Tensor]:
        """Score by every part; return that and the weights of the sum, (parts, n)."""
        scores = [part._scores(block) for part in self.parts_]
        if block.shape[0] * block.shape[1] <= _WRITTEN_OUT:
            scores = [DenseScores.of(part) for part in scores]
        spreads = torch.stack([deviations(part, block.matrix).cpu() for part in scores])
        shares = torch.from_numpy(self._shares.astype(np.float32))[:, None]
        # Who has no history gets the same score for all items from most parts: these have no say.
        return scores, torch.where(spreads > 0, shares / spreads, 0.0)

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:
        _, weights = self._weighed(one)
        told = [part._reasons(one, items, points) for part in self.parts_]
        history = one.matrix.indices
        # Some parts know what the user dislikes, and others do not.
        past = np.unique(np.concatenate([history, *(some.past for some in told if some.past is not None)]))
        reasons = Reasons(np.zeros((len(items), len(past))), np.zeros(len(items)), exact=True, past=past)
        for some, weight in zip(told, weights[:, 0].tolist(), strict=True):
            reasons = reasons.plus(some.over(past, history), weight)
        return reasons

    @property
    def can_be_guided(self) -> bool:
        """Whether ``recommend`` takes ``steer``, ``novelty`` and ``diversity``: where a part has item vectors."""
        try:
            self._item_vectors()
        except TypeError:
            return False
        return True

    def _guide(self, guidance: Guidance) -> GuidedScores:
        guide = Guide(guidance, torch.as_tensor(self._item_vectors()), 1)

        def guided(block: Interactions, best: Any) -> Scores:
            scores = self._scores(block)
            ask = guide.start(deviations(scores, block.matrix), best)
            return AddedScores(scores, LinearScores(ask(scores), guide.directions))

        return guided

    def _by_weight(self) -> list[Recommender]:
        """Return the parts, the one that weighs most first."""
        return [self.parts_[place] for place in np.argsort(-self._shares, kind="stable")]

    def _item_vectors(self) -> Array:
        for part in self._by_weight():
            try:
                return on_host(part._item_vectors())
            except TypeError:
                continue
        return super()._item_vectors()

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        for part in self._by_weight():
            try:
                return part._alike(rows)
            except TypeError:
                continue
        return super()._alike(rows)

    # -- files ---------------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Array]:
        state: dict[str, Array] = {
            f"{place}.{name}": values
            for place, part in enumerate(self.parts_)
            for name, values in part._state().items()
        }
        # What an update of each takes its share of.
        state[_PASSES] = np.array([passes_of(part) for part in self.parts_], dtype=np.int64)
        return state

    def _restore(self, state: Stored) -> None:
        parts = self._unfitted()
        passes = np.zeros(len(parts), dtype=np.int64)
        if _PASSES in state:
            passes = state.take(_PASSES, passes.shape, np.int64, low=0)
        for place, part in enumerate(parts):
            part.train_, part.training_ = self.train_, TrainingReport(facts={"fit_epochs": int(passes[place])})
            part._restore(state.within(str(place)))
        self.parts_ = parts
