"""Metrics of ranked lists: accuracy, and what lists are beyond it."""

from diffrec.evaluation.beyond_accuracy import coverage, gini, intra_list_diversity, novelty, self_information, share
from diffrec.evaluation.groups import By, Group, Grouping, Groups
from diffrec.evaluation.report import LIST_METRICS, MAXIMISED, METRICS, Catalogue, Report, measure, parse_metric

__all__ = [
    "LIST_METRICS",
    "MAXIMISED",
    "METRICS",
    "By",
    "Catalogue",
    "Group",
    "Grouping",
    "Groups",
    "Report",
    "coverage",
    "gini",
    "intra_list_diversity",
    "measure",
    "novelty",
    "parse_metric",
    "self_information",
    "share",
]
