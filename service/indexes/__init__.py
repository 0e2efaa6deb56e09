"""Indexes: embeddings by id, searched by inner product. A new one is a file here and a line in INDEXES."""

from __future__ import annotations

from vitreid.service.errors import UnknownName
from vitreid.service.indexes.choice import AUTO, choose_index, rebuild_reason
from vitreid.service.indexes.exact import ExactIndex
from vitreid.service.indexes.flat import FlatIndex
from vitreid.service.indexes.gpu import GpuIndex
from vitreid.service.indexes.ivf import IvfIndex
from vitreid.service.indexes.protocol import Index

INDEXES: dict[str, type[Index]] = {
    "exact": ExactIndex,
    "flat": FlatIndex,
    "ivf": IvfIndex,
    "gpu": GpuIndex,
}
"""By name: the class that builds and loads indexes of this kind."""


def index_kind(name: str) -> type[Index]:
    """Return the class of this kind. Raises UnknownName."""
    if name not in INDEXES:
        raise UnknownName.of("index", name, INDEXES)
    return INDEXES[name]


__all__ = [
    "AUTO",
    "INDEXES",
    "ExactIndex",
    "FlatIndex",
    "GpuIndex",
    "Index",
    "IvfIndex",
    "choose_index",
    "index_kind",
    "rebuild_reason",
]
