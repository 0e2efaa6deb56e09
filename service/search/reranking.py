"""A better order for the best candidates: from how alike they are among themselves, or from their patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import ExplainUnsupported
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.candidates import Candidate
from vitreid.service.search.patches import PatchReranker
from vitreid.service.search.request import Rerank

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Compared:
    """A query and its best candidates, as a re-ranking sees them; a group is represented by its best item."""

    query: Floats
    """(D,), unit length."""
    candidates: Sequence[Candidate]
    gallery: Gallery
    looking: PatchReranker | None
    """How patches are looked at; None: by nobody here."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Of k-reciprocal re-ranking, where they are not the published ones."""

    @property
    def ids(self) -> list[int]:
        """Of the candidates' items, (N,)."""
        return [each.match.item.id for each in self.candidates]

    @property
    def scores(self) -> Floats:
        """Cosines (N,) of the query and the candidates."""
        return np.array([each.match.score for each in self.candidates], dtype=np.float32)

    @property
    def embeddings(self) -> Floats:
        """(N, D) of the candidates. Raises ItemNotFound for an item that was deleted meanwhile."""
        return self.gallery.embeddings(self.ids)


def reciprocal_distances(compared: Compared) -> Floats:
    """k-reciprocal distances (N,) of a query to its candidates, which are looked at and no others."""
    from vitreid.scoring.reranking import reranked_distances  # brings scipy, a fifth of a second of every start

    [block] = reranked_distances(compared.query[None], compared.embeddings, **compared.numbers)
    return np.asarray(block[0])


def patch_distances(compared: Compared) -> Floats:
    """Distances (N,) of a query to its candidates by their cosines and their foreground patches, matched pairwise.

    Raises what `PatchReranker.distances` does.
    """
    if compared.looking is None:
        raise ExplainUnsupported("nothing here looks at patches; ask with rerank=k-reciprocal")
    return compared.looking.distances(compared.gallery, compared.ids, compared.scores)


RERANKINGS: dict[Rerank, Callable[[Compared], Floats]] = {
    "k-reciprocal": reciprocal_distances,
    "patches": patch_distances,
}
"""By name: distances (N,), 0..1, lower is better, of a query to its candidates."""


def reranked(compared: Compared, *, top: int, rerank: Rerank) -> list[Candidate]:
    """The candidates, the first `top` of them in the order of their new distances; the others keep their places.

    Raises ItemNotFound for an item that was deleted meanwhile, and what the re-ranking does.
    """
    first, others = compared.candidates[:top], compared.candidates[top:]
    if rerank not in RERANKINGS or not first:
        return list(compared.candidates)
    distances = RERANKINGS[rerank](replace(compared, candidates=first))
    told = [replace(each, rerank_distance=float(away)) for each, away in zip(first, distances, strict=True)]
    return [told[place] for place in np.argsort(distances, kind="stable")] + list(others)
