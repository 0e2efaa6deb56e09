"""Patches as evidence: which patches of two images correspond, and what that adds to the score of the images.

Images are compared by their foreground: the patches that the embedding looks at most. Two of them correspond where
each is the other's nearest. What the shares below were chosen on, and what they gave, is in `docs/results.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitreid.scoring.labelled import Labelled, cosine_blocks

FOREGROUND_SHARE = 0.8
PATCH_SHARE = 0.05
TOP = 50
ABOVE = 4  # more than two cosines differ by

Floats = NDArray[np.float32]
Half = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Foreground:
    """The patches by which an image is compared: their places among all, (K,) ascending, and vectors (K, D), unit."""

    places: NDArray[np.intp]
    vectors: Floats

    @classmethod
    def of(cls, patches: Floats, attention: Floats, share: float = FOREGROUND_SHARE) -> Foreground:
        """Of all patches (N, D) of an image those that hold a share of the attention (N,)."""
        places = foreground(attention, share)
        return cls(places, patches[places])


def foreground(attention: ArrayLike, share: float = FOREGROUND_SHARE) -> NDArray[np.intp]:
    """Places (K,), ascending, of the fewest patches that hold a share of the attention (N,), at least one.

    Of patches with equal attention the first count first.
    """
    weights = np.asarray(attention, np.float64)
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    return np.sort(order[before < share * weights.sum()])


def matched_patches(query: Floats, item: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Which patches of a query (K, D) and an item (L, D), unit rows, are each other's nearest: at least one pair.

    Pairs (P, 2) of places in the two, the most alike first, and their cosines (P,). Of equally near patches of the
    query the first counts.
    """
    cosines = item @ query.T
    nearest = cosines.argmax(1)
    alike = cosines.max(1)
    mutual = np.flatnonzero(alike == cosines.max(0)[nearest])
    order = mutual[np.argsort(-alike[mutual], kind="stable")]
    return np.stack([nearest[order], order], axis=1), alike[order]


def patch_scores(query: Floats, items: Iterable[Floats]) -> Floats:
    """How alike the foreground (K, D) of a query is to those of M items, (L, D) each: (M,), -1..1, higher is better.

    The mean cosine of the pairs that `matched_patches` finds.
    """
    return np.array([matched_patches(query, item)[1].mean() for item in items], np.float32)


def with_patches(scores: ArrayLike, of_patches: ArrayLike, share: float = PATCH_SHARE) -> Floats:
    """Scores of images (M,) and of their patches (M,) in one, -1..1, of which a share is the patches'."""
    return (1 - share) * np.asarray(scores, np.float32) + share * np.asarray(of_patches, np.float32)


def reranked_blocks(
    query: Labelled, gallery: Labelled, seen: Sequence[Half], offered: Sequence[Half], *, share: float = PATCH_SHARE
) -> Iterator[Floats]:
    """Scores in blocks (B, G) of queries, by which the best TOP of their cosines come first, re-ranked by patches.

    `seen` and `offered` are the foregrounds (K, D) of queries and gallery. The order of the others stays.
    """
    row = 0
    for block in cosine_blocks(query, gallery):
        scores = block.copy()
        for cosines in scores:
            best = np.argsort(-cosines, kind="stable")[:TOP]
            items = (offered[place].astype(np.float32) for place in best)
            cosines[best] = (
                with_patches(cosines[best], patch_scores(seen[row].astype(np.float32), items), share) + ABOVE
            )
            row += 1
        yield scores
