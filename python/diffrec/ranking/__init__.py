"""From scores to ranked items, a block of users by a block of items at a time."""

from typing import TYPE_CHECKING

from diffrec._lazy import lazy_names
from diffrec.ranking.blockwise import NO_ITEM, scores_at, top_k, top_k_among
from diffrec.ranking.scores import Factors, FactorScores, Scores, SharedScores, SparseScores, SumScores

if TYPE_CHECKING:
    from diffrec.ranking.statistics import deviations, ranks_at
    from diffrec.ranking.tensor_scores import (
        AddedScores,
        DenseScores,
        LinearScores,
        NoisyScores,
        SparseItemScores,
        WeightedScores,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "diffrec.ranking.statistics": ["deviations", "ranks_at"],
            "diffrec.ranking.tensor_scores": [
                "AddedScores",
                "DenseScores",
                "LinearScores",
                "NoisyScores",
                "SparseItemScores",
                "WeightedScores",
            ],
        },
    )

__all__ = [
    "NO_ITEM",
    "AddedScores",
    "DenseScores",
    "FactorScores",
    "Factors",
    "LinearScores",
    "NoisyScores",
    "Scores",
    "SharedScores",
    "SparseItemScores",
    "SparseScores",
    "SumScores",
    "WeightedScores",
    "deviations",
    "ranks_at",
    "scores_at",
    "top_k",
    "top_k_among",
]
