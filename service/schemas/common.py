"""What several bodies of the REST API are made of. Scores are likenesses: nothing here claims who somebody is."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.gallery.texts import LABEL_PATTERN, LONGEST_LABEL, label_fault

NOTE = "Scores are cosine likenesses between pictures, not identities: a human decides who is shown."
MAX_ID = 2**63 - 1


# What is nearly of a field's type is a mistake and no shorthand: `true` is not the item 1, nor "30" a number of days.
BODY = ConfigDict(extra="forbid", frozen=True, strict=True)
PARAMS = ConfigDict(extra="forbid", frozen=True)
_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def _whole(given: object) -> object:
    if (isinstance(given, str) and _WHOLE.fullmatch(given)) or (isinstance(given, int) and not isinstance(given, bool)):
        return given
    raise PydanticCustomError("whole_number", "Input should be a whole number in digits")


def _number(given: object) -> object:
    if isinstance(given, str):
        if _NUMBER.fullmatch(given):
            return given
    elif isinstance(given, int | float) and not isinstance(given, bool):
        return given
    raise PydanticCustomError("number", "Input should be a number in digits")


def _label(given: str) -> str:
    if (fault := label_fault(given)) is not None:
        raise PydanticCustomError("label", "A label {fault}", {"fault": fault})
    return given


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number in an address: digits and nothing else, where Python would read `1_0` and `10.0` too."""
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""A finite number in an address."""
ImageHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[
    str,
    AfterValidator(_label),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL, "pattern": LABEL_PATTERN}),
]
"""A label that is stored."""
Named = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
"""A label that is asked for: also one that an older version took."""
Score = Annotated[float, Field(ge=-1.0001, le=1.0001, description="cosine likeness, -1..1, higher is more alike")]
