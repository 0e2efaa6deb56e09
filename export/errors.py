"""What can go wrong between a checkpoint and a bundle.

ExportError         a bundle cannot be made
├── AdoptionError   a model that others made is not one that a bundle can hold, or says too little of itself
├── EngineError     TensorRT cannot build what was asked for
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
    """A model that others made is not one that a bundle can hold, or says too little of itself."""


class PrecisionError(ExportError):
    """A precision does not exist, or cannot be made of this model."""


class EngineError(ExportError):
    """TensorRT cannot build what was asked for."""
