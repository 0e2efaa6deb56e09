"""Types of fields in bodies and files from callers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from vitreid.service.values.texts import LABEL_PATTERN, LONGEST_LABEL, label_fault

MAX_ID = 2**63 - 1

BODY = ConfigDict(extra="forbid", frozen=True, strict=True)
"""Strict: `true` is not the item 1, nor "30" a number of days."""


def _label(given: str) -> str:
    if (fault := label_fault(given)) is not None:
        raise PydanticCustomError("label", "A label {fault}", {"fault": fault})
    return given


LabelText = Annotated[
    str,
    AfterValidator(_label),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL, "pattern": LABEL_PATTERN}),
]
"""A label that is stored."""
Named = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
"""A label to search for: also one that an older version stored."""
