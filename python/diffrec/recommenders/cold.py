"""Scores of items that nobody has touched, and for people without a history, from facts about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from diffrec._tensors import on_host
from diffrec.checks import shown, whole
from diffrec.data import Csr, Ids, Interactions, empty_matrix
from diffrec.data.facts import fact_table, title_of
from diffrec.data.features import FactFeatures
from diffrec.data.streamed import owners_of_items
from diffrec.ranking import FactorScores, Scores
from diffrec.ranking.blockwise import blocks_of
from diffrec.recommenders.histories import learnt_from
from diffrec.recommenders.limits import ItemsOrByUser, Limits
from diffrec.recommenders.results import Top

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

# Rows of users -> their scores of all items.
BlockScores = Callable[[NDArray[np.int64]], NDArray[np.float32]]

# Strengths of the ridge that are tried, as multiples of the weight of one item or user.
_STRENGTHS = (0.3, 1.0, 3.0, 10.0)
# Known ones that it is chosen by.
_LOOKED_AT = 5_000
# Interactions from which on what was learnt of an item counts half.
_HALF = 5.0
_BLOCK = 512
# Users, or items, whose scores the map is chosen by.
_SAMPLED = 300


@dataclass(frozen=True)
class FactMap:
    """A linear map from facts to what a model has learnt, trained with that left out.

    DropoutNet (Volkovs, Yu & Poutanen, NeurIPS 2017, eq. 2) trains a map from the learnt part and the content of an
    item so that the model's scores come out again, ``sum_ui (U_u V_i' - U_u f(V_i, phi_i)')^2``, while the learnt part
    V_i is dropped at random: at an item that nobody has touched there is none. Of a linear f with V_i always dropped,
    ``f = phi_i B``, the minimum has a closed form: with D the weights of the items and lambda that of a ridge

        B = (Phi' D Phi + lambda I)^-1 Phi' D V,

    the same for V a network's last layer, factors, or the columns of an item-to-item matrix, for it is linear in V, and
    so are the scores, of which alone it is made here: a new item c scores ``sum_i a_ci s_ui`` with
    a_c = phi_c (Phi' D Phi + lambda I)^-1 Phi' D, whatever model.
    lambda is chosen by dropping the learnt part of one item after the other and finding its scores again from its
    facts (leave-one-out, in closed form as well).

    Parameters
    ----------
    features : FactFeatures
        How facts become features.
    weighted : scipy.sparse CSR
        D Phi, float64 (known, some): what known items add, over the features that two of them have at least.
    inverse : ndarray
        ``(Phi' D Phi + lambda I)^-1``, float64 (some, some).
    occurring : int64 (some,)
        Which features these are.
    strength : float
        lambda.
    """

    features: FactFeatures
    weighted: Csr
    inverse: NDArray[np.float64]
    occurring: NDArray[np.int64]
    strength: float

    @classmethod
    def of(
        cls, info: Mapping[str, NDArray[Any]], interactions: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> "FactMap":
        """Learn the map.

        Parameters
        ----------
        info : mapping of str to ndarray
            Columns of facts, (known,) or (known, width).
        interactions : int64 (known,)
            How many interactions there are of each; those without any have nothing learnt.
        scores : float32 (known, sampled)
            What the model gives each for some users.

        Raises
        ------
        ValueError
            When the facts say the same of all.
        """
        features = FactFeatures.of(info)
        if not features.columns:
            raise ValueError("the known facts say the same of all: there is nothing to learn from them")
        phi = features.matrix(info, len(interactions))
        weights = interactions / (interactions + _HALF)
        # What one alone has says nothing of others.
        occurring = np.flatnonzero(np.bincount(phi.indices, minlength=phi.shape[1]) > 1)
        inside = sparse.csr_array(phi[:, occurring])
        weighted = sparse.csr_array(sparse.diags_array(weights) @ inside)
        gram: NDArray[np.float64] = np.asarray((inside.T @ weighted).toarray(), dtype=np.float64)
        # On one scale, so that all who are asked have their say; what is constant is no error.
        targets = scores - np.average(scores, axis=0, weights=weights)
        targets = targets / np.maximum(targets.std(axis=0), 1e-12)
        image = weighted.T @ targets
        looked_at = slice(0, _LOOKED_AT)
        some: Any = inside[looked_at]
        least, best = np.inf, (0.0, gram)
        for strength in _STRENGTHS:
            inverse = _inverse(gram, strength)
            turned = np.asarray(some @ inverse)
            # What each finds of its scores from its facts, with what was learnt of it left out.
            leverage = weights[looked_at] * _row_sums(some, turned)
            errors = (targets[looked_at] - turned @ image) / np.maximum(1 - leverage, 1e-6)[:, None]
            error = float((weights[looked_at, None] * np.square(errors)).sum())
            if error < least:
                least, best = error, (strength, inverse)
        return cls(features, weighted, best[1], occurring, best[0])

    def shares(self, info: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.float64]:
        """Return the parts of each feature's sum over the known ones that ``n`` new ones take, float64 (n, some)."""
        phi = self.features.matrix(info, n)
        made: NDArray[np.float64] = np.asarray(sparse.csr_array(phi[:, self.occurring]) @ self.inverse)
        return made


def _row_sums(rows: Any, dense: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inner product of each sparse row with the dense one beside it."""
    return np.asarray(rows.multiply(dense).sum(axis=1), dtype=np.float64)


def _inverse(gram: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """The inverse of ``gram + strength I``, symmetric and definite."""
    matrix = gram + strength * np.eye(len(gram))
    factor, _ = lapack.dpotrf(matrix, lower=1)
    inverse, _ = lapack.dpotri(factor, lower=1)
    made: NDArray[np.float64] = np.tril(inverse) + np.tril(inverse, -1).T
    return made


@dataclass(frozen=True)
class ColdItems:
    """New items beside those of a model.

    Attributes
    ----------
    items : Ids
        The model's, then the new ones.
    titles : ndarray or None
        What people call all of them.
    shares : float32 (new, some)
        What each takes of the sums over the features.
    weighted : scipy.sparse CSR
        float32 (model's items, some): what known items add to these sums.
    """

    items: Ids
    titles: NDArray[Any] | None
    shares: NDArray[np.float32]
    weighted: Csr

    @classmethod
    def of(cls, ids: Ids, info: Mapping[str, NDArray[Any]], train: Interactions, learnt: FactMap) -> "ColdItems":
        """Put new items after those that a model knows.

        Raises
        ------
        ValueError
            When the model knows one already, its ids are of another kind, or a fact is.
        """
        known = train.items
        if ids.ids.dtype.kind != known.ids.dtype.kind:
            raise ValueError(
                f"cold_items has ids such as {shown(ids[0])}, and the model's are such as {shown(known[0])}"
            )
        there = known.find(ids)
        if (there >= 0).any():
            raise ValueError(
                f"cold_items holds {shown(ids[int(np.argmax(there >= 0))])}, which the model knows already"
            )
        shares = learnt.shares(info, len(ids)).astype(np.float32)
        title, titles = title_of(train.item_info), None
        if title is not None:
            new = info.get(title, np.full(len(ids), ""))
            titles = np.concatenate([train.item_info[title], new.astype(np.str_)])
        items = Ids.trusted(np.concatenate([known.ids, ids.ids]), "item")
        return cls(items, titles, shares, sparse.csr_array(learnt.weighted.astype(np.float32)))

    def beside(self, scores: Scores) -> Scores:
        """Scores of all items: the model's, and those of the new ones after them."""
        return _Beside(scores, self)

    def wider(self, rows: Csr) -> Csr:
        """Rows over the model's items as rows over all."""
        return sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], len(self.items)))


@dataclass(frozen=True)
class ColdUsers:
    """People without a history, recommended to by facts about them; made by ``Recommender.for_cold_users``.

    Parameters
    ----------
    train : Interactions
        What the model was fitted on.
    learnt : FactMap
        From facts about its users to their scores.
    summed : ndarray
        float32 (some, items): the known users' standardised scores, summed by what they add to each feature.
    """

    train: Interactions
    learnt: FactMap
    summed: NDArray[np.float32]

    @classmethod
    def of(cls, ids: Ids, info: Mapping[str, NDArray[Any]], train: Interactions, scores: BlockScores) -> "ColdUsers":
        """Learn from facts about users that the model knows; of others, and of those without a history, nothing is.

        Parameters
        ----------
        ids, info
            Users, and columns of facts about them.
        train : Interactions
            What the model was fitted on.
        scores : callable
            Rows of users (n,) -> their scores, float32 (n, items).

        Raises
        ------
        ValueError
            When fewer than two of the users have a history, or their facts are the same.
        """
        rows = train.users.find(ids)
        lengths = np.diff(train.matrix.indptr)
        kept = np.flatnonzero((rows >= 0) & (lengths[rows] > 0))
        if len(kept) < 2:
            raise ValueError(f"user_facts must be of users that the model knows, such as {shown(train.users[0])}")
        rows, facts = rows[kept], {name: column[kept] for name, column in info.items()}
        items = np.random.default_rng(0).permutation(train.shape[1])[:_SAMPLED]
        sample = np.empty((len(rows), len(items)), dtype=np.float32)
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)]
        for block in blocks:
            sample[block] = _standardised(scores(rows[block]))[:, items]
        learnt = FactMap.of(facts, lengths[rows], sample)
        summed = np.zeros((learnt.weighted.shape[1], train.shape[1]), dtype=np.float32)
        for block in blocks:
            summed += learnt.weighted[block].T.astype(np.float32) @ _standardised(scores(rows[block]))
        return cls(train, learnt, summed)

    def recommend(self, facts: Any, k: int = 20, *, allow: ItemsOrByUser = None, deny: ItemsOrByUser = None) -> Top:
        """Recommend the ``k`` best items to each of some people.

        Parameters
        ----------
        facts : frame, mapping of columns, or path
            A row for each: an id, and facts by the names of those that were learnt from; what is lacking says nothing.
        k, allow, deny
            As for ``Recommender.recommend``.

        Raises
        ------
        ValueError
            When no column holds ids, or a fact is of another kind.
        """
        ids, info = fact_table(facts, "user", "facts")
        shares = self.learnt.shares(info, len(ids)).astype(np.float32)
        limits = Limits.of(self.train.items, ids.ids, allow, deny)
        best = limits.best(empty_matrix(len(ids), self.train.shape[1]), whole(1)("k", k))
        found = best(FactorScores(shares, np.ascontiguousarray(self.summed.T)))
        return Top.of(ids.ids, *found, self.train.items, self.train.titles)


