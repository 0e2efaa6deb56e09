"""What several bodies of the REST API are made of. Scores are likenesses: nothing here claims who somebody is."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

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


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number in an address: digits and nothing else, where Python would read `1_0` and `10.0` too."""
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""A finite number in an address."""
Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
ImageHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Score = Annotated[float, Field(ge=-1.0001, le=1.0001, description="cosine likeness, -1..1, higher is more alike")]
