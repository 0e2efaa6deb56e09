"""Exact search by faiss: the default for galleries that fit into memory as float32."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vitreid.service.indexes.faiss_calls import as_answer, load_faiss, selector, set_threads
from vitreid.service.indexes.matrix import MatrixIndex
from vitreid.service.indexes.protocol import Allowed, Floats, Ids, nothing


class FlatIndex(MatrixIndex):
    """Every embedding compared, in the loop of faiss's flat index.

    The matrix is ours: faiss's own flat index with ids takes 13 ms to remove one of 100,000 rows, because it moves all
    that follow.
    """

    kind: ClassVar[str] = "flat"

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        load_faiss()

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Scores and ids, both (Q, min(k, len)), best first."""
        queries, rows = np.ascontiguousarray(embeddings, dtype=np.float32), self._embeddings.values
        assert queries.shape[1:] == rows.shape[1:], "faiss would read past the end"
        scores, found = nothing(len(queries), min(k, len(self)))
        if not found.size:
            return scores, found
        only = None if allowed is None else selector(self.members(allowed))
        set_threads(len(queries))
        pointer = load_faiss().swig_ptr
        sizes = (self.dimension, len(queries), len(rows), found.shape[1])
        inputs, outputs = (pointer(queries), pointer(rows)), (pointer(scores), pointer(found))
        load_faiss().knn_inner_product(*inputs, *sizes, *outputs, only)
        return as_answer((scores, found), self._positions.ids)
