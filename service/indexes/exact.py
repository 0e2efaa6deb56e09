"""Reference index: one matrix, one product, one sort, in numpy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vitreid.service.indexes.matrix import MatrixIndex
from vitreid.service.indexes.protocol import NO_ID, Allowed, Floats, Ids, empty_result

SCORES_AT_ONCE = 16_000_000  # 64 MB of float32: limit of one block of queries


class ExactIndex(MatrixIndex):
    """Compares every embedding; equal scores are ordered by id."""

    kind: ClassVar[str] = "exact"

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Return scores and ids, both (Q, min(k, len)), best first."""
        scores, ids = empty_result(len(embeddings), min(k, len(self)))
        block = max(1, SCORES_AT_ONCE // max(1, len(self)))
        for start in range(0, len(embeddings) if ids.size else 0, block):
            rows = slice(start, start + block)
            scores[rows], ids[rows] = self._search_block(embeddings[rows], ids.shape[1], allowed)
        return scores, ids

    def _search_block(self, embeddings: Floats, k: int, allowed: Allowed | None) -> tuple[Floats, Ids]:
        similarity = embeddings @ self._embeddings.values.T
        if allowed is not None:
            similarity[:, ~self.members(allowed)] = -np.inf
        best = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        scores = np.take_along_axis(similarity, best, axis=1)
        ids = np.where(np.isneginf(scores), NO_ID, self._positions.ids[best])
        order = np.lexsort((ids, -scores), axis=1)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
