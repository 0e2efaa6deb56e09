"""Indexes: embeddings by id, searched by inner product. A new one is a file here and a line in INDEXES."""

from __future__ import annotations

import numpy as np

from service.errors import UnknownName
from service.indexes.choice import AUTO, choose_index, worn
from service.indexes.exact import ExactIndex
from service.indexes.flat import FlatIndex
from service.indexes.gpu import GpuIndex
from service.indexes.hnsw import HnswIndex
from service.indexes.ivf import IvfIndex
from service.indexes.protocol import Allowed, Floats, Ids, Index, Parameters

INDEXES: dict[str, type[Index]] = {
    "exact": ExactIndex,
    "flat": FlatIndex,
    "ivf": IvfIndex,
    "hnsw": HnswIndex,
    "gpu": GpuIndex,
}
"""By name: the class that builds and loads indexes of this kind."""


def index_kind(name: str) -> type[Index]:
    """The class of this kind. Raises UnknownName."""
    if name not in INDEXES:
        raise UnknownName.of("index", name, INDEXES)
    return INDEXES[name]


def make_index(name: str, dimension: int) -> Index:
    """An empty index. Raises UnknownName."""
    ids, embeddings = np.empty(0, dtype=np.int64), np.empty((0, dimension), dtype=np.float32)
    return index_kind(name).build(dimension, ids, embeddings)


__all__ = [
    "AUTO",
    "INDEXES",
    "Allowed",
    "ExactIndex",
    "FlatIndex",
    "Floats",
    "GpuIndex",
    "HnswIndex",
    "Ids",
    "Index",
    "IvfIndex",
    "Parameters",
    "choose_index",
    "index_kind",
    "make_index",
    "worn",
]
