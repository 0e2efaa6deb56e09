"""Types of several bodies of the REST API. Scores are similarities; nothing here states an identity."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from vitreid.service.values.fields import in_digits

NOTE = "Scores are cosine similarities of images, not identities: a human decides who is shown."


class Params(BaseModel):
    """Base of parameters in addresses. Numbers are digits only: Python would read `1_0` and ` 10` too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _in_digits(cls, given: object, info: ValidationInfo) -> object:
        return in_digits(given, cls.model_fields[info.field_name or ""].annotation)


ImageHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Score = Annotated[float, Field(ge=-1.0001, le=1.0001, description="cosine similarity, -1..1, higher is more similar")]
