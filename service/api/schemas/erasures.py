"""Bodies of the routes that erase."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from vitreid.service.api.schemas.common import ImageHash
from vitreid.service.gallery.rows.erasure import LONGEST_REASON, Receipt
from vitreid.service.values.fields import BODY, MAX_ID, at_most

MAX_ITEMS = 10_000
MAX_CONFIRMED = 2_000
"""Of items with their image hashes; as many as one JSON body has room for."""
IMAGE_HASH = "81fcd33a048ebedc8dfaf33c0ed95f2f42397c486039240dbe3a662ec97f5498"  # as in the examples of items

ItemId = Annotated[int, Field(ge=1, le=MAX_ID)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_REASON, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ConfirmedItem(BaseModel):
    """An item with the image that a human confirmed."""

    model_config = BODY

    id: ItemId = Field(examples=[17])
    image_hash: ImageHash = Field(
        description="the item's `image_hash` from an earlier answer",
        examples=[IMAGE_HASH],
    )


class ErasureRequest(BaseModel):
    """Items to erase, confirmed by a human: `items`, `item_ids` or both."""

    model_config = BODY | ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["items"]}, {"required": ["item_ids"]}],
            "examples": [{"items": [{"id": 17, "image_hash": IMAGE_HASH}], "reason": "request of 2026-11-20"}],
        },
    )

    items: Annotated[list[ConfirmedItem], at_most(MAX_CONFIRMED)] = Field(
        default_factory=list,
        min_length=1,
        max_length=MAX_CONFIRMED,
        description="each with its image; nothing is erased if one of them has another image now",
    )
    item_ids: Annotated[list[ItemId], at_most(MAX_ITEMS)] = Field(
        default_factory=list,
        min_length=1,
        max_length=MAX_ITEMS,
        description="items whose images are not compared",
        examples=[[17, 42]],
    )
    reason: Reason | None = Field(
        None,
        description="reason for the receipt, which is stored: name nobody here",
        examples=["request of 2026-11-20"],
    )

    @model_validator(mode="after")
    def _names_items(self) -> Self:
        if not 1 <= len(self.items) + len(self.item_ids) <= MAX_ITEMS:
            raise ValueError(f"give 1 to {MAX_ITEMS} items in `items` (with image_hash) or `item_ids`")
        return self

    @property
    def ids(self) -> list[int]:
        """Ids of all named items."""
        return [*self.item_ids, *(item.id for item in self.items)]


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
    """The receipt of an erasure and its progress; of the erased items it has nothing but ids."""

    id: str = Field(examples=["7f1f5a34-6f0e-4c53-9d5a-3a1de0c4a1f2"])
    gallery: str = Field(examples=["default"])
    seq: int = Field(description="position in the gallery's history", examples=[1290])
    requested_at: datetime
    unsearchable_at: datetime = Field(description="from then on no answer holds the items")
    purged_at: datetime | None = Field(
        description="from then on no file of the gallery holds bytes of them; null: not yet"
    )
    items: int = Field(description="number of erased items", examples=[2])
    images: int = Field(description="number of them with an image", examples=[2])
    item_ids: list[int] = Field(examples=[[17, 42]])
    reason: str | None = Field(examples=["request of 2026-11-20"])
    requested_by: str | None = Field(description="the API key's name; or the command", examples=["ops"])
    remaining: list[RemainingBody] = Field(
        description="where they may still be; empty once purged and every backup of that time is dropped"
    )

    @classmethod
    def of(cls, receipt: Receipt, gallery: str) -> ReceiptBody:
        """Return a receipt as the API shows it."""
        values = {name: getattr(receipt, name) for name in cls.model_fields if name not in ("gallery", "remaining")}
        remaining = [RemainingBody(kind=each.kind, id=each.id, place=each.place) for each in receipt.remaining]
        return cls(gallery=gallery, remaining=remaining, **values)


class ReceiptPage(BaseModel):
    """Receipts, newest first."""

    erasures: list[ReceiptBody]
    next_before: int | None = Field(description="give it as `before` for the next page; null on the last one")
