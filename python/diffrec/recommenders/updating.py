"""Beginnings at a fitted model: new interactions joined with those it knows, and where everything stands in it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from diffrec.checks import shown
from diffrec.data import Csr, Ids, Interactions, binary, owners_of
from diffrec.data._table import is_table
from diffrec.data.features import FactFeatures
from diffrec.recommenders.histories import as_interactions, learnt_from

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender

#: Passes of an update as a share of those that the fit's best weights took.
SHARE = 0.1
# Known items that what a model learnt of a new one is first taken from.
_ALIKE = 20
_KINDS = {"i": "integers", "U": "strings"}


@dataclass(frozen=True)
class Start:
    """Where a fit begins: at what another model of the same kind has learnt.

    Attributes
    ----------
    model : Recommender
        The fitted one.
    train : Interactions
        What is to be learnt from now.
    users, items : int64 (users,), (items,)
        The rows of these users and items in the model, -1 for those that it does not know.
    """

    model: "Recommender"
    train: Interactions
    users: NDArray[np.int64]
    items: NDArray[np.int64]

    @classmethod
    def of(cls, model: "Recommender", train: Interactions) -> "Start":
        """Find the users and items of the data in the model, by id."""
        known = model.train_
        return cls(model, train, known.users.find(train.users), known.items.find(train.items))

    @cached_property
    def likeness(self) -> Csr:
        """Known items that are like each new one, float64 (new items, model's items); rows sum to 1, or to 0 for none.

        They are those with the greatest cosine between the columns of the data; where a new item shares no user with a
        known one, between what facts say of them. A few of each are kept.
        """
        new, known = np.flatnonzero(self.items < 0), np.flatnonzero(self.items >= 0)
        by_item = sparse.csr_array(binary(self.train.matrix).astype(np.float64).T)
        common = sparse.csr_array(by_item[new] @ by_item[known].T)
        owners = np.maximum(np.diff(by_item.indptr), 1)
        rows = owners_of(common)
        common.data = common.data / np.sqrt(owners[new][rows] * owners[known][common.indices])
        alone = np.flatnonzero(np.diff(common.indptr) == 0)
        if len(alone) and self.train.item_info:
            facts = FactFeatures.of({name: column[known] for name, column in self.train.item_info.items()})
            of_all = facts.matrix(self.train.item_info, len(self.items))[:, :-1]
            said = sparse.csr_array(of_all[new[alone]] @ of_all[known].T).maximum(0)
            ones, shape = np.ones(len(alone)), (len(new), len(alone))
            placed: Any = sparse.csr_array((ones, (alone, np.arange(len(alone)))), shape=shape)
            common = sparse.csr_array(common + placed @ said)
        rows = owners_of(common)
        # The best of each row first.
        order = np.lexsort((common.indices, -common.data, rows))
        place = np.arange(len(order)) - np.repeat(common.indptr[:-1], np.diff(common.indptr))
        kept = order[(place < _ALIKE) & (common.data[order] > 0)]
        sums = np.bincount(rows[kept], common.data[kept], minlength=len(new))
        weights = common.data[kept] / sums[rows[kept]]
        columns = self.items[known][common.indices[kept]]
        shape = (len(new), self.model.train_.shape[1])
        made: Any = sparse.csr_array((weights, (rows[kept], columns)), shape=shape)
        return made  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Growth:
    """Interactions that an update has to learn, and the model that it begins with.

    Attributes
    ----------
    start : Start
        The model as it is, and all interactions, the old and the new; its users and items keep their rows.
    new : Interactions
        The new ones alone, on the same rows.
    epochs : int or None
        Passes over the data, for what learns by passes; None for a tenth of those of the fit.
    """

    start: Start
    new: Interactions
    epochs: int | None = None

    @classmethod
    def of(cls, model: "Recommender", new: Any, epochs: int | None) -> "Growth":
        """Join new interactions with those of the model.

        Raises
        ------
        ValueError
            When ids are of another kind than the model's, a matrix is too small, or times are missing.
        """
        known = learnt_from(model.train_, "an update needs them")
        later = _on_ids(new, known)
        if known.timestamps is not None and later.timestamps is None:
            raise ValueError("new_interactions must have timestamps, as the model's interactions have")
        users, items = _joined(known.users, later.users, "user"), _joined(known.items, later.items, "item")
        before, after = known.align(users, items)[0], later.align(users, items)[0]
        train = before.merge(after)
        train.item_info = _facts(known, later, items)
        return cls(Start.of(model, train), after, epochs)

    def of_part(self, part: "Recommender") -> "Growth":
        """Return the same for a part of the model, which learnt from the same data."""
        return replace(self, start=replace(self.start, model=part))

    @property
    def train(self) -> Interactions:
        """All interactions."""
        return self.start.train

    @cached_property
    def changed(self) -> NDArray[np.int64]:
        """Rows of the users whose histories are other ones now."""
        said = self.new.matrix if not self.new.n_dislikes else self.new.signed_matrix
        return np.flatnonzero(np.diff(said.indptr))

    @cached_property
    def before(self) -> Interactions:
        """The histories that the model knows of the changed users, (changed, items)."""
        known = self.start.model.train_
        return known.align(self.train.users[self.changed], self.train.items)[0]

    @property
    def after(self) -> Interactions:
        """The histories of the changed users now, (changed, items)."""
        return self.train.take(self.changed)

    def passes(self) -> int:
        """Passes over the data that the update takes, where it learns by passes."""
        return self.epochs or max(1, round(SHARE * passes_of(self.start.model)))


def go_on(model: "Recommender", growth: Growth, **settings: Any) -> None:
    """Have the model's fit begin with what it has learnt, by other settings than it keeps."""
    kept, model._start = model.settings, growth.start
    model.settings = kept.replaced(settings)
    try:
        model._fit(growth.train, None)
    finally:
        model.settings = kept


def passes_of(model: "Recommender") -> int:
    """Passes over the data that led to the weights of the model's fit, those of its updates aside."""
    report = model.training_
    return int(report.facts.get("fit_epochs", report.best_epoch or len(report.epochs)))


def _on_ids(new: Any, known: Interactions) -> Interactions:
    """New interactions by id; the rows and columns of a matrix are those of the model, and further ones."""
    later = as_interactions(new, "new_interactions")
    if isinstance(new, Interactions) or is_table(new):
        return later
    ids = []
    for name, mine, size in (("users", known.users, later.shape[0]), ("items", known.items, later.shape[1])):
        if size < len(mine):
            raise ValueError(
                f"new_interactions must have at least the {name} of the training data, {len(mine)}, got {size}: a "
                "matrix has a row for each user and a column for each item"
            )
        if size > len(mine) and mine != Ids.numbered(len(mine), mine.name):
            raise ValueError(
                f"new_interactions has {size} {name} and the model {len(mine)}, which have ids: give new ones theirs, "
                "by Interactions.from_arrays or a frame"
            )
        ids.append(mine if size == len(mine) else Ids.numbered(size, mine.name))
    return later.with_ids(*ids)


def _joined(known: Ids, later: Ids, name: str) -> Ids:
    """The ids that the model knows in their rows, then those that it does not."""
    if known.ids.dtype.kind != later.ids.dtype.kind:
        raise ValueError(
            f"new_interactions has {name} ids that are {_KINDS[later.ids.dtype.kind]}, such as {shown(later[0])}, and "
            f"the model's are {_KINDS[known.ids.dtype.kind]}, such as {shown(known[0])}"
        )
    fresh = later.ids[known.find(later) < 0]
    return known if len(fresh) == 0 else Ids.trusted(np.concatenate([known.ids, fresh]), name)


def _facts(known: Interactions, later: Interactions, items: Ids) -> dict[str, NDArray[Any]]:
    """Facts about the items: the model's, and those of new items where they are said; empty, or NaN, where not."""
    added = items.ids[len(known.items) :]
    found = later.items.find(added) if len(added) else np.zeros(0, dtype=np.int64)
    info: dict[str, NDArray[Any]] = {}
    for name, column in known.item_info.items():
        said = later.item_info.get(name)
        if said is None:
            empty: Any = "" if column.dtype.kind == "U" else np.nan
            rest = np.full((len(added), *column.shape[1:]), empty)
        else:
            rest = said[found]
        if len(added) and column.dtype.kind != rest.dtype.kind and "U" in (column.dtype.kind, rest.dtype.kind):
            column, rest = column.astype(np.str_), rest.astype(np.str_)
        info[name] = np.concatenate([column, rest]) if len(added) else column
    return info
