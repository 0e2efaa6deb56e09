"""The bodies of the REST API. Scores are likenesses: nothing here claims who somebody is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from service.gallery import Item, Match
from service.problems import Problem

NOTE = "Scores are cosine likenesses between pictures, not identities: a human decides who is shown."
MAX_ID = 2**63 - 1


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside of the years 1 to 9999 in UTC") from error


Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
Score = Annotated[float, Field(ge=-1.0001, le=1.0001, description="cosine likeness, -1..1, higher is more alike")]


class ItemLabels(BaseModel):
    """What is known about a picture that is added; every part may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera_id: Label | None = Field(None, description="the camera that took it", examples=["c1"])
    person_id: Label | None = Field(None, description="a label given by people, never by a score", examples=["0002"])
    track_id: Label | None = Field(None, description="the track it belongs to", examples=["t17"])
    captured_at: UtcTime | None = Field(None, description="RFC 3339 with an offset", examples=["2026-05-01T09:30:00Z"])
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="anything else worth keeping")


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
        return cls(**_item_values(item))


class MatchBody(ItemBody):
    """A candidate: an item that looks like the query, best first."""

    rank: int = Field(ge=1, examples=[1])
    score: Score = Field(examples=[0.8731])

    @classmethod
    def of_match(cls, rank: int, match: Match) -> MatchBody:
        """A match as the API shows it."""
        return cls(**_item_values(match.item), rank=rank, score=match.score)


class QueryEcho(BaseModel):
    """How the query was understood."""

    height: int = Field(description="of the picture, in pixels", examples=[128])
    width: int = Field(description="of the picture, in pixels", examples=[64])
    camera_id: str | None = Field(examples=["c2"])
    camera_known: bool = Field(description="whether the model learned this camera; an unknown one is no error")
    k: int = Field(examples=[10])
    min_score: float | None = Field(examples=[None])
    gallery: str = Field(examples=["default"])


class Timings(BaseModel):
    """Where the time went, in milliseconds."""

    decode: float = Field(examples=[0.4])
    embed: float = Field(description="waiting for the model included", examples=[11.2])
    search: float = Field(examples=[0.3])
    total: float = Field(examples=[12.0])


class QueryResult(BaseModel):
    """Candidates for one query picture, most alike first; items with equal scores are ordered by id."""

    query: QueryEcho
    matches: list[MatchBody]
    gallery_size: int = Field(examples=[360])
    bundle_id: str = Field(description="the model that the scores come from")
    timings_ms: Timings
    note: str = Field(NOTE, description="what a score means")


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
    gallery: GalleryBody
    provider: str = Field(description="what runs the model", examples=["CPUExecutionProvider"])
    uptime_s: float
    note: str = NOTE


class Health(BaseModel):
    """A state in one word, with what was tried."""

    status: Literal["ok", "ready"]
    checks: dict[str, str] = Field(default_factory=dict)


def _item_values(item: Item) -> dict[str, object]:
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
