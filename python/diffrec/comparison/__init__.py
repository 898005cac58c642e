"""Several recommenders on the same splits, and whether their differences are more than luck."""

from diffrec.comparison.average_ranks import Comparisons
from diffrec.comparison.interface import DEFAULT_VARIANTS, compare, metric_cut, require_way
from diffrec.comparison.intervals import CONFIDENCE, bootstrap_interval
from diffrec.comparison.table import Comparison

__all__ = [
    "CONFIDENCE",
    "DEFAULT_VARIANTS",
    "Comparison",
    "Comparisons",
    "bootstrap_interval",
    "compare",
    "metric_cut",
    "require_way",
]
