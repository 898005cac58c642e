"""The trade-off of guidance: what it gains, and the accuracy it pays."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from diffrec._tensors import on_host
from diffrec.checks import whole
from diffrec.data import union
from diffrec.evaluation import coverage, intra_list_diversity, novelty, self_information, share
from diffrec.recommenders import Recommender
from diffrec.recommenders.guidance import Guidance
from diffrec.recommenders.histories import align
from diffrec.recommenders.rankings import measured

# The metric that each kind of guidance is meant to move.
GAINS = {"novelty": "novelty", "diversity": "diversity", "steer": "share"}


def tradeoff(
    model: Recommender,
    test: Any,
    *,
    novelty_weights: Sequence[float] = (0, 0.1, 0.2, 0.5, 1),
    diversity_weights: Sequence[float] = (0, 1, 2, 5, 10),
    steer: Mapping[Any, float] | None = None,
    steer_weights: Sequence[float] = (0, 0.5, 1, 2, 4),
    tags: Mapping[Any, Iterable[Any]] | None = None,
    seen: Any = None,
    k: int = 20,
) -> list[dict[str, Any]]:
    """Measure accuracy against what is gained, over a grid of weights of each kind of guidance.

    Parameters
    ----------
    model : Recommender
        Fitted, one that can be guided.
    test : Interactions, matrix or frame
        What users did later, as for ``evaluate``.
    novelty_weights, diversity_weights : sequence of float
        Weights to try; 0 is no guidance.
    steer, tags : optional
        As for ``recommend``; without ``steer`` there is no such kind.
    steer_weights : sequence of float
        Multiples of the weights in ``steer``.
    seen : the same kinds as ``test``, optional
        Items not to rank besides those of the training data.
    k : int
        Length of the lists.

    Returns
    -------
    list of dict
        A row per kind and weight: ``guidance``, ``weight``, ``ndcg`` and ``recall`` of the lists, ``novelty`` (mean
        self-information, bits), ``diversity`` (mean of 1 - cosine of a list's pairs, of the model's item vectors),
        ``coverage`` of the catalogue, ``share`` of items that are steered to (NaN without).

    Raises
    ------
    TypeError
        When the model cannot be guided.

    Examples
    --------
    >>> import diffrec
    >>> train, _, test = diffrec.datasets.synthetic(users=60, items=40, seed=1).split()
    >>> model = diffrec.DiffRec(dims=(16,), epochs=5, progress=False).fit(train)
    >>> rows = tradeoff(model, test, novelty_weights=(0, 1), diversity_weights=(0,), k=5)
    >>> [row["guidance"] for row in rows], rows[1]["novelty"] > rows[0]["novelty"]
    (['novelty', 'novelty', 'diversity'], True)
    """
    k = whole(1)("k", k)
    train = model._fitted().train_
    if not model.can_be_guided:
        raise TypeError(f"model must be one that can be guided, as DiffRec can, and {type(model).__name__} cannot")
    later, _ = align(test, train, "test")
    masked = train.matrix if seen is None else union(train.matrix, align(seen, train, "seen")[0].matrix)
    asked: list[tuple[str, float, dict[str, Any]]] = [("novelty", w, {"novelty": w}) for w in novelty_weights]
    asked += [("diversity", w, {"diversity": w}) for w in diversity_weights]
    chosen = np.zeros(len(train.items), dtype=np.bool_)
    if steer:
        scaled = [(w, {name: w * weight for name, weight in steer.items()}) for w in steer_weights]
        asked += [("steer", w, {"steer": weights, "tags": tags}) for w, weights in scaled]
        towards = Guidance.of(train, steer, tags)
        if towards is not None and towards.direction is not None:
            chosen = towards.direction > 0
    wishes = [(kind, weight, Guidance.of(train, **wish)) for kind, weight, wish in asked]  # all checked before any work
    bits, vectors = self_information(train.matrix), on_host(model._item_vectors())
    rows = []
    for kind, weight, guidance in wishes:
        report = measured(model, train, later, masked, [k], guidance=guidance)
        ranked = report.ranked
        rows.append(
            {
                "guidance": kind,
                "weight": float(weight),
                "ndcg": report[f"ndcg@{k}"],
                "recall": report[f"recall@{k}"],
                "novelty": novelty(ranked, bits),
                "diversity": intra_list_diversity(ranked, vectors),
                "coverage": coverage(ranked, len(train.items)),
                "share": share(ranked, chosen) if chosen.any() else float("nan"),
            }
        )
    return rows
