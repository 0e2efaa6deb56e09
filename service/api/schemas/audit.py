"""Bodies of the routes about the audit log."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class AuditRow(BaseModel):
    """One request or command: who, when, what, and about which items. Never an image, never an embedding."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="rises by one; a gap would show that a row was taken out", examples=[41])
    at: datetime
    request_id: str | None = Field(
        description="the answer's X-Request-ID; null for a command", examples=["5058372260824aebb9ceaba8a55a9b92"]
    )
    key_id: str | None = Field(description="null for a command and while there were no keys", examples=["k3v9x0qa"])
    name: str = Field(description="of the key; anonymous, unknown or command line without one", examples=["gate 4"])
    address: str | None = Field(
        description="of the client; null unless VITREID_AUDIT_ADDRESSES is set", examples=[None]
    )
    action: str = Field(examples=["query"])
    gallery: str | None = Field(examples=["default"])
    items: list[int] = Field(description="ids that were asked for, found, added or erased", examples=[[17, 4]])
    person_id: str | None = Field(description="where it was asked for by that label", examples=[None])
    status: int | None = Field(description="of the answer; null for a command that succeeded", examples=[200])


class AuditPage(BaseModel):
    """Rows in the order in which they were recorded."""

    rows: list[AuditRow]
    next_after: int | None = Field(description="give it as `after` for the next page; null on the last one")
