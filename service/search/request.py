"""The options of a search."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from vitreid.service.errors import BadParameter
from vitreid.service.gallery.filters import EVERYTHING, Filter

GroupBy = Literal["item", "person", "track", "camera"]
Rerank = Literal["none", "k-reciprocal", "patches"]
RERANK_TOP: dict[Rerank, int] = {"none": 0, "k-reciprocal": 100, "patches": 50}
"""Default number of the best candidates that are re-ranked."""
MAX_RERANKED = 500
MAX_EXPANDED = 100


@dataclass(frozen=True)
class SearchRequest:
    """Options of one search. Raises BadParameter for options that contradict each other."""

    k: int = 10
    """Maximum number of candidates: items, or groups of items."""
    where: Filter = EVERYTHING
    """Items to search."""
    min_score: float | None = None
    """Leaves out candidates below; None: the gallery's own setting."""
    min_probability: float | None = None
    """Leaves out candidates below, in (0, 1); for a calibrated model and a query of one image."""
    group_by: GroupBy = "item"
    """What one candidate is: an item, or all items that share a label."""
    exclude_same_camera: bool = False
    """Leaves out items of the query's own camera."""
    expand: int = 0
    """Number of the best items that the query is averaged with before a second search."""
    rerank: Rerank = "none"
    rerank_top: int | None = None
    """Number of the best candidates that are re-ranked; None: RERANK_TOP."""
    rerank_k1: int | None = None
    """Of k-reciprocal re-ranking, as the two below; None: the published value."""
    rerank_k2: int | None = None
    rerank_lambda: float | None = None

    def __post_init__(self) -> None:
        if self.rerank == "none" and self.rerank_top is not None:
            raise BadParameter(f"rerank_top {self.rerank_top} without rerank; give rerank=k-reciprocal or patches")
        if self.rerank != "k-reciprocal" and self.reciprocal_parameters:
            raise BadParameter(
                "rerank_k1, rerank_k2 and rerank_lambda are for rerank=k-reciprocal; give it or leave them out"
            )

    @property
    def depth(self) -> int:
        """Number of candidates to search for, so that the best k after re-ranking are among them."""
        return max(self.k, self.reranked)

    @property
    def reranked(self) -> int:
        """Number of candidates to re-rank."""
        return self.rerank_top or RERANK_TOP[self.rerank]

    @property
    def reciprocal_parameters(self) -> dict[str, Any]:
        """The given parameters of k-reciprocal re-ranking, by their names in `reranked_distances`."""
        values = {"k1": self.rerank_k1, "k2": self.rerank_k2, "original_share": self.rerank_lambda}
        return {name: value for name, value in values.items() if value is not None}

    def filter_for(self, camera_ids: Collection[str | None], exclude_ids: Collection[int] = ()) -> Filter:
        """Return the filter of a query whose images are from these cameras (None: unknown).

        `exclude_ids` are items that the query itself is made of. Raises BadParameter for conditions that contradict
        each other.
        """
        where = replace(self.where, exclude_ids=self.where.exclude_ids.union(exclude_ids))
        if self.exclude_same_camera or self.min_probability is not None:
            own = frozenset(camera_id for camera_id in camera_ids if camera_id is not None)
            if self.exclude_same_camera and not own:
                raise BadParameter(
                    "exclude_same_camera needs the query's camera; give camera_id (--camera), or query by an item that "
                    "has one"
                )
            where = replace(where, exclude_cameras=where.exclude_cameras | own)
        if both := sorted((where.cameras or frozenset()) & where.exclude_cameras):
            raise BadParameter(f"camera {both[0]!r} is both included and excluded; leave out one of the two")
        return where
