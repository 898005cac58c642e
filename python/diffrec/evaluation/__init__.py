"""How good ranked lists are."""

from diffrec.evaluation.beyond_accuracy import coverage, intra_list_diversity, novelty, self_information, share
from diffrec.evaluation.report import METRICS, Report, measure, parse_metric

__all__ = [
    "METRICS",
    "Report",
    "coverage",
    "intra_list_diversity",
    "measure",
    "novelty",
    "parse_metric",
    "self_information",
    "share",
]
