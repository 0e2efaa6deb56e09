"""A better order for the best candidates, from how alike they are among themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.gallery.gallery import Gallery
from service.search.candidates import Candidate
from service.search.question import Rerank


def reciprocal_distances(query: NDArray[np.float32], candidates: NDArray[np.float32]) -> NDArray[np.float32]:
    """k-reciprocal distances (N,) of a query (D,) to candidates (N, D), of which N are looked at and no others."""
    from scoring.reranking import reranked_distances  # brings scipy, a fifth of a second of every start

    [block] = reranked_distances(query[None], candidates)
    return np.asarray(block[0])


RERANKINGS: dict[Rerank, Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]] = {
    "k-reciprocal": reciprocal_distances
}
"""By name: distances (N,), lower is better, of a query (D,) to candidates (N, D)."""


def reranked(
    gallery: Gallery, query: NDArray[np.float32], candidates: Sequence[Candidate], *, top: int, rerank: Rerank
) -> list[Candidate]:
    """The candidates, the first `top` of them in the order of their new distances; the others keep their places.

    A group is represented by its best item. Raises ItemNotFound for an item that was deleted meanwhile.
    """
    first, others = candidates[:top], candidates[top:]
    if rerank not in RERANKINGS or not first:
        return list(candidates)
    distances = RERANKINGS[rerank](query, gallery.embeddings([each.match.item.id for each in first]))
    told = [replace(each, rerank_distance=float(away)) for each, away in zip(first, distances, strict=True)]
    return [told[place] for place in np.argsort(distances, kind="stable")] + list(others)