def _standardised(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = scores.std(axis=1, keepdims=True)
    made: NDArray[np.float32] = (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    return made


@dataclass(frozen=True)
class _Beside:
    """Scores of a model's items, and those of new items after them."""

    scores: Scores
    cold: ColdItems

    @property
    def shape(self) -> tuple[int, int]:
        return self.scores.shape[0], len(self.cold.items)

    @cached_property
    def _new(self) -> NDArray[np.float32]:
        summed = np.zeros((self.shape[0], self.cold.weighted.shape[1]), dtype=np.float32)
        for first, block in blocks_of(self.scores):
            known = on_host(block)
            summed += (self.cold.weighted[first : first + known.shape[1]].T @ known.T).T
        return summed @ self.cold.shares.T

    def block(self, first: int, stop: int) -> NDArray[np.float32]:
        known = self.scores.shape[1]
        parts = []
        if first < known:
            parts.append(on_host(self.scores.block(first, min(stop, known))))
        if stop > known:
            parts.append(self._new[:, max(first - known, 0) : stop - known])
        return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)

    def factors(self) -> None:
        """None: a new item is scored by what is known of others."""


def cold_items_of(model: "Recommender", given: Any) -> ColdItems:
    """Read new items, and say what the model makes of their facts."""
    model._share.require_whole("cold_items")
    train = learnt_from(model.train_, "cold_items needs them")
    ids, info = fact_table(given, "item", "cold_items")
    if not train.item_info:
        raise ValueError(
            "cold_items needs facts about the model's items, too, and it has none: fit on interactions made with "
            "items=, a table of facts, or item_info="
        )
    shared = {name: column for name, column in info.items() if name in train.item_info}
    if not shared:
        raise ValueError(
            f"cold_items says {', '.join(map(repr, info)) or 'nothing'} of the items, and the model knows of its "
            f"own {', '.join(map(repr, train.item_info))}"
        )
    if model._by_facts is None:
        users = np.flatnonzero(np.diff(train.matrix.indptr))
        users = np.random.default_rng(model.settings.seed).permutation(users)[:_SAMPLED]
        model._by_facts = FactMap.of(train.item_info, owners_of_items(train), model._written(train, users).T)
    return ColdItems.of(ids, shared, train, model._by_facts)
