"""Bodies of the routes about galleries and their cameras."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from vitreid.service.gallery import GallerySettings
from vitreid.service.gallery.items import MAX_CAMERAS
from vitreid.service.values.fields import BODY, Named, at_most


class GalleryEntry(BaseModel):
    """One gallery of the service. Of an unusable one only name and reason are known."""

    name: str = Field(examples=["default"])
    state: Literal["open", "unusable"]
    reason: str | None = Field(None, description="why it cannot be used; details are in the log")
    size: int | None = Field(None, description="items", examples=[360])
    index: str | None = Field(None, description="kind of the index", examples=["flat"])
    settings: GallerySettings | None = None


class GalleryList(BaseModel):
    """All galleries, by name."""

    galleries: list[GalleryEntry]


class GalleryDropped(BaseModel):
    """A dropped gallery."""

    name: str = Field(examples=["night-shift"])
    items: int = Field(examples=[360])
    images: int = Field(examples=[360])
    bytes: int = Field(description="of its database", examples=[3269192])
    remaining: list[str] = Field(
        description="files that could not be removed, relative to its folder, which is in the log; an operator removes "
        "them, or the next start does",
        examples=[[]],
    )
    dropped_at: datetime = Field(description="from then on no search finds it, and its files except those are removed")


class CameraMapping(BaseModel):
    """A mapping of a gallery's cameras to learned ones."""

    model_config = BODY

    mapping: Annotated[dict[Named, Named], at_most(MAX_CAMERAS)] = Field(
        max_length=MAX_CAMERAS,
        description="the gallery's camera_id: a camera that the model learned; those that are left out are unknown",
        examples=[{"gate": "c1"}],
    )


class CameraEntry(BaseModel):
    """One of a gallery's cameras."""

    camera_id: str | None = Field(description="null: items of an unknown camera", examples=["gate"])
    learned: str | None = Field(
        description="learned camera that its images are embedded with; null: unknown to the model",
        examples=["c1"],
    )
    items: int = Field(examples=[120])
    stale: int = Field(
        description="items that were embedded with another learned camera; embed the gallery again",
        examples=[0],
    )
    rejected: dict[str, int] = Field(
        description="rejected images, by the rule of quality", examples=[{"min_height": 3}]
    )


class CameraList(BaseModel):
    """A gallery's cameras by name, the unknown one last, and those that the model learned."""

    gallery: str = Field(examples=["default"])
    cameras: list[CameraEntry]
    learned: list[str] = Field(description="cameras that the model learned", examples=[["c1", "c2"]])
