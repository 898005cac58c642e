"""A recommender's quality as one number, by which scikit-learn's searches pick settings."""

from dataclasses import dataclass
from typing import Any

from diffrec.checks import flag, one_of, real, whole
from diffrec.data import Interactions
from diffrec.data._table import is_table
from diffrec.evaluation import MAXIMISED, measure, parse_metric
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.histories import fold_in


@dataclass(frozen=True)
class Scorer:
    """A metric as scikit-learn's ``scoring``; a recommender's own ``score`` gives the scores of all items.

    What the rows of the data are decides what is measured, since scikit-learn splits rows:

    * A data frame has an interaction per row. Users are known from the rest of their interactions, and those in the
      held-out rows are to be found, as by ``evaluate``; what a model was fitted on it never ranks, so that a *training*
      score is 0.
    * ``Interactions`` and matrices have a user per row. Those in the held-out rows are people the model never saw: a
      part of each history is hidden and is to be found from the rest (Liang et al. 2018, section 4.3).

    Parameters
    ----------
    metric : str
        Such as ``"ndcg@20"``: one of which more is better.
    hidden : float
        Share of each history to hide, above 0 and below 1, where the rows are users.
    by : {"time", "random", "leave-last"}, optional
        Which part is hidden; by default the newest where there are timestamps.
    seed : int
        Of the draw where it is random.
    exclude_seen : bool
        Ask what users discover; False asks what they take next, old or new.

    Raises
    ------
    TypeError, ValueError
        When one of these is impossible.

    Examples
    --------
    >>> import diffrec
    >>> from sklearn.model_selection import GridSearchCV
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> search = GridSearchCV(diffrec.ItemKNN(), {"neighbors": [5, 20]}, scoring=Scorer("ndcg@10"), cv=3)
    >>> search.fit(data).best_estimator_.recommend(k=5).items.shape
    (60, 5)
    """

    metric: str = "ndcg@20"
    hidden: float = 0.2
    by: str | None = None
    seed: int = 0
    exclude_seen: bool = True

    def __post_init__(self) -> None:
        parse_metric(self.metric, MAXIMISED)
        real(0, 1, open_low=True, open_high=True)("hidden", self.hidden)
        one_of((None, "time", "random", "leave-last"))("by", self.by)
        whole(0)("seed", self.seed)
        flag("exclude_seen", self.exclude_seen)

    def __call__(self, model: Recommender, data: Any, y: object = None) -> float:  # noqa: ARG002 - scikit-learn's
        """Measure a fitted model on held-out rows."""
        if is_table(data):
            return model.evaluate(data, exclude_seen=self.exclude_seen, k=[parse_metric(self.metric)[1]])[self.metric]
        items = model.train_.items
        histories = data.align(items=items)[0] if isinstance(data, Interactions) else fold_in(data, items)
        return self._of_strangers(model, histories)

    def _of_strangers(self, model: Recommender, histories: Interactions) -> float:
        k = parse_metric(self.metric)[1]
        known, _, hidden = histories.split(by=self.by, valid=0, test=self.hidden, seed=self.seed)
        rows = (hidden.matrix.indptr[1:] > hidden.matrix.indptr[:-1]).nonzero()[0]
        if len(rows) == 0:
            raise ValueError(f"data holds no history long enough to hide a share of {self.hidden:g} of it")
        top = model.recommend(known.take(rows), k=k, exclude_seen=self.exclude_seen)
        return measure(top.item_rows, hidden.matrix[rows], top.users, [k]).means[self.metric]
