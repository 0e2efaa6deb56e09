"""Bodies of the routes about items."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from service.gallery.items import Box, Item
from service.problems import Problem
from service.schemas.common import Label, UtcTime

MAX_BOXES = 500
"""Of one frame: all of its crops are in memory at once."""


class ItemLabels(BaseModel):
    """What is known about a picture that is added; every part may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera_id: Label | None = Field(None, description="the camera that took it", examples=["c1"])
    person_id: Label | None = Field(None, description="a label given by people, never by a score", examples=["0002"])
    track_id: Label | None = Field(None, description="the track it belongs to", examples=["t17"])
    captured_at: UtcTime | None = Field(None, description="RFC 3339 with an offset", examples=["2026-05-01T09:30:00Z"])
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="anything else worth keeping")


class BoxLabels(BaseModel):
    """One person in a frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: Box = Field(description="left, top, right, bottom in pixels of the upright frame, from 0")
    person_id: Label | None = None
    track_id: Label | None = None
    captured_at: UtcTime | None = Field(None, description="that of the frame when left out")
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="added to that of the frame")


class FrameLabels(ItemLabels):
    """What is known about a picture: a crop of one person or, with `boxes`, a frame with several."""

    boxes: list[BoxLabels] | None = Field(None, max_length=MAX_BOXES, description="one item is made of each")

    @model_validator(mode="after")
    def _persons_are_in_boxes(self) -> Self:
        if self.boxes is not None and (self.person_id or self.track_id):
            raise ValueError("a frame with boxes has no person_id or track_id of its own; give them to its boxes")
        return self


class ItemBody(BaseModel):
    """One picture in a gallery."""

    id: int = Field(examples=[17])
    camera_id: str | None = Field(examples=["c1"])
    person_id: str | None = Field(description="a label given by people; null when unknown", examples=["0002"])
    track_id: str | None
    captured_at: datetime | None = Field(examples=["2026-05-01T09:30:00Z"])
    box: tuple[float, float, float, float] | None = Field(description="left, top, right, bottom in the frame's pixels")
    source: str | None = Field(description="relative path or name of the upload", examples=["0002_c1s1_000451_03.jpg"])
    metadata: dict[str, JsonValue]
    image_hash: str = Field(description="SHA-256 of the bytes that were added")
    created_at: datetime
    image_url: str | None = Field(description="null where the picture is not kept", examples=["/v1/items/17/image"])

    @classmethod
    def of(cls, item: Item) -> ItemBody:
        """An item as the API shows it."""
        return cls(**item_values(item))


class AddedItem(BaseModel):
    """What became of one uploaded picture: an `id`, or an `error`."""

    index: int = Field(description="position among the uploaded pictures, from 0", examples=[0])
    source: str | None = Field(examples=["0002_c1s1_000451_03.jpg"])
    status: Literal["added", "duplicate", "error"]
    id: int | None = Field(None, examples=[17])
    duplicate: bool = Field(False, description="the same bytes were in the gallery already; the item keeps its labels")
    error: Problem | None = None


class AddResultBody(BaseModel):
    """A result per picture, in the order of the upload."""

    results: list[AddedItem]
    added: int
    duplicates: int
    failed: int
    gallery_size: int


class ItemPage(BaseModel):
    """Items in the order of their ids."""

    items: list[ItemBody]
    next_after: int | None = Field(description="give it as `after` for the next page; null on the last one")


def item_values(item: Item) -> dict[str, object]:
    """The values of an ItemBody."""
    return {
        "id": item.id,
        "camera_id": item.camera_id,
        "person_id": item.person_id,
        "track_id": item.track_id,
        "captured_at": item.captured_at,
        "box": item.box,
        "source": item.source,
        "metadata": item.metadata,
        "image_hash": item.image_hash,
        "created_at": item.created_at,
        "image_url": f"/v1/items/{item.id}/image" if item.has_picture else None,
    }
