"""What a run did, and what went wrong in it."""

from helpers.sync.report.problems import Problem, problems_of, shared_problems
from helpers.sync.report.report import Rejection, Report

__all__ = ["Problem", "Rejection", "Report", "problems_of", "shared_problems"]
