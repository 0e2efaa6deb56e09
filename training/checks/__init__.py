"""What is wrong with a data set, before hours are spent on it. A new check is a function and a line in CHECKS."""

from vitreid.training.checks.findings import CHECKS, Finding, check
from vitreid.training.checks.published import PUBLISHED
from vitreid.training.checks.scan import scan

__all__ = ["CHECKS", "PUBLISHED", "Finding", "check", "scan"]
