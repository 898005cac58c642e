"""From scores to ranked items, a block of users by a block of items at a time."""

from diffrec.ranking.blockwise import NO_ITEM, top_k
from diffrec.ranking.scores import LinearScores, NoisyScores, Scores, SparseScores

__all__ = ["NO_ITEM", "LinearScores", "NoisyScores", "Scores", "SparseScores", "top_k"]
