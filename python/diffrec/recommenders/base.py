"""The interface every recommender shares, and all of it that does not depend on how scores come about."""

import inspect
import os
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from diffrec._shown import fact, facts_as_html
from diffrec._tensors import Array, on_host, without_gradients
from diffrec.checks import cuts, flag, one_of, whole
from diffrec.data import Csr, Interactions, empty_like, unit_rows
from diffrec.data._summary import heading
from diffrec.data.facts import fact_table
from diffrec.data.stored import Stored
from diffrec.data.time_weights import require_past
from diffrec.evaluation import By, Report, parse_metric
from diffrec.ranking import FactorScores, Scores, top_k
from diffrec.recommenders.cold import ColdUsers, FactMap, cold_items_of
from diffrec.recommenders.evaluating import evaluated
from diffrec.recommenders.explanation import Explanation, Reasons, explanations
from diffrec.recommenders.guidance import Best, Guidance
from diffrec.recommenders.histories import Asked, Reading, is_histories, learnt_from
from diffrec.recommenders.learning import learn, learn_more
from diffrec.recommenders.limits import ItemsOrByUser, Limits
from diffrec.recommenders.model_file import Saved, write
from diffrec.recommenders.rankings import best_items, measured, popular_items
from diffrec.recommenders.results import Top
from diffrec.recommenders.scoring import item_vectors_of, scores_of, user_vectors_of
from diffrec.recommenders.settings import Settings, scikit_learn_tags
from diffrec.recommenders.updating import Growth, Start
from diffrec.training import Checkpoint, TrainingReport
from diffrec.training.checkpoint import EPOCH
from diffrec.training.share import ALONE, Share

if TYPE_CHECKING:
    from torch import Tensor

# Histories, and what finds their best items, which guidance looks at -> guided scores.
GuidedScores = Callable[[Interactions, Best], Scores]


