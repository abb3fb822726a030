"""What a run did, and what went wrong in it."""

from helpers.sync.report.problems import Problem, problems_of, shared_problems
from helpers.sync.report.report import Rejection, Report
from helpers.sync.report.told import Told

__all__ = ["Problem", "Rejection", "Report", "Told", "problems_of", "shared_problems"]
