"""What several bodies of the REST API are made of. Scores are likenesses: nothing here claims who somebody is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

NOTE = "Scores are cosine likenesses between pictures, not identities: a human decides who is shown."
MAX_ID = 2**63 - 1


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside of the years 1 to 9999 in UTC") from error


Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
ImageHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
Score = Annotated[float, Field(ge=-1.0001, le=1.0001, description="cosine likeness, -1..1, higher is more alike")]
