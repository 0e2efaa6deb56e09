"""Bodies of the routes about galleries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from vitreid.service.gallery import GallerySettings


class GalleryEntry(BaseModel):
    """One gallery of the service. Of an unusable one only name and reason are known."""

    name: str = Field(examples=["default"])
    state: Literal["open", "unusable"]
    reason: str | None = Field(None, description="why it cannot be used; the log says more")
    size: int | None = Field(None, description="items", examples=[360])
    index: str | None = Field(None, description="how it is searched", examples=["flat"])
    settings: GallerySettings | None = None


class GalleryList(BaseModel):
    """All galleries, by name."""

    galleries: list[GalleryEntry]


class GalleryDropped(BaseModel):
    """What went with a gallery."""

    name: str = Field(examples=["night-shift"])
    items: int = Field(examples=[360])
    images: int = Field(examples=[360])
    bytes: int = Field(description="of its database", examples=[3269192])
    remaining: list[str] = Field(
        description="files that could not be removed, by their place in its folder, whose place the log tells; an "
        "operator removes them, or the next start does",
        examples=[[]],
    )
    dropped_at: datetime = Field(description="by then no search found it, and its files but those were removed")
