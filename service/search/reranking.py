"""Re-ranking: a better order for the best candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import ExplainUnsupported
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.candidates import Candidate
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.query import Query
from vitreid.service.search.request import Rerank, SearchRequest

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RerankInput:
    """A query and its best N candidates; a group is represented by its best item."""

    gallery: Gallery
    query: Query
    request: SearchRequest
    candidates: list[Candidate]
    patches: PatchReranker | None = None
    """None: this caller cannot re-rank by patches."""

    @property
    def ids(self) -> list[int]:
        """Ids (N,) of the candidates' items."""
        return [each.match.item.id for each in self.candidates]

    @property
    def scores(self) -> Floats:
        """Cosines (N,) of the query and the candidates."""
        return np.array([each.match.score for each in self.candidates], dtype=np.float32)

    @property
    def embeddings(self) -> Floats:
        """Embeddings (N, D) of the candidates. Raises ItemNotFound for an item that was deleted meanwhile."""
        return self.gallery.embeddings(self.ids)


def reciprocal_distances(inputs: RerankInput) -> Floats:
    """Return k-reciprocal distances (N,) of a query to its candidates, computed among them alone.

    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017.
    """
    from vitreid.scoring.reranking import reranked_distances  # imports scipy: 0.2 s of every start

    parameters = inputs.request.reciprocal_parameters
    [block] = reranked_distances(inputs.query.embedding[None], inputs.embeddings, **parameters)
    return np.asarray(block[0])


def patch_distances(inputs: RerankInput) -> Floats:
    """Return distances (N,) of a query to its candidates by their cosines and matched foreground patches.

    Raises what `PatchReranker.distances` does.
    """
    if inputs.patches is None:
        raise ExplainUnsupported("re-ranking by patches is not available here; use rerank=k-reciprocal")
    return inputs.patches.distances(inputs.gallery, inputs.query.foregrounds(), inputs.ids, inputs.scores)


RERANKERS: dict[Rerank, Callable[[RerankInput], Floats]] = {
    "k-reciprocal": reciprocal_distances,
    "patches": patch_distances,
}
"""By name: distances (N,), 0..1, lower is better, of a query to its candidates."""


def rerank(inputs: RerankInput) -> list[Candidate]:
    """Return the candidates with the first `request.reranked` in the order of their new distances.

    Raises ItemNotFound for an item that was deleted meanwhile, and what the re-ranker does.
    """
    candidates, top, name = inputs.candidates, inputs.request.reranked, inputs.request.rerank
    if name not in RERANKERS or not candidates:
        return candidates
    distances = RERANKERS[name](replace(inputs, candidates=candidates[:top]))
    measured = [replace(each, rerank_distance=float(d)) for each, d in zip(candidates, distances, strict=False)]
    return [measured[place] for place in np.argsort(distances, kind="stable")] + candidates[top:]
