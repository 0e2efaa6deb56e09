"""Patches as evidence: which patches of two pictures correspond, and what that adds to the score of the pictures.

Pictures are compared by their foreground: the patches that the embedding looks at most. Two of them correspond where
each is the other's nearest. What the shares below were chosen on, and what they gave, is in `docs/results.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FOREGROUND_SHARE = 0.8
PATCH_SHARE = 0.1

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Foreground:
    """The patches by which a picture is compared: their places among all, (K,) ascending, and vectors (K, D), unit."""

    places: NDArray[np.intp]
    vectors: Floats

    @classmethod
    def of(cls, patches: Floats, attention: Floats) -> Foreground:
        """Of all patches (N, D) of a picture those that hold most of the attention (N,)."""
        places = foreground(attention)
        return cls(places, patches[places])


def foreground(attention: ArrayLike) -> NDArray[np.intp]:
    """Places (K,), ascending, of the fewest patches that hold FOREGROUND_SHARE of the attention (N,), at least one.

    Of patches with equal attention the first count first.
    """
    weights = np.asarray(attention, np.float64)
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    return np.sort(order[before < FOREGROUND_SHARE * weights.sum()])


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


def with_patches(scores: ArrayLike, of_patches: ArrayLike) -> Floats:
    """Scores of pictures (M,) and of their patches (M,) in one, -1..1: PATCH_SHARE of it is the patches'."""
    return (1 - PATCH_SHARE) * np.asarray(scores, np.float32) + PATCH_SHARE * np.asarray(of_patches, np.float32)
