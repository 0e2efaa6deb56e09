"""Bodies of the routes that erase."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.gallery.erasure import Receipt
from service.schemas.common import MAX_ID

MAX_ITEMS = 10_000

ItemId = Annotated[int, Field(ge=1, le=MAX_ID)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ErasureRequest(BaseModel):
    """Which items are to be erased: those that a human confirmed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_ids: list[ItemId] = Field(min_length=1, max_length=MAX_ITEMS, examples=[[17, 42]])
    reason: Reason | None = Field(
        None, description="why, for the receipt; name nobody here: it is kept", examples=["request of 2026-11-20"]
    )


class RemainingBody(BaseModel):
    """A place that may still hold what was erased."""

    kind: Literal["database", "snapshot", "backup"] = Field(
        description="log and free pages of the database, and snapshots, go with the next purge; "
        "a backup stays until an operator drops it"
    )
    id: str = Field(examples=["gallery.db"])
    place: str = Field(
        description="path; of database and snapshots within the gallery's folder", examples=["gallery.db"]
    )


class ReceiptBody(BaseModel):
    """What an erasure did, and what is still to be done; of what was erased it names nothing but ids."""

    id: str = Field(examples=["7f1f5a34-6f0e-4c53-9d5a-3a1de0c4a1f2"])
    gallery: str = Field(examples=["default"])
    seq: int = Field(description="position in the gallery's history", examples=[1290])
    requested_at: datetime
    unsearchable_at: datetime = Field(description="from here on no answer holds the items")
    purged_at: datetime | None = Field(
        description="from here on no file of the gallery holds bytes of them; null: not yet"
    )
    items: int = Field(description="how many were erased", examples=[2])
    pictures: int = Field(description="how many of them had a picture", examples=[2])
    item_ids: list[int] = Field(examples=[[17, 42]])
    reason: str | None = Field(examples=["request of 2026-11-20"])
    requested_by: str | None = Field(description="the API key's name; or the command", examples=["ops"])
    remaining: list[RemainingBody] = Field(
        description="where they may still be; empty once purged and every backup of that time is dropped"
    )

    @classmethod
    def of(cls, receipt: Receipt, gallery: str) -> ReceiptBody:
        """A receipt as the API shows it."""
        values = {name: getattr(receipt, name) for name in cls.model_fields if name not in ("gallery", "remaining")}
        remaining = [RemainingBody(kind=each.kind, id=each.id, place=each.place) for each in receipt.remaining]
        return cls(gallery=gallery, remaining=remaining, **values)


class ReceiptPage(BaseModel):
    """Receipts, newest first."""

    erasures: list[ReceiptBody]
    next_before: int | None = Field(description="give it as `before` for the next page; null on the last one")
