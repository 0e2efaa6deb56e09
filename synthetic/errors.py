"""What can go wrong for a caller of this package.

SyntheticError            exit_code = 2
├── InvalidRequest        a number outside of its range
├── FolderRefused         the output folder holds something else
└── DrawingStopped        a drawing process ended early
"""


class SyntheticError(Exception):
    """Root of the package's errors; commands print its one line and leave with `exit_code`."""

    exit_code = 2


class InvalidRequest(SyntheticError):
    """A value is outside of its range; the message names it, the range and the remedy."""


class FolderRefused(SyntheticError):
    """The output folder is not empty and is not this very drawing."""


class DrawingStopped(SyntheticError):
    """A worker process ended before its images were drawn."""
