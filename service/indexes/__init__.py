"""Indexes: embeddings by id, searched by inner product. A new one is a file here and a line in INDEXES."""

from __future__ import annotations

from service.errors import UnknownName
from service.indexes.choice import AUTO, choose_index, worn
from service.indexes.exact import ExactIndex
from service.indexes.flat import FlatIndex
from service.indexes.gpu import GpuIndex
from service.indexes.hnsw import HnswIndex
from service.indexes.ivf import IvfIndex
from service.indexes.protocol import Index

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


__all__ = [
    "AUTO",
    "INDEXES",
    "ExactIndex",
    "FlatIndex",
    "GpuIndex",
    "HnswIndex",
    "Index",
    "IvfIndex",
    "choose_index",
    "index_kind",
    "worn",
]
