"""Data sets to begin with: a generated world and MovieLens."""

from diffrec.datasets.movielens import movielens
from diffrec.datasets.synthetic import synthetic

__all__ = ["movielens", "synthetic"]
