"""Bodies of the routes about a gallery's cameras."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from vitreid.service.gallery.items import MAX_CAMERAS
from vitreid.service.values.bounds import at_most
from vitreid.service.values.fields import BODY, Named


class CameraMapping(BaseModel):
    """Which learned camera each of a gallery's cameras is."""

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
        description="what its images are embedded as; null: unknown to the model",
        examples=["c1"],
    )
    items: int = Field(examples=[120])
    stale: int = Field(
        description="items that were embedded as another learned camera; embed the gallery again",
        examples=[0],
    )
    rejected: dict[str, int] = Field(
        description="images that were not taken, by the rule that they broke", examples=[{"min_height": 3}]
    )


class CameraList(BaseModel):
    """A gallery's cameras by name, the unknown one last, and those that the model learned."""

    gallery: str = Field(examples=["default"])
    cameras: list[CameraEntry]
    learned: list[str] = Field(description="what a camera can be mapped to", examples=[["c1", "c2"]])
