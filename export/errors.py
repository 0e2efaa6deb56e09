"""What can go wrong between a checkpoint and a bundle.

ExportError         a bundle cannot be made
└── ParityError     the exported model is not the trained one
"""

from __future__ import annotations


class ExportError(Exception):
    """A bundle cannot be made."""

    exit_code = 2


class ParityError(ExportError):
    """The exported model is not the trained one."""
