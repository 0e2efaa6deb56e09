"""Bodies of the routes that search, embed and explain."""

from __future__ import annotations

from pydantic import BaseModel, Field, JsonValue

from vitreid.service.api.schemas.common import NOTE, Score
from vitreid.service.api.schemas.items import ItemBody, item_values
from vitreid.service.gallery.items import Box
from vitreid.service.search.candidates import Candidate
from vitreid.service.search.pipeline import NoMatch, SearchResult
from vitreid.service.search.request import GroupBy, Rerank
from vitreid.service.values.texts import DEFAULT_GALLERY


class GroupBody(BaseModel):
    """The items that one candidate stands for."""

    label: str | None = Field(
        description="the person_id, track_id or camera_id that they share; null: the item has none",
        examples=["t17"],
    )
    items: int = Field(ge=1, description="number of them that passed the filter, this one included", examples=[14])


class MatchBody(ItemBody):
    """A candidate: an item similar to the query, or the best item of a group."""

    rank: int = Field(ge=1, examples=[1])
    score: Score = Field(examples=[0.8731])
    probability: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of pairs with this score that showed one person in the calibration data (/v1/info), not a "
        "statement about this one; null: the model is not calibrated on images like the gallery's, the query is not a "
        "single image, or the two are not by two known cameras",
        examples=[0.62],
    )
    rerank_distance: float | None = Field(
        None, description="distance that re-ranked candidates are ordered by, 0..1, lower is better"
    )
    group: GroupBody | None = Field(None, description="present where candidates are groups")

    @classmethod
    def of_candidate(cls, rank: int, candidate: Candidate, group_by: GroupBy, gallery: str) -> MatchBody:
        """Return a candidate as the API shows it."""
        group = None if group_by == "item" else GroupBody(label=candidate.label, items=candidate.group_size)
        return cls(
            **item_values(candidate.match.item, gallery),
            rank=rank,
            score=candidate.match.score,
            probability=candidate.probability,
            rerank_distance=candidate.rerank_distance,
            group=group,
        )


class QueryEcho(BaseModel):
    """The query as it was parsed."""

    images: int = Field(description="number of images, whose mean embedding is the query", examples=[1])
    item_id: int | None = Field(None, description="the stored item of the query")
    height: int | None = Field(description="of the first image, in pixels; null: not known", examples=[128])
    width: int | None = Field(description="of the first image, in pixels; null: not known", examples=[64])
    camera_id: str | None = Field(examples=["c2"])
    camera_known: bool = Field(description="whether the model learned this camera; an unknown one is no error")
    k: int = Field(examples=[10])
    min_score: float | None = Field(
        description="the minimum in effect: requested or the gallery's own, or that of min_probability if higher",
        examples=[None],
    )
    min_probability: float | None = Field(None, description="the requested one", examples=[None])
    group_by: GroupBy = Field(examples=["item"])
    filter: dict[str, JsonValue] = Field(description="the conditions that were given", examples=[{"cameras": ["c1"]}])
    expand: int = Field(examples=[0])
    rerank: Rerank = Field(examples=["none"])
    rerank_top: int = Field(description="maximum number of re-ranked candidates", examples=[0])
    gallery: str = Field(examples=["default"])


class Timings(BaseModel):
    """Durations in milliseconds."""

    decode: float = Field(description="reading and resizing the images", examples=[0.4])
    wait: float = Field(description="until the model was free", examples=[0.1])
    run: float = Field(description="in the model, in a batch with other requests", examples=[11.1])
    embed: float = Field(description="wait and run, with overhead", examples=[11.2])
    search: float = Field(description="expansion and counting included", examples=[0.3])
    rerank: float = Field(examples=[0.0])
    total: float = Field(examples=[12.0])


class QueryResult(BaseModel):
    """Candidates for one person, most similar first, equal scores by id; re-ranked ones nearest first."""

    query: QueryEcho
    matches: list[MatchBody]
    no_match: bool = Field(description="nothing was found, for the `no_match_reason`")
    no_match_reason: NoMatch | None = Field(examples=[None])
    best_score: Score | None = Field(
        description="of the best that was searched, also where it is below min_score", examples=[0.8731]
    )
    searched: int = Field(description="items that passed the filter", examples=[310])
    gallery_size: int = Field(examples=[360])
    bundle_id: str = Field(
        description="the model that the scores come from",
        examples=["da20c6d75e0949b39554913c784c42dbdbc246057b0477c7061a6e71acdf2932"],
    )
    timings_ms: Timings
    note: str = Field(NOTE, description="what a score means")


class EmbeddingBody(BaseModel):
    """The embedding of one person's images."""

    embedding: list[float] = Field(
        description="of unit length: the mean where there are several images", examples=[[0.0213, -0.0478]]
    )
    dimension: int = Field(examples=[384])
    images: int = Field(examples=[1])
    camera_known: bool = Field(description="whether the model learned this camera; an unknown one is no error")
    bundle_id: str = Field(
        description="the model that made it; embeddings of two models cannot be compared",
        examples=["da20c6d75e0949b39554913c784c42dbdbc246057b0477c7061a6e71acdf2932"],
    )


def matches_of(result: SearchResult, group_by: GroupBy, gallery: str = DEFAULT_GALLERY) -> list[MatchBody]:
    """Return the candidates of a result as the API shows them."""
    return [
        MatchBody.of_candidate(rank, each, group_by, gallery) for rank, each in enumerate(result.candidates, start=1)
    ]


EXPLAIN_NOTE = (
    "This shows the patches of two images that the model compared, not who they show: it proves no identity. "
    "A human decides."
)


class ComparedImage(BaseModel):
    """One of the two images."""

    item_id: int | None = Field(description="the stored item; null for an uploaded image", examples=[17])
    height: int = Field(description="pixels, the unit of boxes", examples=[256])
    width: int = Field(description="pixels", examples=[128])
    camera_known: bool = Field(description="whether the model learned the camera that took it")
    foreground: int = Field(description="patches that hold most of the model's attention", examples=[21])
    patches: int = Field(description="patches of the image in all", examples=[32])


class PatchPair(BaseModel):
    """Two foreground patches that are each other's most similar."""

    query_box: Box = Field(
        description="left, top, right, bottom in pixels of the first image", examples=[[0.0, 32.0, 32.0, 64.0]]
    )
    match_box: Box = Field(description="likewise of the second", examples=[[32.0, 32.0, 64.0, 64.0]])
    similarity: Score = Field(examples=[0.8731])


class Explanation(BaseModel):
    """The corresponding foreground patches of two images, the most similar first."""

    query: ComparedImage
    match: ComparedImage
    pairs: list[PatchPair]
    similarity: Score = Field(description="mean of all pairs, which `rerank=patches` uses", examples=[0.7914])
    bundle_id: str = Field(
        description="the model that compared",
        examples=["da20c6d75e0949b39554913c784c42dbdbc246057b0477c7061a6e71acdf2932"],
    )
    note: str = Field(EXPLAIN_NOTE, description="what it means")
