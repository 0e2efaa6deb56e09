"""Bodies of the routes that search."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.gallery import Match
from service.schemas.common import NOTE, Score
from service.schemas.items import ItemBody, item_values


class MatchBody(ItemBody):
    """A candidate: an item that looks like the query, best first."""

    rank: int = Field(ge=1, examples=[1])
    score: Score = Field(examples=[0.8731])

    @classmethod
    def of_match(cls, rank: int, match: Match) -> MatchBody:
        """A match as the API shows it."""
        return cls(**item_values(match.item), rank=rank, score=match.score)


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
