"""What may stand in the address of a query; anything else is refused rather than ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, JsonValue

from vitreid.service.api.filter_params import FilterParams
from vitreid.service.api.schemas.common import MAX_ID, Named, Params
from vitreid.service.config import DEFAULT_GALLERY
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.filters import Filter
from vitreid.service.search.request import MOST_EXPANDED, MOST_RERANKED, RERANK_TOP, GroupBy, Rerank, SearchRequest
from vitreid.service.values.bounds import at_most

Pool = Literal["item", "track"]


class SearchParams(FilterParams):
    """How a gallery is searched, whatever the query is made of."""

    k: int = Field(10, ge=1, le=10_000, description="how many candidates at most: items, or groups")
    min_score: FiniteFloat | None = Field(
        None,
        ge=-1,
        le=1,
        description="leave out candidates below this cosine likeness; the gallery's own least score when absent, "
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
        le=MOST_EXPANDED,
        description="average query expansion: search again with the mean of the query and its best so many items",
    )
    rerank: Rerank = Field(
        "none",
        description="put the best candidates into a better order: by how alike they are among themselves "
        "(`k-reciprocal`), or by their foreground patches matched with the query's (`patches`, where the model can "
        "tell them); scores stay cosines",
    )
    rerank_top: int | None = Field(
        None,
        ge=2,
        le=MOST_RERANKED,
        description="how many of the best are re-ranked; when absent "
        f"{RERANK_TOP['k-reciprocal']}, by patches {RERANK_TOP['patches']}",
    )
    rerank_k1: int | None = Field(
        None, ge=1, le=MOST_RERANKED, description="of `k-reciprocal`: neighbours that are looked at, 20 when absent"
    )
    rerank_k2: int | None = Field(
        None,
        ge=1,
        le=MOST_RERANKED,
        description="of `k-reciprocal`: neighbours whose neighbourhoods are averaged, 6 when absent",
    )
    rerank_lambda: float | None = Field(
        None, ge=0, le=1, description="of `k-reciprocal`: share of the original distance, 0.3 when absent"
    )
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="which gallery to search")

    def question(self, asked_by: Collection[str | None], *, exclude_ids: Iterable[int] = ()) -> SearchRequest:
        """What is asked with images of these cameras (None: not known).

        Raises BadParameter where conditions contradict each other.
        """
        return SearchRequest(
            k=self.k,
            where=self._where(asked_by, exclude_ids),
            min_score=self.min_score,
            group_by=self.group_by,
            rerank=self.rerank,
            rerank_top=self.rerank_top,
            rerank_k1=self.rerank_k1,
            rerank_k2=self.rerank_k2,
            rerank_lambda=self.rerank_lambda,
            expand=self.expand,
        )

    def asked_filter(self) -> dict[str, JsonValue]:
        """The conditions that were given, by the names of their parameters."""
        given = self.model_dump(mode="json", include=set(FilterParams.model_fields), exclude_defaults=True)
        return given | ({"exclude_same_camera": True} if self.exclude_same_camera else {})

    def _where(self, asked_by: Collection[str | None], exclude_ids: Iterable[int]) -> Filter:
        where = self.where(exclude_ids=exclude_ids)
        if self.exclude_same_camera or self.min_probability is not None:
            own = frozenset(camera_id for camera_id in asked_by if camera_id is not None)
            if self.exclude_same_camera and not own:
                raise BadParameter(
                    "exclude_same_camera needs the query's camera: give camera_id (--camera), or ask by a camera's item"
                )
            where = replace(where, exclude_cameras=where.exclude_cameras | own)
        if both := sorted((where.cameras or frozenset()) & where.exclude_cameras):
            raise BadParameter(f"camera {both[0]!r} is asked for and excluded; leave out one of the two")
        return where


class QueryParams(SearchParams):
    """The parameters of a query by images."""

    camera_id: Named | None = Field(None, description="the camera that took the query images", examples=["c2"])


class ItemQueryParams(SearchParams):
    """The parameters of a query by a stored item, whose camera is known."""

    pool: Pool = Field("item", description="`track`: query with the mean of all items of the item's track")


class EmbedParams(Params):
    """The parameters of embedding images without a search."""

    camera_id: Named | None = Field(None, description="the camera that took the images", examples=["c2"])
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="whose cameras are meant")


class ExplainParams(Params):
    """The parameters of an explanation."""

    item_id: Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], at_most(2)] = Field(
        default_factory=list, max_length=2, description="a stored item, or the two that are compared", examples=[[17]]
    )
    camera_id: Annotated[list[Named], at_most(2)] = Field(
        default_factory=list,
        max_length=2,
        description="the cameras that took the images that are sent, in their order",
        examples=[["c2"]],
    )
    gallery: str = Field(DEFAULT_GALLERY, max_length=128, description="whose items and cameras are meant")
    format: Literal["json", "png"] | None = Field(
        None, description="what comes back; json when absent, unless the request accepts image/png"
    )
