"""Bodies of the routes about the service itself."""

from __future__ import annotations

from datetime import datetime
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
    generation: int = Field(description="number of the embeddings that answer; a new model makes the next")
    index: str = Field(description="how it is searched", examples=["flat"])
    index_reason: str = Field(description="why this index")
    index_parameters: dict[str, float] = Field(description="what it is tuned to")
    index_bytes: int = Field(description="memory of the index")
    snapshot_at: datetime | None = Field(description="when the newest snapshot was written; null where there is none")
    snapshot_lag: int = Field(description="changes since then, which the next start replays")


class BatchingInfo(BaseModel):
    """How requests share the model."""

    max_batch: int = Field(description="pictures of one run", examples=[4])
    max_queue: int = Field(description="pictures that may wait", examples=[256])
    waiting: int = Field(description="pictures that wait now", examples=[0])


class LimitsInfo(BaseModel):
    """What a request may be, and how many at a time."""

    body_bytes: int
    images: int = Field(description="pictures of one POST /v1/items")
    pixels: int = Field(description="of one picture")
    requests: int = Field(description="under way at a time")
    deadline_s: float = Field(description="within which an answer begins")


class DriftInfo(BaseModel):
    """A camera whose queries' best scores no longer look like those of the beginning: an alarm for people."""

    gallery: str
    camera_id: str = Field(description="of the query; `unknown` where it named none")
    index: float = Field(description="population stability index; over 0.25 is an alarm", examples=[0.41])
    reference_mean: float = Field(description="of the first best scores", examples=[0.71])
    recent_mean: float = Field(description="of the latest ones", examples=[0.58])


class Info(BaseModel):
    """What is running."""

    name: str
    version: str
    bundle: BundleInfo
    gallery: GalleryBody | None = Field(description="null for a key that is limited to galleries or cameras")
    provider: str = Field(description="what runs the model", examples=["CPUExecutionProvider"])
    batching: BatchingInfo
    limits: LimitsInfo
    drift: list[DriftInfo] = Field(description="alarms about score distributions; empty for a limited key")
    uptime_s: float
    note: str = NOTE


class Health(BaseModel):
    """A state in one word, with what was tried."""

    status: Literal["ok", "ready"]
    checks: dict[str, str] = Field(default_factory=dict)
