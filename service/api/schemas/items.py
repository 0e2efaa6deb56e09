"""Bodies of the routes about items."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast

from pydantic import BaseModel, Field, JsonValue

from vitreid.bundle.market_names import NOBODY
from vitreid.service.api.schemas.problem import Problem
from vitreid.service.gallery.items import QUALITIES, Box, Item, ItemChanges, Quality
from vitreid.service.gallery.metadata import Metadata
from vitreid.service.values.fields import BODY, LabelText
from vitreid.service.values.texts import DEFAULT_GALLERY
from vitreid.service.values.times import UtcTime


class ItemPatch(BaseModel):
    """New labels of an item: labels left out do not change, and null clears one."""

    model_config = BODY

    camera_id: LabelText | None = Field(None, description="the embedding does not change", examples=["c2"])
    person_id: LabelText | None = Field(
        None, description="a label given by people, never by a score", examples=["0002"]
    )
    track_id: LabelText | None = None
    captured_at: UtcTime | None = Field(None, examples=["2026-05-01T09:30:00Z"])
    metadata: Metadata | None = Field(None, description="replaces all of the metadata")

    def changes(self) -> ItemChanges:
        """Return the labels that were sent; person -1 or 0000 is None."""
        every = {
            "camera_id": self.camera_id,
            "person_id": None if self.person_id in NOBODY else self.person_id,
            "track_id": self.track_id,
            "captured_at": self.captured_at,
            "metadata": self.metadata or {},
        }
        return cast(ItemChanges, {name: value for name, value in every.items() if name in self.model_fields_set})


class QualityBody(BaseModel):
    """The image quality of a crop."""

    height: int = Field(description="pixels", examples=[256])
    width: int = Field(description="pixels", examples=[128])
    aspect: float = Field(description="height by width", examples=[2.0])
    sharpness: float = Field(description="variance of the Laplacian, in grey levels squared", examples=[5186.3])
    brightness: float = Field(ge=0, le=1, description="mean luma, 0 black to 1 white", examples=[0.37])
    outside: float = Field(ge=0, le=1, description="share of the box outside of the frame", examples=[0.0])

    @classmethod
    def of(cls, quality: Quality) -> QualityBody:
        """Return a quality as the API shows it."""
        return cls(**{name: getattr(quality, name) for name in QUALITIES})


class ItemBody(BaseModel):
    """One image in a gallery."""

    gallery: str = Field(description="the gallery that it is in; ids are of one gallery each", examples=["default"])
    id: int = Field(examples=[17])
    camera_id: str | None = Field(examples=["c1"])
    model_camera: str | None = Field(
        description="the learned camera that the embedding was made with; null: unknown", examples=["c1"]
    )
    person_id: str | None = Field(description="a label given by people; null when unknown", examples=["0002"])
    track_id: str | None = Field(examples=["t17"])
    captured_at: datetime | None = Field(examples=["2026-05-01T09:30:00Z"])
    box: Box | None = Field(
        description="left, top, right, bottom in the frame's pixels, as they were given",
        examples=[[12.0, 8.0, 76.0, 200.0]],
    )
    quality: QualityBody | None = Field(description="null for items of an older version")
    source: str | None = Field(description="relative path or name of the upload", examples=["0002_c1s1_000451_03.jpg"])
    metadata: dict[str, JsonValue] = Field(examples=[{"site": "north"}])
    image_hash: str = Field(
        description="SHA-256 of the bytes that were added; of a box, of its frame's and the box",
        examples=["81fcd33a048ebedc8dfaf33c0ed95f2f42397c486039240dbe3a662ec97f5498"],
    )
    created_at: datetime
    image_url: str | None = Field(description="null if the image is not stored", examples=["/v1/items/17/image"])

    @classmethod
    def of(cls, item: Item, gallery: str) -> ItemBody:
        """Return an item of the gallery of this name as the API shows it."""
        return cls(**item_values(item, gallery))


class AddedItem(BaseModel):
    """The result of one image or of one box in it: an `id`, a `reason` or an `error`."""

    index: int = Field(description="position among the uploaded images, from 0", examples=[0])
    box: int | None = Field(
        None, description="position among the image's boxes; null for a crop, and for a frame that cannot be read"
    )
    source: str | None = Field(examples=["0002_c1s1_000451_03.jpg"])
    status: Literal["added", "duplicate", "rejected", "error"]
    id: int | None = Field(None, examples=[17])
    duplicate: bool = Field(False, description="the same image was in the gallery already")
    differing: list[str] = Field(
        default_factory=list,
        description="of a duplicate: the sent labels that differ from the item's",
        examples=[["person_id"]],
    )
    relabelled: bool = Field(False, description="whether the item has these labels now: `on_duplicate=relabel`")
    warning: str | None = Field(None, description="a doubt about the labels, as a time in the future")
    reason: str | None = Field(None, description="why the gallery rejects an image of this quality")
    error: Problem | None = None


class AddResultBody(BaseModel):
    """A result per crop or box, in the order of the upload; they are counted by their status."""

    results: list[AddedItem]
    added: int
    duplicates: int
    relabelled: int = Field(description="duplicates whose labels were changed")
    rejected: int
    failed: int


class ItemPage(BaseModel):
    """Items in the order of their ids."""

    items: list[ItemBody]
    next_after: int | None = Field(description="give it as `after` for the next page; null on the last one")


def item_values(item: Item, gallery: str) -> dict[str, Any]:
    """Return the values of an ItemBody for an item of the gallery of this name."""
    address = f"/v1/items/{item.id}/image" + ("" if gallery == DEFAULT_GALLERY else f"?gallery={gallery}")
    return {
        "gallery": gallery,
        "id": item.id,
        "camera_id": item.camera_id,
        "model_camera": item.model_camera,
        "person_id": item.person_id,
        "track_id": item.track_id,
        "captured_at": item.captured_at,
        "box": item.box,
        "quality": QualityBody.of(item.quality) if item.quality else None,
        "source": item.source,
        "metadata": item.metadata,
        "image_hash": item.image_hash,
        "created_at": item.created_at,
        "image_url": address if item.has_image else None,
    }
