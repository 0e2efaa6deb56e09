"""From an embedding and a question to what was found."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitreid.service.gallery.errors import ItemNotFound
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.candidates import Candidate, best_candidates, group_size
from vitreid.service.search.combining import expanded
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.request import SearchRequest
from vitreid.service.search.reranking import Compared, reranked

ATTEMPTS = 3

NoMatch = Literal["empty-gallery", "nothing-passed-the-filter", "below-min-score"]


@dataclass(frozen=True)
class Found:
    """The answer to a question."""

    candidates: list[Candidate]
    """Best first, at most k."""
    sizes: list[int]
    """Of each candidate: the items of its group that passed the filter, itself included."""
    gallery_size: int
    """Items in the gallery that the asker may know of."""
    searched: int
    """Items that passed the filter."""
    best_score: float | None
    """Of the best item or group that was searched, also where it is below the least score; None: nothing was."""
    search_ms: float
    rerank_ms: float

    @property
    def no_match(self) -> NoMatch | None:
        """Why there are no candidates; None: there are."""
        if self.candidates:
            return None
        if not self.gallery_size:
            return "empty-gallery"
        return "below-min-score" if self.searched else "nothing-passed-the-filter"


def find(
    gallery: Gallery,
    embedding: NDArray[np.float32],
    question: SearchRequest,
    *,
    visible: Filter = EVERYTHING,
    looking: PatchReranker | None = None,
) -> Found:
    """The best candidates for a unit embedding (D,).

    `visible` lets through what the asker may know of; the question's filter lies within it. `looking` is for
    re-ranking by patches. Raises BadParameter, EmbeddingRejected, GalleryError, and what the re-ranking does.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(ItemNotFound):  # an item was deleted between two looks: look again
            return _find(gallery, embedding, question, visible, looking)
    return _find(gallery, embedding, question, visible, looking)


def _find(
    gallery: Gallery,
    embedding: NDArray[np.float32],
    question: SearchRequest,
    visible: Filter,
    looking: PatchReranker | None,
) -> Found:
    begin = perf_counter()
    where, least = question.where, question.min_score
    if question.expand:
        embedding = expanded(gallery, embedding, question.expand, where=where, min_score=least)
    candidates = best_candidates(gallery, embedding, question.depth, where=where, group_by=question.group_by)
    best = candidates[0].match.score if candidates else None
    found = perf_counter()
    compared = Compared(embedding, candidates, gallery, looking, question.rerank_numbers)
    ordered = reranked(compared, top=question.reranked, rerank=question.rerank)
    kept = [each for each in ordered if least is None or each.match.score >= least][: question.k]
    reordered = perf_counter()
    sizes = [group_size(gallery, each, where=where, group_by=question.group_by) for each in kept]
    size = gallery.count(visible)
    searched = size if where == visible else gallery.count(where)
    counted = perf_counter()
    return Found(
        candidates=kept,
        sizes=sizes,
        gallery_size=size,
        searched=searched,
        best_score=best,
        search_ms=1000 * (found - begin + counted - reordered),
        rerank_ms=1000 * (reordered - found),
    )
