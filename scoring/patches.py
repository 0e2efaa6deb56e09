"""Re-ranking by patches: corresponding patches of two images, and the scores that include them.

Images are compared by their foreground: the patches with the most attention. Two patches correspond if each is the
other's nearest neighbour. `docs/results.md` reports how the shares below were chosen, and their effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitreid.scoring.labelled import Labelled, cosine_blocks

FOREGROUND_SHARE = 0.8
PATCH_SHARE = 0.05
TOP = 50  # candidates that are re-ranked
OFFSET = 4  # larger than any difference of cosines, so that re-ranked candidates come first

Floats = NDArray[np.float32]
Half = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Foreground:
    """The patches by which an image is compared: their indices among all, (K,) ascending, and unit vectors (K, D)."""

    patch_indices: NDArray[np.intp]
    vectors: Floats

    @classmethod
    def of(cls, patches: Floats, attention: Floats, share: float = FOREGROUND_SHARE) -> Foreground:
        """Select the patches of an image, of (N, D), that hold a share of the attention (N,)."""
        indices = foreground(attention, share)
        return cls(indices, patches[indices])


def foreground(attention: ArrayLike, share: float = FOREGROUND_SHARE) -> NDArray[np.intp]:
    """Return the indices (K,), ascending, of the fewest patches that hold a share of the attention (N,), at least one.

    Of patches with equal attention, those with the lower index are preferred.
    """
    weights = np.asarray(attention, np.float64)
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    return np.sort(order[before < share * weights.sum()])


def matched_patches(query: Floats, item: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the patches of a query (K, D) and an item (L, D), unit rows, that are each other's nearest neighbours.

    The result is pairs (P, 2) of indices into the two, most similar first, and their cosines (P,); P is at least 1. Of
    equally near patches of the query the first is taken.
    """
    cosines = item @ query.T
    nearest = cosines.argmax(1)
    similarity = cosines.max(1)
    mutual = np.flatnonzero(similarity == cosines.max(0)[nearest])
    order = mutual[np.argsort(-similarity[mutual], kind="stable")]
    return np.stack([nearest[order], order], axis=1), similarity[order]


def patch_scores(query: Floats, items: Iterable[Floats]) -> Floats:
    """Return the similarity (M,) of the foreground (K, D) of a query to those of M items, (L, D) each, -1..1.

    It is the mean cosine of the pairs of `matched_patches`.
    """
    return np.array([matched_patches(query, item)[1].mean() for item in items], np.float32)


def combine_scores(scores: ArrayLike, by_patches: ArrayLike, share: float = PATCH_SHARE) -> Floats:
    """Return the weighted mean (M,), -1..1, of scores of images and of their patches, which have weight `share`."""
    return (1 - share) * np.asarray(scores, np.float32) + share * np.asarray(by_patches, np.float32)


def reranked_blocks(
    query: Labelled,
    gallery: Labelled,
    query_patches: Sequence[Half],
    gallery_patches: Sequence[Half],
    *,
    share: float = PATCH_SHARE,
) -> Iterator[Floats]:
    """Yield scores (B, G) of queries in which the best TOP images are re-ranked by patches and come first.

    `query_patches` and `gallery_patches` are the foregrounds (K, D). The order of the other images stays the same.
    """
    row = 0
    for block in cosine_blocks(query, gallery):
        scores = block.copy()
        for cosines in scores:
            best = np.argsort(-cosines, kind="stable")[:TOP]
            items = (gallery_patches[index].astype(np.float32) for index in best)
            by_patches = patch_scores(query_patches[row].astype(np.float32), items)
            cosines[best] = combine_scores(cosines[best], by_patches, share) + OFFSET
            row += 1
        yield scores
