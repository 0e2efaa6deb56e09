"""What several bodies of the REST API are made of. Scores are likenesses: nothing here claims who somebody is."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from vitreid.service.values.digits import in_digits
from vitreid.service.values.texts import LABEL_PATTERN, LONGEST_LABEL, label_fault

NOTE = "Scores are cosine likenesses between images, not identities: a human decides who is shown."
MAX_ID = 2**63 - 1


# What is nearly of a field's type is a mistake and no shorthand: `true` is not the item 1, nor "30" a number of days.
BODY = ConfigDict(extra="forbid", frozen=True, strict=True)


class Params(BaseModel):
    """What may stand in an address. A number is digits and nothing else: Python would read `1_0` and ` 10` too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _in_digits(cls, given: object, info: ValidationInfo) -> object:
        return in_digits(given, cls.model_fields[info.field_name or ""].annotation)


def _label(given: str) -> str:
    if (fault := label_fault(given)) is not None:
        raise PydanticCustomError("label", "A label {fault}", {"fault": fault})
    return given


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
