"""From scores to ranked items, a block of users by a block of items at a time."""

from diffrec.ranking.blockwise import NO_ITEM, top_k
from diffrec.ranking.scores import (
    AddedScores,
    DenseScores,
    LinearScores,
    NoisyScores,
    Scores,
    SparseItemScores,
    SparseScores,
    WeightedScores,
)
from diffrec.ranking.statistics import deviations, ranks_at, scores_at, top_k_among

__all__ = [
    "NO_ITEM",
    "AddedScores",
    "DenseScores",
    "LinearScores",
    "NoisyScores",
    "Scores",
    "SparseItemScores",
    "SparseScores",
    "WeightedScores",
    "deviations",
    "ranks_at",
    "scores_at",
    "top_k",
    "top_k_among",
]
