"""The search pipeline: filter, expand, find candidates, re-rank, cut by score or probability."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Calibration
from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.calibration import ScoreCalibration, with_known_cameras
from vitreid.service.search.candidates import Candidate, best_candidates, group_size
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.query import Query, mean_embedding
from vitreid.service.search.request import SearchRequest
from vitreid.service.search.reranking import RerankInput, rerank

ATTEMPTS = 3

NoMatch = Literal["empty-gallery", "nothing-passed-the-filter", "below-min-score"]


@dataclass(frozen=True)
class SearchResult:
    """The candidates for a query, or the reason why there are none."""

    candidates: list[Candidate]
    """Best first, at most k."""
    gallery_size: int
    """Visible items of the gallery."""
    searched: int
    """Items that passed the filter."""
    best_score: float | None
    """Of the best item or group that was searched, even if below the minimum score; None: nothing was searched."""
    min_score: float | None
    """The minimum score in effect, that of `min_probability` included."""
    calibration: Calibration | None
    """The calibration that the probabilities come from; None: not calibrated on images like the gallery's."""
    search_ms: float
    rerank_ms: float

    @property
    def no_match(self) -> NoMatch | None:
        """The reason why there are no candidates; None: there are."""
        if self.candidates:
            return None
        if not self.gallery_size:
            return "empty-gallery"
        return "below-min-score" if self.searched else "nothing-passed-the-filter"


def search(
    gallery: Gallery,
    query: Query,
    request: SearchRequest,
    *,
    calibration: Calibration | None = None,
    patches: PatchReranker | None = None,
    restrict: Callable[[Filter], Filter] = lambda where: where,
) -> SearchResult:
    """Find the best candidates for a query.

    `calibration` is that of the model. `restrict` narrows a filter to the items that are visible to the caller.
    `patches` re-ranks by patches. Raises BadParameter, NotCalibrated, EmbeddingRejected, GalleryError, and what the
    re-ranking does.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(ItemNotFound):  # an item was deleted between two reads: search again
            return _search(gallery, query, request, calibration, patches, restrict)
    return _search(gallery, query, request, calibration, patches, restrict)


def check_request(
    gallery: Gallery, request: SearchRequest, calibration: Calibration | None, *, camera_id: str | None, images: int
) -> None:
    """Raise BadParameter or NotCalibrated as `search` would, before a model runs for the query's images."""
    request.filter_for([camera_id])
    ScoreCalibration.of(calibration, gallery, request, camera_id, images).min_score(None, request.min_probability)


def _search(
    gallery: Gallery,
    query: Query,
    request: SearchRequest,
    calibration: Calibration | None,
    patches: PatchReranker | None,
    restrict: Callable[[Filter], Filter],
) -> SearchResult:
    started = perf_counter()
    min_score = gallery.settings().min_score if request.min_score is None else request.min_score
    where = restrict(request.filter_for(query.camera_ids, query.exclude_ids))
    scores = ScoreCalibration.of(calibration, gallery, request, query.camera_ids[0], query.images)
    min_score = scores.min_score(min_score, request.min_probability)
    if request.min_probability is not None:
        where = with_known_cameras(where, gallery)
    if request.expand:
        query = expanded(gallery, query, request.expand, where=where, min_score=min_score)
    candidates = best_candidates(gallery, query.embedding, request.depth, where=where, group_by=request.group_by)
    best_score = candidates[0].match.score if candidates else None
    searched_at = perf_counter()
    candidates = rerank(RerankInput(gallery, query, request, candidates, patches))
    candidates = [each for each in candidates if min_score is None or each.match.score >= min_score][: request.k]
    reranked_at = perf_counter()
    visible = restrict(EVERYTHING)
    gallery_size = gallery.count(visible)
    return SearchResult(
        candidates=[
            replace(
                each,
                probability=scores.probability(each),
                group_size=group_size(gallery, each, where=where, group_by=request.group_by),
            )
            for each in candidates
        ],
        gallery_size=gallery_size,
        searched=gallery_size if where == visible else gallery.count(where),
        best_score=best_score,
        min_score=min_score,
        calibration=scores.calibration,
        search_ms=1000 * (searched_at - started + perf_counter() - reranked_at),
        rerank_ms=1000 * (reranked_at - searched_at),
    )


def expanded(gallery: Gallery, query: Query, count: int, *, where: Filter, min_score: float | None) -> Query:
    """Average query expansion: replace the embedding by its mean with the best `count` items of at least `min_score`.

    Chum et al., "Total Recall: Automatic Query Expansion with a Generative Feature Model", ICCV 2007. Raises
    ItemNotFound for an item that was deleted meanwhile.
    """
    [matches] = gallery.search(query.embedding[None], count, where=where, min_score=min_score)
    if not matches:
        return query
    rows: NDArray[np.float32] = gallery.embeddings([match.item.id for match in matches])
    return replace(query, embedding=mean_embedding(np.concatenate([query.embedding[None], rows])))
