"""Exact search by faiss: the default for galleries that fit into memory as float32."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vitreid.service.indexes.faiss_calls import load_faiss, selector, set_threads, to_result
from vitreid.service.indexes.matrix import MatrixIndex
from vitreid.service.indexes.protocol import Allowed, Floats, Ids, empty_result


class FlatIndex(MatrixIndex):
    """Compares every embedding, in the loop of faiss's flat index.

    The matrix is our own: faiss's flat index with ids takes 13 ms to remove one of 100,000 rows, because it moves all
    rows after it.
    """

    kind: ClassVar[str] = "flat"

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        load_faiss()

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Return scores and ids, both (Q, min(k, len)), best first."""
        queries, rows = np.ascontiguousarray(embeddings, dtype=np.float32), self._embeddings.values
        assert queries.shape[1:] == rows.shape[1:], "faiss would read past the end"
        scores, places = empty_result(len(queries), min(k, len(self)))
        if not places.size:
            return scores, places
        only = None if allowed is None else selector(self.members(allowed))
        set_threads(len(queries))
        pointer = load_faiss().swig_ptr
        sizes = (self.dimension, len(queries), len(rows), places.shape[1])
        inputs, outputs = (pointer(queries), pointer(rows)), (pointer(scores), pointer(places))
        load_faiss().knn_inner_product(*inputs, *sizes, *outputs, only)
        return to_result(scores, places, self._positions.ids)
