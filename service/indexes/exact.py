"""The reference index: one matrix, one product, one sort, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST_ROWS = 1024
SCORES_AT_ONCE = 16_000_000  # 64 MB of float32: queries are taken in blocks of at most so many scores


class ExactIndex:
    """All embeddings in one float32 matrix that doubles when it is full."""

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._ids = np.empty(FIRST_ROWS, dtype=np.int64)
        self._rows = np.empty((FIRST_ROWS, dimension), dtype=np.float32)

    def __len__(self) -> int:
        return self._count

    def add(self, ids: NDArray[np.int64], embeddings: NDArray[np.float32]) -> None:
        """Append (N, D) embeddings under (N,) new ids."""
        end = self._count + len(ids)
        if end > len(self._ids):
            spare = max(end, 2 * len(self._ids)) - len(self._ids)
            self._ids = np.concatenate([self._ids, np.empty(spare, dtype=np.int64)])
            self._rows = np.concatenate([self._rows, np.empty((spare, self._rows.shape[1]), dtype=np.float32)])
        self._ids[self._count : end] = ids
        self._rows[self._count : end] = embeddings
        self._count = end

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Drop the rows of these ids, keeping the order of the others; unknown ids are passed over."""
        keep = ~np.isin(self._ids[: self._count], ids)
        left = int(keep.sum())
        self._ids[:left] = self._ids[: self._count][keep]
        self._rows[:left] = self._rows[: self._count][keep]
        self._rows[left : self._count] = 0  # what was erased does not linger in memory
        self._count = left

    def search(self, embeddings: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and ids, both (Q, min(k, len)), best first; equal scores by id."""
        k = min(k, self._count)
        scores = np.empty((len(embeddings), k), dtype=np.float32)
        ids = np.empty((len(embeddings), k), dtype=np.int64)
        block = max(1, SCORES_AT_ONCE // max(1, self._count))
        for start in range(0, len(embeddings) if k else 0, block):
            rows = slice(start, start + block)
            scores[rows], ids[rows] = self._search_block(embeddings[rows], k)
        return scores, ids

    def _search_block(self, embeddings: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        every = embeddings @ self._rows[: self._count].T
        best = np.argpartition(-every, k - 1, axis=1)[:, :k]
        scores = np.take_along_axis(every, best, axis=1)
        ids = self._ids[best]
        order = np.lexsort((ids, -scores), axis=1)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
