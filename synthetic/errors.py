"""Errors of drawing.

SyntheticError            exit_code = 2
├── InvalidRequest        a value outside its range
├── FolderRefused         the output folder holds something else
└── DrawingStopped        a drawing process ended early
"""


class SyntheticError(Exception):
    """The base class of the package's errors; commands print the message and exit with `exit_code`."""

    exit_code = 2


class InvalidRequest(SyntheticError):
    """A value is outside its range."""


class FolderRefused(SyntheticError):
    """The output folder holds something other than the requested data set."""


class DrawingStopped(SyntheticError):
    """A worker process ended before its images were drawn."""
