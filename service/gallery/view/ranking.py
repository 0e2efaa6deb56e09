"""The order of a search's answers: best first, and equal scores by id."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6
"""Scores this close are equal: float32 products differ by less between indexes, batches and machines."""


def rank(
    scores: NDArray[np.float32], ids: NDArray[np.int64], k: int, *, complete: bool
) -> list[tuple[int, float]] | None:
    """Return the best k as (id, score), in order.

    `scores` and `ids` are (N,) candidates; `complete` says that there are no others. A group of equal scores starts
    at its best member and reaches TOLERANCE down; all members are given the best one's score. None: the group at the
    k-th place may go on beyond the candidates, so more of them are needed to know which belong to the best k.
    """
    order = np.lexsort((ids, -scores))
    ordered_scores: list[float] = np.clip(scores[order].astype(np.float64), -1.0, 1.0).tolist()
    ordered_ids: list[int] = ids[order].tolist()
    ranked: list[tuple[int, float]] = []
    start = 0
    while start < len(ordered_ids) and len(ranked) < k:
        best = ordered_scores[start]
        end = start + 1
        while end < len(ordered_ids) and best - ordered_scores[end] <= TOLERANCE:
            end += 1
        if end == len(ordered_ids) and not complete:
            return None
        ranked += [(item_id, best) for item_id in sorted(ordered_ids[start:end])]
        start = end
    return ranked[:k]
