"""From scores to ranked items, a block of users by a block of items at a time."""

from diffrec.ranking.blockwise import NO_ITEM, top_k
from diffrec.ranking.scores import DenseScores, LinearScores, Scores, SparseScores

__all__ = ["NO_ITEM", "DenseScores", "LinearScores", "Scores", "SparseScores", "top_k"]
