"""Embeddings in a graph of neighbours, half as large: the fastest answers, for galleries that change little."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vitreid.service.indexes import files
from vitreid.service.indexes.columns import Column, Positions, allows
from vitreid.service.indexes.faiss_calls import as_answer, load_faiss, selector, set_threads
from vitreid.service.indexes.protocol import Allowed, Floats, Ids, Parameters, nothing
from vitreid.service.indexes.trust import MOST_EF, check, check_graph, check_ids, check_parameters
from vitreid.service.indexes.tuning import NEAR_DUPLICATES, TARGET_RECALL, K, questions

LINKS = 32  # of an embedding to its neighbours, twice as many in the lowest layer
BUILD_EF = 80
EF_LEVELS = (96, 128, 192, 256, 384, 512, 768, 1024)
SCAN_ROWS = 5_000  # where so few may be found, comparing each costs no more than the graph
SCAN_SHARE = 0.3  # where less may be found, the graph leads past it too often


class HnswIndex:
    """faiss HNSW over 16-bit floats.

    A graph cannot forget: removed embeddings stay as waypoints, are never found, and count as garbage until a rebuild.
    """

    kind: ClassVar[str] = "hnsw"
    exact_scores: ClassVar[bool] = False

    def __init__(self, native: Any, parameters: Parameters) -> None:
        self._native = native
        self._positions = Positions()
        self._alive = Column(np.bool_)  # by row
        self._count = 0  # of those alive
        self._parameters = parameters

    @classmethod
    def build(cls, dimension: int, ids: Ids, embeddings: Floats) -> Self:
        """An index of (N, D) embeddings under (N,) ids, tuned on them."""
        faiss = load_faiss()
        native = faiss.IndexHNSWSQ(dimension, faiss.ScalarQuantizer.QT_fp16, LINKS, faiss.METRIC_INNER_PRODUCT)
        native.hnsw.efConstruction = BUILD_EF
        index = cls(native, {"links": LINKS, "ef": EF_LEVELS[0], "recall": 1.0, "built_with": len(ids)})
        index.add(ids, embeddings)
        if len(ids) > SCAN_ROWS:
            index._tune(ids, embeddings)
        return index

    @classmethod
    def load(cls, path: Path, dimension: int, slots: int | None = None) -> Self:
        """The index that `save` wrote, of ids below `slots` where that is given. Raises IndexDamaged."""
        contents = files.read(path, cls.kind, dimension)
        with files.damaged(path):
            ids, alive = contents.arrays["ids"], contents.arrays["alive"]
            check((alive.shape == ids.shape and alive.dtype == np.bool_, "it does not say which rows are alive"))
            check_ids(ids[alive], slots)
            check_ids(np.unique(ids), slots)  # a removed row may have the id of a newer one
            check_graph(contents.native, len(ids), dimension)
            check_parameters(contents.parameters, {"ef": (1, MOST_EF), "built_with": (0, 2**62)})
            index = cls(contents.native, contents.parameters)
            index._take(ids, alive)
        return index

    def save(self, path: Path) -> None:
        """Write the graph, with what garbage it holds."""
        arrays: dict[str, NDArray[Any]] = {"ids": self._positions.ids, "alive": self._alive.values}
        files.write(path, files.Contents(self.kind, self._native.d, arrays, self._parameters, self._native))

    def __len__(self) -> int:
        return self._count

    @property
    def garbage(self) -> int:
        """Removed embeddings that are still waypoints."""
        return len(self._alive) - self._count

    @property
    def memory_bytes(self) -> int:
        """Codes and links, and what says which row has which id."""
        hnsw, rows = self._native.hnsw, len(self._alive)
        links = 4 * hnsw.neighbors.size() + 8 * hnsw.offsets.size() + 4 * hnsw.levels.size()
        codes = rows * load_faiss().downcast_index(self._native.storage).code_size
        return int(links + codes + self._positions.nbytes + self._alive.nbytes)

    @property
    def parameters(self) -> Parameters:
        """Links of an embedding, ef (neighbours kept in sight) of an unfiltered search, the recall measured with it."""
        return dict(self._parameters)

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Take (N, D) embeddings under (N,) new ids."""
        if len(ids):
            set_threads(len(ids))
            self._native.add(np.ascontiguousarray(embeddings, dtype=np.float32))
            self._take(ids, np.ones(len(ids), dtype=np.bool_))

    def remove(self, ids: Ids) -> None:
        """Let these ids not be found any more; unknown ones are passed over."""
        rows = self._positions.find(ids)
        self._positions.forget(rows)
        self._alive.values[rows] = False
        self._count -= len(rows)

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Scores and ids, both (Q, min(k, len)), best first.

        Where few may be found, and where the graph led to too few, each is compared.
        """
        k, members, left = min(k, len(self)), self._alive.values, len(self)
        if allowed is not None:
            members = members & allows(allowed, self._positions.ids)
            left = int(np.count_nonzero(members))
        if not left or not len(embeddings):
            return nothing(len(embeddings), k)
        queries = np.ascontiguousarray(embeddings, dtype=np.float32)
        only = None if left == len(members) else selector(members)
        share = left / len(members)
        if left <= SCAN_ROWS or share < SCAN_SHARE:
            return self._scan(queries, k, only)
        scores, ids = self._walk(queries, k, only, int(self._parameters["ef"] / share))
        short = ids[:, min(k, left) - 1] < 0
        if short.any():
            scores[short], ids[short] = self._scan(queries[short], k, only)
        return scores, ids

    def _walk(self, queries: Floats, k: int, only: Any, ef: int) -> tuple[Floats, Ids]:
        set_threads(len(queries))
        parameters = load_faiss().SearchParametersHNSW(sel=only, efSearch=ef)
        return as_answer(self._native.search(queries, k, params=parameters), self._positions.ids)

    def _scan(self, queries: Floats, k: int, only: Any) -> tuple[Floats, Ids]:
        set_threads(len(queries))
        faiss = load_faiss()
        parameters = faiss.SearchParameters(sel=only)
        storage = faiss.downcast_index(self._native.storage)
        return as_answer(storage.search(queries, k, params=parameters), self._positions.ids)

    def _take(self, ids: Ids, alive: Allowed) -> None:
        """Name the newest rows."""
        start = len(self._alive)
        self._positions.append(ids)
        self._positions.forget(start + np.flatnonzero(~alive))
        self._alive.append(alive)
        self._count += int(np.count_nonzero(alive))

    def _tune(self, ids: Ids, embeddings: Floats) -> None:
        asked = questions(ids, embeddings)
        for ef in EF_LEVELS:
            recall = asked.recall(self._walk(asked.queries, K + NEAR_DUPLICATES, None, ef)[1], K)
            self._parameters |= {"ef": ef, "recall": round(recall, 4)}
            if recall >= TARGET_RECALL:
                break
