"""Bodies of the routes about the service itself."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.schemas.common import NOTE


class BundleInfo(BaseModel):
    """The model."""

    id: str
    name: str
    image_height: int = Field(examples=[128])
    image_width: int = Field(examples=[64])
    dimension: int
    cameras: list[str] = Field(description="cameras that the model learned")
    starter: bool = Field(description="whether it is the starter bundle, trained on drawn people only")


class GalleryBody(BaseModel):
    """The gallery."""

    name: str
    size: int
    persons: int = Field(description="distinct person_id labels")
    cameras: dict[str, int] = Field(description="items per camera")
    index: str


class Info(BaseModel):
    """What is running."""

    name: str
    version: str
    bundle: BundleInfo
    gallery: GalleryBody | None = Field(description="null for a key that is limited to galleries or cameras")
    provider: str = Field(description="what runs the model", examples=["CPUExecutionProvider"])
    uptime_s: float
    note: str = NOTE


class Health(BaseModel):
    """A state in one word, with what was tried."""

    status: Literal["ok", "ready"]
    checks: dict[str, str] = Field(default_factory=dict)
