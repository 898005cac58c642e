"""The interface every recommender shares, and all of it that does not depend on how scores come about."""

import copy
import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from diffrec.data import Csr, Interactions
from diffrec.evaluation import Report, measure, parse_metric
from diffrec.ranking import LinearScores, Scores, top_k
from diffrec.recommenders.estimator import Estimator
from diffrec.recommenders.explaining import Explaining
from diffrec.recommenders.guidance import Best, Guidance
from diffrec.recommenders.inputs import align, as_interactions, fold_in, is_histories, user_rows
from diffrec.recommenders.settings import flag, whole
from diffrec.recommenders.storage import Stored, write
from diffrec.recommenders.top import Top
from diffrec.training import TrainingReport

# Scores of distinct rows of histories, and what finds their best items, which guidance looks at -> guided scores.
GuidedScores = Callable[[Interactions, NDArray[np.int64], Best], Scores]
# Users scored at once. Large enough for efficient products, small enough that a block of scores stays small.
USER_BLOCK = 512

_log = logging.getLogger(__name__)


class Recommender(Estimator, Explaining):
    """Learns from interactions and ranks items for users.

    A subclass says how it is fitted (``_fit``), how it scores histories (``_scores``), and what its state is
    (``_state``, ``_restore``). Settings are plain keyword names; see each class for its own.

    Once fitted, a model may be used by several threads at once; fit it, or change its settings, in one alone.

    Attributes
    ----------
    settings : Settings
        Checked settings.
    train_ : Interactions
        What the model was fitted on; its histories are what known users are scored by.
    training_ : TrainingReport
        Losses and validation metrics by epoch; empty where there are no epochs.
    """

    train_: Interactions
    training_: TrainingReport

    @property
    @abstractmethod
    def variant(self) -> str:
        """What ``diffrec.fit`` calls it; a class with one name sets that as an attribute."""

    # -- fitting -------------------------------------------------------------------------------------------------

    def fit(self, data: Any, valid: Any = None) -> Self:
        """Learn from interactions.

        Parameters
        ----------
        data : Interactions, matrix or data frame
            Users x items; a matrix of SciPy, NumPy or torch. Frames need columns whose names say user and item.
        valid : the same kinds, optional
            Later interactions of the same users, on which models that train by epochs stop early. A matrix must have
            the shape of ``data``; ``Interactions`` are matched by id.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            When ``data`` is none of these.
        ValueError
            When its content is impossible; nothing has changed then.
        """
        train = as_interactions(data, "data")
        aligned = None if valid is None else align(valid, train, "valid")[0]
        if aligned is not None and len(aligned) == 0:
            raise ValueError("valid must hold an interaction of a user and an item of the data, got none")
        # A fit that fails or is interrupted leaves this model as it was.
        fresh = copy.copy(self)
        fresh.train_ = train
        started = time.perf_counter()
        _log.info("fitting %r on %r", self, train)
        fresh._fit(train, aligned)
        _log.info("fitted %s in %.1f s", type(self).__name__, time.perf_counter() - started)
        self.__dict__ = fresh.__dict__
        return self

    @abstractmethod
    def _fit(self, train: Interactions, valid: Interactions | None) -> None:
        """Learn; set ``training_`` and the fitted state."""

    @abstractmethod
    def _scores(self, histories: Interactions, start: int, stop: int) -> Scores:
        """Scores of the users in rows ``start:stop`` of ``histories``, whose columns are the model's items."""

    def _item_vectors(self) -> Tensor:
        """Vectors (items, width) whose cosine says how alike two items are."""
        raise TypeError(f"{type(self).__name__} has no item vectors to compare")

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        """How alike the items in these rows are to every item."""
        vectors = torch.nn.functional.normalize(self._item_vectors())
        return LinearScores(vectors[torch.from_numpy(rows).to(vectors.device)], vectors)

    @abstractmethod
    def _state(self) -> dict[str, Tensor]:
        """The fitted state as named tensors."""

    @abstractmethod
    def _restore(self, state: dict[str, Tensor]) -> None:
        """Take the fitted state back; ``settings`` and ``train_`` are set already."""

    # -- using ---------------------------------------------------------------------------------------------------

    def recommend(
        self,
        users: Any = None,
        k: int = 20,
        *,
        exclude_seen: bool = True,
        allow: Iterable[Any] | None = None,
        deny: Iterable[Any] | None = None,
        steer: Mapping[Any, float] | None = None,
        tags: Mapping[Any, Iterable[Any]] | None = None,
        novelty: float = 0.0,
        diversity: float = 0.0,
    ) -> Top:
        """Recommend the ``k`` best items to each user.

        Parameters
        ----------
        users : ids, row numbers, Interactions, matrix or data frame, optional
            One or more users the model was fitted on (all by default), by id, or by row number where ids are strings;
            or the histories of people it never saw, as Interactions or a frame, or as rows of a matrix over the same
            items.
        k : int
            Length of the lists.
        exclude_seen : bool
            Leave out what is in a user's history.
        allow : item ids, optional
            Recommend only these.
        deny : item ids, optional
            Never recommend these.
        steer : mapping of item or tag to weight, optional
            Push items up, or down with a weight below 0: item ids, names of ``tags``, or what a text column of the
            data's ``item_info`` says of them, such as a genre. Only diffusion models can be guided, by this and the
            next two: at every step of the reverse chain, on predicted x_0; a forecast has one step. Every
            weight counts in standard deviations of a user's own scores, without guidance, of what is not in the
            history; 0 changes and costs nothing.
        tags : mapping of name to item ids, optional
            Names for sets of items, for ``steer``.
        novelty : float
            Push against popularity: the weight of -log2 of an item's popularity, standardised over the items. Below 0
            it pushes towards what is popular.
        diversity : float
            Push the items of a list apart: what an item loses that is wholly like the others (by the cosine of
            ``similar_items``), at least 0. About ten times the work of a ranking.

        Returns
        -------
        Top
            ``users`` (n,), ``items`` (n, k) and ``scores`` (n, k): score descending, then item row ascending.

        Raises
        ------
        ValueError
            When ``k`` is below 1, a user, item or tag is unknown, or a weight is not finite.
        TypeError
            When a model without a reverse chain is to be guided.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.Interactions.from_arrays(["Ann", "Bob", "Bob"], ["tea", "tea", "milk"])
        >>> model = diffrec.fit(data, variant="popularity")
        >>> model.recommend(["Ann"], k=1).items
        array([['milk']], dtype='<U4')
        """
        k = whole(1)("k", k)
        histories, rows, ids = self._histories(users)
        denied = self._denied(allow, deny)
        guidance = Guidance.of(self.train_, steer, tags, novelty, diversity)
        distinct, place = np.unique(rows, return_inverse=True)
        items = np.empty((len(distinct), k), dtype=np.int32)
        values = np.empty((len(distinct), k), dtype=np.float32)
        seen = histories.matrix if exclude_seen else nothing_of(histories)
        self._rank(histories, distinct, seen, denied, items, values, guidance)
        return Top.of(ids, items[place], values[place], self.train_.items)

    @overload
    def score(self, users: Any = None, *, as_tensor: Literal[False] = False) -> NDArray[np.float32]: ...
    @overload
    def score(self, users: Any = None, *, as_tensor: Literal[True]) -> Tensor: ...
    def score(self, users: Any = None, *, as_tensor: bool = False) -> NDArray[np.float32] | Tensor:
        """Score every item for each user.

        Parameters
        ----------
        users : as for ``recommend``
        as_tensor : bool
            Return a torch tensor where the model is, such as on a GPU. Like every torch tensor it hands its memory to
            other libraries by DLPack: ``jax.numpy.from_dlpack(scores)``.

        Returns
        -------
        ndarray or Tensor
            float32 (n, items), dense: ask for a few users at a time where there are many items.

        Examples
        --------
        >>> import diffrec
        >>> model = diffrec.fit(np.array([[1, 0], [1, 1]]), variant="popularity")
        >>> model.score([0])
        array([[2., 1.]], dtype=float32)
        >>> model.score([0], as_tensor=True)
        tensor([[2., 1.]])
        """
        flag("as_tensor", as_tensor)
        histories, rows, _ = self._histories(users)
        distinct, place = np.unique(rows, return_inverse=True)
        out = None
        for start in range(0, len(distinct), USER_BLOCK):
            with torch.no_grad():
                block = self._scores_of(histories, distinct[start : start + USER_BLOCK]).block(0, self._n_items)
            block = block if as_tensor else block.cpu()
            if len(block) == len(distinct):
                out = block  # nothing to put it together with: handed on as it is
                break
            if out is None:
                out = block.new_empty(len(distinct), self._n_items)
            out[start : start + len(block)] = block
        if out is None:
            out = torch.empty(0, self._n_items)
        if len(rows) != len(distinct) or np.any(np.diff(place) < 0):
            out = out[torch.from_numpy(place).to(out.device)]
        return out if as_tensor else out.numpy()

    def similar_items(self, items: Any, k: int = 20) -> Top:
        """Find the items most like the given ones: by the cosine of what the model learnt of them, or its own measure.

        Parameters
        ----------
        items : item ids
            One or more items.
        k : int
            Length of the lists.

        Returns
        -------
        Top
            ``users`` holds the given items; an item is not similar to itself.
        """
        k = whole(1)("k", k)
        rows = self._fitted().train_.items.rows(items)
        itself = sparse.csr_array(
            (
                np.ones(len(rows), dtype=np.float32),
                rows.astype(np.int32),
                np.arange(len(rows) + 1, dtype=np.int64),
            ),
            shape=(len(rows), self._n_items),
        )
        ranked, values = top_k(self._alike(rows), k, itself)
        return Top.of(self.train_.items.ids[rows], ranked, values, self.train_.items)

    def evaluate(self, test: Any, *, seen: Any = None, k: Sequence[int] = (10, 20)) -> Report:
        """Measure how well the known users' later interactions are predicted.

        Parameters
        ----------
        test : Interactions, matrix or frame
            What users did later; every interaction in it is relevant. A matrix must have the shape of the training
            data; ``Interactions`` are matched by id, and what the model does not know is left out and counted.
        seen : the same kinds, optional
            Items not to rank besides those of the training data, such as the validation part.
        k : sequence of int
            Cuts of the ranked lists.

        Returns
        -------
        Report
            Means over the users with relevant items, and values per user.

        Examples
        --------
        >>> import diffrec
        >>> train, test = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[0, 1, 0], [0, 0, 1]])
        >>> diffrec.fit(train, variant="popularity").evaluate(test, k=[1])["recall@1"]
        1.0
        """
        cuts = [whole(1)("k", cut) for cut in ([k] if isinstance(k, int) else k)]
        if not cuts:
            raise ValueError("k must name at least one cut, got an empty sequence")
        train = self._fitted().train_
        relevant, left_out = align(test, train, "test")
        masked = train.matrix
        if seen is not None:
            masked = union(masked, align(seen, train, "seen")[0].matrix)
        return self._measure(train, relevant, masked, cuts, left_out)

    def _measure(
        self,
        histories: Interactions,
        relevant: Interactions,
        masked: Csr,
        k: Sequence[int],
        left_out: int = 0,
    ) -> Report:
        rows = np.flatnonzero(np.diff(relevant.matrix.indptr))
        if len(rows) == 0:
            raise ValueError("test must hold an interaction of a known user with a known item, got none")
        items = np.empty((len(rows), max(k)), dtype=np.int32)
        self._rank(histories, rows, masked, None, items, np.empty(items.shape, dtype=np.float32))
        return measure(
            items,
            relevant.matrix[rows],
            histories.users.ids[rows],
            k,
            users_without_relevant=histories.shape[0] - len(rows),
            interactions_left_out=left_out,
        )

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model to one file, which ``diffrec.load`` reads back.

        The file is complete or absent: it is written beside its place first and renamed.
        """
        self._fitted()
        write(
            Path(path),
            Stored(
                self.variant,
                self.settings.values(saved_only=True),
                self.train_,
                self.training_,
                self._state(),
            ),
        )

    @classmethod
    def _from_stored(cls, stored: Stored, **transient: Any) -> Self:
        model = cls(**stored.settings, **transient)
        model.train_, model.training_ = stored.train, stored.training
        model._restore(stored.state)
        return model

    # -- shared steps --------------------------------------------------------------------------------------------

    @property
    def _n_items(self) -> int:
        return self.train_.shape[1]

    def _fitted(self) -> Self:
        if not hasattr(self, "train_"):
            raise RuntimeError(f"this {type(self).__name__} is not fitted yet; call fit(data) first")
        return self

    def _histories(self, users: Any) -> tuple[Interactions, NDArray[np.int64], NDArray[Any]]:
        """Whose histories to score: interactions over the model's items, the rows wanted in them, and their ids."""
        train = self._fitted().train_
        if users is None:
            return train, np.arange(train.shape[0], dtype=np.int64), train.users.ids
        if is_histories(users):
            strangers = fold_in(users, train.items)
            return strangers, np.arange(strangers.shape[0], dtype=np.int64), strangers.users.ids
        rows = user_rows(users, train.users)
        return train, rows, train.users.ids[rows]

    def _denied(self, allow: Iterable[Any] | None, deny: Iterable[Any] | None) -> NDArray[np.bool_] | None:
        if allow is None and deny is None:
            return None
        denied = np.zeros(self._n_items, dtype=np.bool_)
        if allow is not None:
            denied[:] = True
            denied[self.train_.items.rows(allow)] = False
        if deny is not None:
            denied[self.train_.items.rows(deny)] = True
        return denied

    def _guided(self, guidance: Guidance) -> GuidedScores:  # noqa: ARG002
        """What scores under guidance, prepared once for any number of blocks of users."""
        raise TypeError(
            f"{type(self).__name__} has no reverse chain to guide: steer, novelty and diversity are for DiffRec"
        )

    @torch.no_grad()
    def _scores_of(self, histories: Interactions, rows: NDArray[np.int64]) -> Scores:
        """Scores of distinct rows in rising order."""
        return self._scores(*self._run_of(histories, rows))

    @staticmethod
    def _run_of(histories: Interactions, rows: NDArray[np.int64]) -> tuple[Interactions, int, int]:
        """Distinct rows in rising order as a run of rows: in place where they are neighbours."""
        if rows[-1] - rows[0] == len(rows) - 1:
            return histories, int(rows[0]), int(rows[-1]) + 1
        return histories.take(rows), 0, len(rows)

    def _rank(
        self,
        histories: Interactions,
        rows: NDArray[np.int64],
        seen: Csr,
        denied: NDArray[np.bool_] | None,
        items: NDArray[np.int32],
        values: NDArray[np.float32],
        guidance: Guidance | None = None,
    ) -> None:
        """Fill ``items`` and ``values`` (n, k) for rows (n,), a block of users at a time."""
        guided = None if guidance is None else self._guided(guidance)
        for start in range(0, len(rows), USER_BLOCK):
            block = slice(start, start + USER_BLOCK)
            best = partial(top_k, k=items.shape[1], seen=seen, rows=rows[block], denied=denied)
            scores = self._scores_of(histories, rows[block]) if guided is None else guided(histories, rows[block], best)
            items[block], values[block] = best(scores)

    def _validation(self, train: Interactions, valid: Interactions, metric: str) -> float:
        """The validation metric of the current weights."""
        name, k = parse_metric(metric)
        return self._measure(train, valid, train.matrix, [k])[f"{name}@{k}"]


def nothing_of(histories: Interactions) -> Csr:
    """A matrix of the same shape without entries."""
    return cast(Csr, sparse.csr_array(histories.matrix.shape, dtype=np.float32))


def union(one: Csr, other: Csr) -> Csr:
    """The cells stored in either matrix, with sorted indices."""
    both: Csr = sparse.csr_array(one + other)
    both.sort_indices()
    return both
