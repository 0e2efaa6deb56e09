"""Bodies of the route that explains a match."""

from __future__ import annotations

from pydantic import BaseModel, Field

from vitreid.service.api.schemas.common import Score
from vitreid.service.gallery.items import Box

EXPLAIN_NOTE = (
    "This shows which parts of two images the model compared, not who is on them: it proves no identity. "
    "A human decides."
)


class ComparedImage(BaseModel):
    """One of the two images."""

    item_id: int | None = Field(description="the stored item; null for an image that was sent", examples=[17])
    height: int = Field(description="pixels; boxes are told in these", examples=[256])
    width: int = Field(description="pixels", examples=[128])
    camera_known: bool = Field(description="whether the model learned the camera that took it")
    foreground: int = Field(description="patches that hold most of the model's attention", examples=[21])
    patches: int = Field(description="patches of the image in all", examples=[32])


class PatchPair(BaseModel):
    """Two foreground patches that are each other's most alike."""

    query_box: Box = Field(
        description="left, top, right, bottom in pixels of the first image", examples=[[0.0, 32.0, 32.0, 64.0]]
    )
    match_box: Box = Field(description="likewise of the second", examples=[[32.0, 32.0, 64.0, 64.0]])
    similarity: Score = Field(examples=[0.8731])


class Explanation(BaseModel):
    """Which foreground patches of two images correspond, the most alike first."""

    query: ComparedImage
    match: ComparedImage
    pairs: list[PatchPair]
    similarity: Score = Field(description="mean of all pairs, by which `rerank=patches` orders", examples=[0.7914])
    bundle_id: str = Field(
        description="the model that compared",
        examples=["da20c6d75e0949b39554913c784c42dbdbc246057b0477c7061a6e71acdf2932"],
    )
    note: str = Field(EXPLAIN_NOTE, description="what it means")
