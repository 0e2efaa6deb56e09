"""Exact search by faiss: the default for galleries that fit into memory as float32."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray


class FlatIndex:
    """faiss IDMap2 over a flat inner-product index."""

    def __init__(self, dimension: int) -> None:
        import faiss  # 0.2 s and 60 MB that commands without a search do not need

        self._faiss = faiss
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._threads = int(os.environ.get("OMP_NUM_THREADS", "") or os.cpu_count() or 1)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, ids: NDArray[np.int64], embeddings: NDArray[np.float32]) -> None:
        """Append (N, D) embeddings under (N,) new ids."""
        self._index.add_with_ids(np.ascontiguousarray(embeddings), np.ascontiguousarray(ids))

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Drop the rows of these ids; unknown ids are passed over. One pass over the index, however many ids."""
        if len(ids):
            self._index.remove_ids(self._faiss.IDSelectorBatch(np.ascontiguousarray(ids)))

    def search(self, embeddings: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and ids, both (Q, min(k, len)), best first."""
        k = min(k, len(self))
        if not k or not len(embeddings):
            shape = (len(embeddings), k)
            return np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int64)
        # One query over several threads is slower than over one: they wait for each other more than they work.
        # The setting belongs to the calling thread, so concurrent searches do not disturb each other.
        self._faiss.omp_set_num_threads(1 if len(embeddings) == 1 else self._threads)
        scores, ids = self._index.search(np.ascontiguousarray(embeddings), k)
        return scores, ids