class Recommender(metaclass=ABCMeta):
    """Learns from interactions and ranks items for users.

    A subclass says how it is fitted (``_fit``), how it scores histories (``_scores``), and what its state is
    (``_state``, ``_restore``). Settings are plain keyword names; see each class for its own.

    Once fitted, a model may be used by several threads at once; fit it in one alone.

    Attributes
    ----------
    settings : Settings
        Checked settings: those the model was fitted with, or before that those it will be fitted with.
    train_ : Interactions
        What the model was fitted on; its histories are what known users are scored by.
    training_ : TrainingReport
        Losses and validation metrics by epoch; empty where there are no epochs.
    """

    # Whether the seed has no say.
    seedless: ClassVar[bool] = False
    # Whether several processes may share it, whatever is set.
    _spreads: ClassVar[bool] = False
    settings_type: ClassVar[type[Settings]] = Settings

    settings: Settings
    # Those of the next fit: they differ from the others where settings were changed after a fit.
    _wanted: Settings
    train_: Interactions
    training_: TrainingReport
    # Of the fit that goes on, if it is to have one: where it keeps its state, and the weights that it begins with.
    _checkpoint: Checkpoint | None = None
    _start: Start | None = None
    # What facts about the items say of their scores, made of the weights when it is first asked for.
    _by_facts: FactMap | None = None
    # What of the model is in this process.
    _share: Share = ALONE

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Let ``help()`` and completion show the settings, which are written down once, in ``settings_type``."""
        super().__init_subclass__(**keywords)
        cls.__signature__ = cls.settings_type.signature()  # type: ignore[attr-defined]
        cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\n{cls.settings_type.description()}\n"

    def __init__(self, **settings: Any) -> None:
        self.settings = self._wanted = self.settings_type.of(settings)

    @property
    @abstractmethod
    def variant(self) -> str:
        """Name of the variant in ``diffrec.fit``; a class with one name sets it as an attribute."""

    # -- settings, by scikit-learn's conventions but without needing it ------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's signature
        """Return the settings of the next fit by name."""
        return self._wanted.values()

    def set_params(self, **settings: Any) -> Self:
        """Change settings of the next fit; nothing changes if one of them is wrong.

        A fitted model goes on answering by the settings it was fitted with.

        Examples
        --------
        >>> import diffrec
        >>> model = diffrec.EASE(l2=1.0).fit(np.array([[1, 1, 0], [0, 1, 1]])).set_params(l2=9.0)
        >>> model.settings.l2, model.get_params()["l2"]
        (1.0, 9.0)
        """
        self._wanted = self._wanted.replaced(settings)
        if not hasattr(self, "train_"):
            self.settings = self._wanted
        return self

    def __repr__(self) -> str:
        default = self.settings_type().values()
        changed = [f"{k}={v!r}" for k, v in self._wanted.values().items() if repr(v) != repr(default[k])]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _repr_html_(self) -> str:
        facts: dict[str, Any] = {"variant": self.variant}
        if hasattr(self, "train_"):
            facts["learnt from"] = heading(self.train_)
            if self.training_.epochs:
                facts["epochs"] = f"{len(self.training_.epochs)}, the best of them {self.training_.best_epoch}"
            if self.training_.best_validation is not None:
                facts[f"validation {self.training_.metric}"] = self.training_.best_validation
            facts |= {name: fact(name, value) for name, value in self.training_.facts.items()}
        return facts_as_html(facts, repr(self))

    @property
    def n_features_in_(self) -> int:
        """Columns of the matrix it was fitted on: its items."""
        return self.train_.shape[1]

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, which alone calls this, what data the recommender takes."""
        return scikit_learn_tags()

    # -- fitting -------------------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        valid: Any = None,
        *,
        init: "Recommender | None" = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: str | float | timedelta = EPOCH,
    ) -> Self:
        """Learn from interactions.

        Parameters
        ----------
        data : Interactions, matrix or data frame; or files
            Users x items; a matrix of SciPy, NumPy or torch. Frames need columns whose names say user and item. The
            path of a folder that ``diffrec prepare`` made, or ``ParquetInteractions``, is read block by block where
            the settings allow it, and the model keeps no histories.
        valid : the same kinds, optional
            Later interactions of the same users, on which models that train by epochs stop early. A matrix must have
            the shape of ``data``; ``Interactions`` are matched by id.
        init : Recommender, optional
            A fitted one of the same class and widths, whose weights this fit begins with. Users and items are matched
            by id; an item that it does not know begins with what it has learnt of items like it. What has a closed
            form is the same wherever it begins.
        checkpoint : str or Path, optional
            A file that keeps the state of the training. Where it is there already, the fit goes on from it, and ends,
            on a processor, with the bits that it would have ended with had it never stopped; a fit that is over comes
            back at once. ``time_limit`` counts the time of all runs together, and what ends by the clock is never
            the same to the bit.
        every : "epoch", seconds, str or timedelta
            How often it is written: at the end of every epoch, or of the first after so much time, as ``"5min"``.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            When ``data`` is none of these.
        CheckpointError
            When ``checkpoint`` is of other data or settings, which it names, or no checkpoint.
        ValueError
            When its content is impossible; nothing has changed then.
        KeyboardInterrupt
            When it is interrupted. Its ``partial`` is a fitted recommender with the best weights so far, or those that
            training had come to where nothing was validated; None before the end of the first epoch, and for what has
            no epochs. This recommender stays as it was.

        Examples
        --------
        >>> import diffrec, tempfile
        >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = diffrec.DiffRec(dims=(8,), epochs=2).fit(data, checkpoint=f"{folder}/fit.checkpoint")
        ...     again = diffrec.DiffRec(dims=(8,), epochs=2).fit(data, checkpoint=f"{folder}/fit.checkpoint")
        >>> bool((model.score() == again.score()).all())
        True
        """
        learn(self, data, valid, init, checkpoint, every)
        return self

    def update(
        self,
        new_interactions: Any,
        *,
        epochs: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: str | float | timedelta = EPOCH,
    ) -> Self:
        """Learn from further interactions, networks and iALS in a fraction of the time of a fit.

        New users and items get rows after those there are, and events of known users join their histories. What is
        trained goes on from its weights for a few epochs over all histories; a new item begins with what was learnt of
        the items that its users have, too. What has a closed form ends as a fit on everything would.

        Parameters
        ----------
        new_interactions : Interactions, matrix or data frame
            What was done since, matched by id. Rows and columns of a matrix are those of the model; further ones are
            new, where the model's ids are numbers of rows and columns.
        epochs : int, optional
            Passes over the data, of what learns by passes (sweeps of "ials"); by default a tenth of those that the
            fit's best weights took. What has a closed form has none.
        checkpoint, every
            As for ``fit``: the same call on the same model goes on where it was.

        Returns
        -------
        self
            With all interactions in ``train_``.

        Raises
        ------
        TypeError
            When ``new_interactions`` is none of these.
        ValueError
            When ids are of another kind than the model's, a matrix is too small, or times are missing that the model's
            data have. Nothing has changed then.
        KeyboardInterrupt
            When it is interrupted; ``partial`` is as ``fit`` has it, and this model stays as it was.

        Examples
        --------
        >>> import diffrec
        >>> bought = diffrec.Interactions.from_arrays(["ann", "ann", "bob", "bob"], ["tea", "milk", "tea", "salt"])
        >>> model = diffrec.fit(bought, variant="itemknn")
        >>> later = diffrec.Interactions.from_arrays(["cat", "cat", "ann"], ["tea", "rice", "salt"])
        >>> model.update(later).recommend(["bob"], k=2).items
        array([['milk', 'rice']], dtype='<U4')
        """
        learn_more(self, new_interactions, epochs, checkpoint, every)
        return self

    def _refuse_streams(self) -> None:
        """Refuse to learn from files where these settings need everything in memory."""
        raise TypeError(
            f"{self.variant} needs all interactions in memory, and the data is in files: read it by "
            "ParquetInteractions(...).read(), or train variant='diffrec', 'multidae' or 'multivae'"
        )

    def _chosen_on_validation(self) -> dict[str, Any]:
        """Return settings that validation chose, which a fit that holds nothing out cannot choose again."""
        return {}

    # -- what a recommender has to say ---------------------------------------------------------------------------------

    @abstractmethod
    def _fit(self, train: Interactions, valid: Interactions | None) -> None:
        """Learn: set the fitted state, and ``training_`` where there are epochs."""

    def _update(self, growth: Growth) -> None:
        """Learn from new interactions beside those known; as ``_fit``, with ``growth.train`` in ``train_`` already.

        A fit on everything, where nothing of the old one can be gone on from.
        """
        self._fit(growth.train, None)

    @abstractmethod
    def _scores(self, block: Interactions) -> Scores:
        """Score every item for each of the histories ``block``, whose columns are the model's items."""

    @abstractmethod
    def _state(self) -> Mapping[str, Array]:
        """Return the fitted state as named arrays or tensors."""

    @abstractmethod
    def _restore(self, state: Stored) -> None:
        """Take the fitted state back, saying what each array must be; ``settings`` and ``train_`` are set already."""

    def _reading(self) -> Reading:
        """Say what the model reads of each item of a history."""
        return Reading()

    def _read(self, block: Interactions) -> Csr:
        """Return the weights that the model reads of histories, (n, views * items)."""
        return self._reading().weights(block)

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:  # noqa: ARG002
        """Say where the scores of some items come from for the one user of ``one``."""
        raise TypeError(f"{type(self).__name__} cannot explain its scores: they are no function of a history alone")

    @property
    def can_be_guided(self) -> bool:
        """Whether ``recommend`` takes ``steer``, ``novelty`` and ``diversity``."""
        return False

    def _guide(self, guidance: Guidance) -> GuidedScores:  # noqa: ARG002
        """Prepare what scores under guidance, once for any number of blocks of users."""
        raise TypeError(
            f"{type(self).__name__} cannot be guided: steer, novelty and diversity are for DiffRec, and for stacks "
            "with item vectors"
        )

    def _item_vectors(self) -> Array:
        """Return vectors (items, width) whose cosine says how alike two items are."""
        raise TypeError(f"{type(self).__name__} has no item vectors to compare")

    def _alike(self, rows: NDArray[np.int64]) -> Scores:
        """Score how alike the items in these rows are to every item."""
        vectors = on_host(self._item_vectors())
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.maximum(lengths, 1e-12)
        return FactorScores(unit[rows], unit)

    # -- using ---------------------------------------------------------------------------------------------------------

    def recommend(
        self,
        users: Any = None,
        k: int = 20,
        *,
        exclude_seen: bool = True,
        allow: ItemsOrByUser = None,
        deny: ItemsOrByUser = None,
        candidates: Mapping[Any, Iterable[Any]] | None = None,
        unknown: Literal["error", "skip", "popular"] = "error",
        strict: bool = False,
        now: float | date | str | None = None,
        steer: Mapping[Any, float] | None = None,
        tags: Mapping[Any, Iterable[Any]] | None = None,
        novelty: float = 0.0,
        diversity: float = 0.0,
        cold_items: Any = None,
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
            Leave out what is in a user's history. What a user dislikes is left out in any case.
        allow : item ids, or mapping of user to item ids, optional
            Recommend only these; by a mapping to each user theirs, and everything to who is not named.
        deny : item ids, or mapping of user to item ids, optional
            Never recommend these.
        candidates : mapping of user to item ids, optional
            Rank these alone, for each user theirs; without ``users`` for those it names.
        unknown : {"error", "skip", "popular"}
            What becomes of users that the model does not know: they are refused, left out, or get what most users have.
        strict : bool
            Refuse items that the model does not know in ``allow``, ``deny``, ``candidates`` and histories, and users
            named there that nobody is, instead of leaving them out with one warning that counts them. Where histories
            are handed in, limits may be of others, too: one mapping may serve for many of them.
        now : seconds since the epoch, datetime or ISO 8601 text, optional
            The moment of serving: ages by the clock are counted from it instead of from each history's newest
            interaction. For models that count them so, by a ``half_life`` or ``time_scales`` in timedelta. It may not
            be before an interaction of who is asked about.
        steer : mapping of item or tag to weight, optional
            Push items up, or down with a weight below 0: item ids, names of ``tags``, or what a text column of the
            data's ``item_info`` says of them, such as a genre. Only diffusion models, and stacks with a part that has
            item vectors, can be guided, by this and the next two: at every step of the reverse chain, on predicted
            x_0; a forecast has one step. Every weight counts in standard deviations of a user's own scores, without
            guidance, of what is not in the history; 0 changes and costs nothing.
        tags : mapping of name to item ids, optional
            Names for sets of items, for ``steer``.
        novelty : float
            Push against popularity: the weight of -log2 of an item's popularity, standardised over the items. Below 0
            it pushes towards what is popular.
        diversity : float
            Push the items of a list apart: what an item loses that is wholly like the others (by the cosine of
            ``similar_items``), at least 0. About ten times the work of a ranking.
        cold_items : frame, mapping of columns, or path, optional
            Items that nobody has touched, to be ranked beside the others: a row for each, with an id and facts by the
            names of those in the data's ``item_info``. What such an item scores is learnt from the facts of the known
            ones; ``allow``, ``deny`` and ``candidates`` may name it. They cannot be guided.

        Returns
        -------
        Top
            ``users`` (n,), ``items`` (n, k) and ``scores`` (n, k): score descending, then item row ascending.

        Raises
        ------
        ValueError
            When ``k`` is below 1, a user, item or tag is unknown, a weight is not finite, or ``now`` is before an
            interaction.
        TypeError
            When a model without a reverse chain is to be guided, or one that counts no ages by the clock gets ``now``.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.Interactions.from_arrays(["Ann", "Bob", "Bob"], ["tea", "tea", "milk"])
        >>> model = diffrec.fit(data, variant="popularity")
        >>> model.recommend(["Ann"], k=1).items
        array([['milk']], dtype='<U4')
        """
        k, train = whole(1)("k", k), self._fitted().train_
        one_of(("error", "skip", "popular"))("unknown", unknown)
        exclude_seen = flag("exclude_seen", exclude_seen)
        if users is None and isinstance(candidates, Mapping):
            users = list(candidates)
        asked = Asked.of(users, train, unknown=unknown, strict=flag("strict", strict))
        guidance = Guidance.of(train, steer, tags, novelty, diversity)
        cold = None if cold_items is None else cold_items_of(self, cold_items)
        if cold is not None and guidance is not None:
            raise ValueError("cold_items cannot be guided: leave out steer, novelty and diversity")
        distinct, first, place = np.unique(asked.rows, return_index=True, return_inverse=True)
        catalogue, titles = (train.items, train.titles) if cold is None else (cold.items, cold.titles)
        # Who lets strangers be skipped has named some, and limits may be of more people than are in these histories.
        people = None if unknown == "skip" or is_histories(users) else train.users
        limits = Limits.of(catalogue, asked.ids[first], allow, deny, candidates, known=people, strict=strict)
        histories = self._as_of(asked.histories, now, distinct[distinct >= 0])
        seen = histories.matrix if exclude_seen else empty_like(histories.matrix)
        strange = int(np.sum(distinct < 0))
        popular = popular_items(self, strange, limits.of_users(slice(strange)), k, len(catalogue))
        known = best_items(
            self, histories, distinct[strange:], k, seen, limits.of_users(slice(strange, None)), guidance, cold
        )
        items, values = (np.concatenate(parts) for parts in zip(popular, known, strict=True))
        return Top.of(asked.ids, items[place], values[place], catalogue, titles)

    def for_cold_users(self, user_facts: Any) -> ColdUsers:
        """Prepare recommendations to people of whom nothing but facts is known.

        Parameters
        ----------
        user_facts : frame, mapping of columns, or path
            Facts about users that the model knows, a row for each, with an id; what their scores have to do with them
            is learnt, once.

        Returns
        -------
        ColdUsers
            Its ``recommend(facts, k)`` ranks for people by theirs.

        Raises
        ------
        ValueError
            When fewer than two of the users have a history, their facts are the same, or the model learnt from files
            and keeps no histories.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.Interactions.from_arrays(["ann", "bob", "cat", "dan"] * 2, [0, 1, 0, 1, 2, 3, 2, 3])
        >>> model = diffrec.fit(data, variant="ials", factors=2)
        >>> known = {"user": ["ann", "bob", "cat", "dan"], "town": ["Rome", "Bonn", "Rome", "Bonn"]}
        >>> new = {"user": ["eva", "fay"], "town": ["Bonn", "Rome"]}
        >>> [sorted(top.items.tolist()) for top in model.for_cold_users(known).recommend(new, k=2)]
        [[1, 3], [0, 2]]
        """
        self._share.require_whole("for_cold_users")
        train = learnt_from(self._fitted().train_, "for_cold_users needs them")
        ids, info = fact_table(user_facts, "user", "user_facts")
        return ColdUsers.of(ids, info, train, lambda rows: self._written(train, rows))

    def _written(self, histories: Interactions, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """All scores of distinct rows of histories, (n, items)."""
        with without_gradients():
            return on_host(self._scores_of(histories, rows).block(0, self._n_items))

    @overload
    def score(
        self,
        users: Any = None,
        items: Any = None,
        *,
        now: float | date | str | None = None,
        as_tensor: Literal[False] = False,
    ) -> NDArray[np.float32]: ...
    @overload
    def score(
        self,
        users: Any = None,
        items: Any = None,
        *,
        now: float | date | str | None = None,
        as_tensor: Literal[True],
    ) -> "Tensor": ...
    def score(
        self,
        users: Any = None,
        items: Any = None,
        *,
        now: float | date | str | None = None,
        as_tensor: bool = False,
    ) -> Array:
        """Score every item for each user.

        Parameters
        ----------
        users : as for ``recommend``
        items : item ids, optional
            Score these alone, in this order; all by default.
        now : as for ``recommend``
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
        return scores_of(self, users, items, now, as_tensor=flag("as_tensor", as_tensor))

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
        self._share.require_whole("similar_items")
        rows = self._fitted().train_.items.rows(items)
        ranked, values = top_k(self._alike(rows), k, unit_rows(rows, self._n_items))
        asked, titles = self.train_.items.ids[rows], self.train_.titles
        return Top.of(asked, ranked, values, self.train_.items, titles, of_items=True)

    def item_vectors(self) -> NDArray[np.float32]:
        """Return a vector for each item, whose inner products with those of ``user_vectors`` are the model's scores.

        For an index of nearest neighbours (``diffrec.export.vectors``) or as features elsewhere: the factors of iALS
        and LightGCN, the rows of a network's last layer. A bias takes a column of its own.
        ``similar_items`` compares items by vectors or measures of its own.

        Returns
        -------
        ndarray
            float32 (items, width).

        Raises
        ------
        TypeError
            When the scores are no inner products, naming the variant: EASE, the neighbours and anchors score by
            likeness to what is in a history, and so do models and stacks with one of these in them.

        Examples
        --------
        >>> import diffrec
        >>> model = diffrec.fit(np.array([[1, 1, 0], [0, 1, 1]]), variant="ials", factors=2, progress=False)
        >>> users, items = model.user_vectors([0]), model.item_vectors()
        >>> users.shape, items.shape, bool(np.allclose(users @ items.T, model.score([0])))
        ((1, 2), (3, 2), True)
        """
        self._share.require_whole("item_vectors")
        return item_vectors_of(self._fitted())

    def user_vectors(self, users: Any = None) -> NDArray[np.float32]:
        """Return a vector for each of some users; the best items are those with the largest inner products.

        Parameters
        ----------
        users : as for ``recommend``
            Histories of people the model never saw get vectors, too.

        Returns
        -------
        ndarray
            float32 (n, width). ``user_vectors(users) @ item_vectors().T`` is what ``score`` gives, but for what a
            chain, or a forecast by ``own_views``, adds to the items of the history itself.

        Raises
        ------
        TypeError
            As ``item_vectors``.
        """
        self._share.require_whole("user_vectors")
        return user_vectors_of(self._fitted(), users)

    def explain(
        self,
        user: Any,
        item: Any,
        k: int | None = None,
        *,
        points: int = 1,
        now: float | date | str | None = None,
    ) -> Explanation:
        """Say which past items carried a score.

        Exact where the scores are linear in the history: "itemknn", "rp3beta", "ease", "ials", "anchor", and the anchor
        and the sparse correction of the diffusion models. Elsewhere a past item's part is the gradient of the score
        times the item's weight in the history, and what that leaves out is named.

        Parameters
        ----------
        user : id, row number, Interactions or matrix
            One user, as for ``recommend``.
        item : item id
            Whose score is to be explained, recommended or not.
        k : int, optional
            How many past items to name, those that count most; all by default.
        points : int
            Points at which a gradient is taken on the way from an empty history: more than 1 (such as 32) leave less to
            the remainder, for as many times the work.
        now : as for ``recommend``

        Returns
        -------
        Explanation
            Parts that sum to the score.

        Raises
        ------
        TypeError
            When the model does not say how its scores come about: "lightgcn".
        ValueError
            When the user or item is unknown, or more than one user is given.

        Examples
        --------
        >>> import diffrec
        >>> model = diffrec.fit(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]), variant="itemknn")
        >>> print(model.explain(3, 1))
        1 for 3 scores 0.6667, exactly:
          +0.6667  0
        """
        k = None if k is None else whole(1)("k", k)
        points = whole(1)("points", points)
        self._share.require_whole("explain")
        histories, row, user_id = self._one(user)
        histories = self._as_of(histories, now, np.array([row]))
        wanted = self.train_.items.rows(item)
        if len(wanted) != 1:
            raise ValueError(f"item must be one item, got {len(wanted)}")
        return self._explain(histories, row, user_id, wanted, k, points)[0]

    def evaluate(
        self,
        test: Any,
        *,
        seen: Any = None,
        exclude_seen: bool = True,
        k: int | Sequence[int] = (10, 20),
        by: By = None,
        bins: int = 5,
    ) -> Report:
        """Measure how well the known users' later interactions are predicted.

        Parameters
        ----------
        test : Interactions, matrix or frame; or files
            What users did later. A matrix must have the shape of the training
            data; ``Interactions`` are matched by id, and what the model does not know is left out and counted. The path
            of a folder that ``diffrec prepare`` made stands for its test part, whose users have the histories of its
            train part, and with ``exclude_seen`` get nothing of its valid part.
        seen : the same kinds, optional
            Items not to rank besides those of the training data, such as the validation part.
        exclude_seen : bool
            Ask what users *discover*: what they had before is neither recommended nor relevant, and the report counts
            what of ``test`` that leaves out. False asks for the *next basket*: everything in ``test`` is relevant, and
            what a user had before may be recommended again.
        k : sequence of int
            Cuts of the ranked lists.
        by : str, mapping or sequence of these, optional
            Whose figures to give besides: ``"activity"`` (of users, by how much they have), ``"popularity"`` (of items,
            by how many have them), a column of the data's ``item_info``; or facts of users by name, as ``{"country":
            {"Ann": "FR", ...}}`` or with a value for each user of the training data. ``report.groups`` has them.
        bins : int
            Groups of a fact that is a number, at most, of about as many users or items each.

        Returns
        -------
        Report
            Means over the users with relevant items, and values per user; its ``question`` says which was asked.

        Raises
        ------
        ValueError
            When ``test`` holds nothing to measure, or a fact is unknown.

        Examples
        --------
        >>> import diffrec
        >>> train, test = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[0, 1, 0], [0, 0, 1]])
        >>> diffrec.fit(train, variant="popularity").evaluate(test, k=[1])["recall@1"]
        1.0
        """
        return evaluated(self, test, seen, flag("exclude_seen", exclude_seen), cuts("k", k), by, bins)

    def save(self, path: str | Path, *, measured: bool = True) -> None:
        """Write the model to one file, which ``diffrec.load`` reads back.

        The file is complete or absent: it is written beside its place first and renamed. With ``measured=False`` it
        lacks the seconds and bytes that training took, which are all that tells apart the files of two runs of one fit.
        """
        report = self._fitted().training_
        report = report if flag("measured", measured) else report.unmeasured()
        settings = self.settings.values(saved_only=True)
        share, told = self._share, (self.variant, settings, self.train_, report)
        write(Path(path), *told, share.whole(self._state()), here=share.speaks)
        share.meet()

    @classmethod
    def _from_saved(cls, saved: Saved, share: Share = ALONE, **transient: Any) -> Self:
        model = cls(**saved.settings, **transient)
        model.spread_over(share)
        if model.variant != saved.variant:
            raise ValueError(f"its settings are those of {model.variant!r}, not of {saved.variant!r}")
        model.train_, model.training_ = saved.train, saved.training
        model._restore(saved.arrays.within("state"))
        saved.arrays.refuse_others()
        # Whatever is read of a history, such as timestamps, has to be there.
        model._read(saved.train.take(np.flatnonzero(np.diff(saved.train.matrix.indptr))[:1]))
        return model

    def spread_over(self, share: Share) -> None:
        """Make this the share of a model that several processes fit, or hold.

        Raises
        ------
        TypeError
            When it, or what is set, needs all of a model in one process.
        """
        self._share = share
        self._require_spreadable()

    def _require_spreadable(self) -> None:
        """Raise ``TypeError`` where the model is to be spread over processes, and it or its settings cannot be."""
        if not self._spreads:
            self._share.require_alone(f"variant={self.variant!r}")

    # -- shared steps --------------------------------------------------------------------------------------------------

    @property
    def _n_items(self) -> int:
        return self.train_.shape[1]

    def _fitted(self) -> Self:
        if not hasattr(self, "train_"):
            raise RuntimeError(f"this {type(self).__name__} is not fitted yet; call fit(data) first")
        return self

    def _histories(self, users: Any) -> tuple[Interactions, NDArray[np.int64], NDArray[Any]]:
        """Histories, the rows wanted in them, and their ids."""
        asked = Asked.of(users, self._fitted().train_)
        return asked.histories, asked.rows, asked.ids

    def _as_of(self, histories: Interactions, now: float | date | str | None, rows: NDArray[np.int64]) -> Interactions:
        """Histories looked at from now, of which these rows are wanted; they are as they were where now is None."""
        if now is None:
            return histories
        if not self._reading().by_clock:
            raise TypeError(
                f"now is for models that count ages by the clock, by a half_life or time_scales in timedelta, and "
                f"{self!r} does not"
            )
        histories = histories.as_of(now)
        require_past(histories.take(rows))
        return histories

    def _one(self, user: Any) -> tuple[Interactions, int, Any]:
        """Histories, the row and the id of one user, refusing several."""
        histories, rows, ids = self._histories(user)
        if len(rows) != 1:
            raise ValueError(f"user must be one user, got {len(rows)}")
        return histories, int(rows[0]), ids[0]

    def _scores_of(self, histories: Interactions, rows: NDArray[np.int64]) -> Scores:
        """Scores of distinct rows of ``histories``."""
        with without_gradients():
            return self._scores(histories.take(rows))

    def _explain(
        self, histories: Interactions, row: int, user: Any, items: NDArray[np.int64], k: int | None, points: int
    ) -> list[Explanation]:
        """Explanations of some items' scores for one user."""
        if len(items) == 0:
            return []
        one = histories.take([row])
        scores = self._scores_of(histories, np.array([row]))
        of_items = [float(scores.block(item, item + 1).item()) for item in items.tolist()]
        return explanations(self._reasons(one, items, points), user, items, of_items, one, k)

    def _validation(self, train: Interactions, valid: Interactions, metric: str) -> float:
        """The validation metric of the current weights."""
        name, k = parse_metric(metric)
        hidden = train.matrix if self.settings.repeats == "exclude" else empty_like(train.matrix)
        return measured(self, train, valid, hidden, [k])[f"{name}@{k}"]
