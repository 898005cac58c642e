"""How good ranked lists are."""

from diffrec.evaluation.report import METRICS, Report, measure, parse_metric

__all__ = ["METRICS", "Report", "measure", "parse_metric"]
