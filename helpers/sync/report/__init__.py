"""What a run did, and what went wrong in it."""

from helpers.sync.report.problems import Problem, problems_of, shared_problems
from helpers.sync.report.published_rules import Sort, not_matched, not_to_be_matched, sort_of, sorted_by
from helpers.sync.report.report import Rejection, Report
from helpers.sync.report.told import Told

__all__ = [
    "Problem",
    "Rejection",
    "Report",
    "Sort",
    "Told",
    "not_matched",
    "not_to_be_matched",
    "problems_of",
    "shared_problems",
    "sort_of",
    "sorted_by",
]
