"""Error types of the export.

ExportError         a bundle cannot be made
├── AdoptionError   a model trained elsewhere does not fit a bundle, or lacks information
├── EngineError     TensorRT cannot build the engine
├── ParityError     the exported model is not the trained one
└── PrecisionError  a precision does not exist, or cannot be made of this model
"""

from __future__ import annotations


class ExportError(Exception):
    """A bundle cannot be made."""

    exit_code = 2


class ParityError(ExportError):
    """The exported model is not the trained one."""


class AdoptionError(ExportError):
    """A model trained elsewhere does not fit a bundle, or lacks information."""


class PrecisionError(ExportError):
    """A precision does not exist, or cannot be made of this model."""


class EngineError(ExportError):
    """TensorRT cannot build the engine."""
