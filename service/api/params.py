"""Parameters in the address: filters, queries, explanations; unknown ones are refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, Json, JsonValue

from vitreid.service.api.schemas.common import Params
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.items import QUALITIES, Range
from vitreid.service.gallery.metadata import MAX_KEYS
from vitreid.service.search.request import MAX_EXPANDED, MAX_RERANKED, RERANK_TOP, GroupBy, Rerank, SearchRequest
from vitreid.service.values.fields import MAX_ID, Named, at_most
from vitreid.service.values.texts import DEFAULT_GALLERY
from vitreid.service.values.times import UtcTime

MAX_NAMES = 256


class GalleryParams(Params):
    """Parameters of routes on one gallery."""

    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="the gallery's name")


class FilterParams(Params):
    """Filter of items: all conditions must hold, and an item whose value is unknown does not match."""

    cameras: Annotated[list[Named], at_most(MAX_NAMES)] = Field(
        default_factory=list, max_length=MAX_NAMES, description="only items of these cameras", examples=[["c1", "c2"]]
    )
    exclude_cameras: Annotated[list[Named], at_most(MAX_NAMES)] = Field(
        default_factory=list,
        max_length=MAX_NAMES,
        description="no items of these cameras; items of an unknown camera are included",
        examples=[["c3"]],
    )
    since: UtcTime | None = Field(
        None, description="captured_at at or after this time", examples=["2026-05-01T00:00:00Z"]
    )
    until: UtcTime | None = Field(None, description="captured_at before this time", examples=["2026-05-02T00:00:00Z"])
    person_id: Named | None = Field(None, description="only items with this label")
    track_id: Named | None = Field(None, description="only items of this track")
    metadata: Json[Annotated[dict[str, str | bool | int | FiniteFloat | None], at_most(MAX_KEYS)]] | None = Field(
        None,
        description="JSON object: top-level keys of the metadata with their values",
        examples=['{"site": "north"}'],
    )
    min_height: FiniteFloat | None = Field(None, description="pixels of the crop")
    max_height: FiniteFloat | None = Field(None, description="pixels of the crop")
    min_width: FiniteFloat | None = Field(None, description="pixels of the crop")
    max_width: FiniteFloat | None = Field(None, description="pixels of the crop")
    min_aspect: FiniteFloat | None = Field(None, description="height by width")
    max_aspect: FiniteFloat | None = Field(None, description="height by width")
    min_sharpness: FiniteFloat | None = Field(None, description="variance of the Laplacian, grey levels squared")
    max_sharpness: FiniteFloat | None = Field(None, description="variance of the Laplacian, grey levels squared")
    min_brightness: FiniteFloat | None = Field(None, description="mean luma, 0..1")
    max_brightness: FiniteFloat | None = Field(None, description="mean luma, 0..1")
    min_outside: FiniteFloat | None = Field(None, description="share of the box outside of the frame, 0..1")
    max_outside: FiniteFloat | None = Field(None, description="share of the box outside of the frame, 0..1")

    def where(self, *, exclude_ids: Iterable[int] = ()) -> Filter:
        """Return the filter. Raises BadParameter for conditions that nothing can fulfil."""
        if self.since and self.until and self.since >= self.until:
            raise BadParameter(f"since {self.since.isoformat()} is not before until {self.until.isoformat()}")
        return Filter(
            cameras=frozenset(self.cameras) if self.cameras else None,
            exclude_cameras=frozenset(self.exclude_cameras),
            since=self.since,
            until=self.until,
            person_id=self.person_id,
            track_id=self.track_id,
            metadata=self.metadata or {},
            quality=self._ranges(),
            exclude_ids=frozenset(exclude_ids),
        )

    def _ranges(self) -> dict[str, Range]:
        ranges: dict[str, Range] = {
            name: (getattr(self, f"min_{name}"), getattr(self, f"max_{name}")) for name in QUALITIES
        }
        for name, (minimum, maximum) in ranges.items():
            if minimum is not None and maximum is not None and minimum > maximum:
                raise BadParameter(f"min_{name} {minimum:g} is greater than max_{name} {maximum:g}")
        return {name: limits for name, limits in ranges.items() if limits != (None, None)}


Pool = Literal["item", "track"]


class SearchParams(FilterParams):
    """Parameters of a search, by images or by an item."""

    k: int = Field(10, ge=1, le=10_000, description="maximum number of candidates: items, or groups")
    min_score: FiniteFloat | None = Field(
        None,
        ge=-1,
        le=1,
        description="leave out candidates below this cosine similarity; the gallery's own minimum score when absent, "
        "-1 for none",
    )
    min_probability: FiniteFloat | None = Field(
        None,
        gt=0,
        lt=1,
        description="leave out candidates whose probability is below; for a calibrated model, and a query of one "
        "image with its `camera_id` and without `expand`; items of that or of no camera have none and are left out",
    )
    group_by: GroupBy = Field(
        "item",
        description="one candidate for all items of one person, track or camera, ranked and shown by its best item; "
        "items without that label are groups of their own",
    )
    exclude_same_camera: bool = Field(False, description="no items of the camera that took the query image")
    expand: int = Field(
        0,
        ge=0,
        le=MAX_EXPANDED,
        description="average query expansion: search again with the mean of the query and so many of its best items",
    )
    rerank: Rerank = Field(
        "none",
        description="re-rank the best candidates: by their k-reciprocal neighbours (`k-reciprocal`), or by their "
        "foreground patches matched with the query's (`patches`, where the model has them); scores stay cosines",
    )
    rerank_top: int | None = Field(
        None,
        ge=2,
        le=MAX_RERANKED,
        description="number of the best candidates that are re-ranked; when absent "
        f"{RERANK_TOP['k-reciprocal']}, by patches {RERANK_TOP['patches']}",
    )
    rerank_k1: int | None = Field(
        None, ge=1, le=MAX_RERANKED, description="of `k-reciprocal`: size of the neighbourhood, 20 when absent"
    )
    rerank_k2: int | None = Field(
        None,
        ge=1,
        le=MAX_RERANKED,
        description="of `k-reciprocal`: neighbours whose neighbourhoods are averaged, 6 when absent",
    )
    rerank_lambda: float | None = Field(
        None, ge=0, le=1, description="of `k-reciprocal`: share of the original distance, 0.3 when absent"
    )
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="gallery to search")

    def request(self) -> SearchRequest:
        """Return the request of a search. Raises BadParameter for parameters that contradict each other."""
        options = self.model_dump(include={field.name for field in fields(SearchRequest)} - {"where"})
        return SearchRequest(where=self.where(), **options)

    def given_conditions(self) -> dict[str, JsonValue]:
        """Return the given conditions by the names of their parameters."""
        given = self.model_dump(mode="json", include=set(FilterParams.model_fields), exclude_defaults=True)
        return given | ({"exclude_same_camera": True} if self.exclude_same_camera else {})


class QueryParams(SearchParams):
    """The parameters of a query by images."""

    camera_id: Named | None = Field(None, description="the camera that took the query images", examples=["c2"])


class ItemQueryParams(SearchParams):
    """The parameters of a query by a stored item, whose camera is known."""

    pool: Pool = Field("item", description="`track`: query with the mean of all items of the item's track")


class EmbedParams(Params):
    """The parameters of embedding images without a search."""

    camera_id: Named | None = Field(None, description="the camera that took the images", examples=["c2"])
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="gallery whose cameras are used")


class ExplainParams(Params):
    """The parameters of an explanation."""

    item_id: Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], at_most(2)] = Field(
        default_factory=list, max_length=2, description="a stored item, or two to compare", examples=[[17]]
    )
    camera_id: Annotated[list[Named], at_most(2)] = Field(
        default_factory=list,
        max_length=2,
        description="the cameras that took the uploaded images, in their order",
        examples=[["c2"]],
    )
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="gallery whose items and cameras are used")
    format: Literal["json", "png"] | None = Field(
        None, description="format of the response; json when absent, unless the request accepts image/png"
    )
