"""Indexes: embeddings by id, searched by inner product. A new one is a file here and a line in INDEXES."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import UnknownName
from service.indexes.exact import ExactIndex
from service.indexes.flat import FlatIndex

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]


class Index(Protocol):
    """Unit embeddings by id. Calls must not overlap; the gallery holds a lock around them."""

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Take (N, D) embeddings under (N,) ids that are not in the index yet."""
        ...

    def remove(self, ids: Ids) -> None:
        """Forget these ids; ids that are not there are passed over."""
        ...

    def search(self, embeddings: Floats, k: int) -> tuple[Floats, Ids]:
        """Scores and ids, both (Q, min(k, len)), best first, of the nearest to each of (Q, D) embeddings."""
        ...

    def __len__(self) -> int: ...


INDEXES: dict[str, Callable[[int], Index]] = {"exact": ExactIndex, "flat": FlatIndex}
"""By name: what makes an empty index for embeddings of a dimension."""


def make_index(name: str, dimension: int) -> Index:
    """An empty index. Raises UnknownName."""
    if name not in INDEXES:
        raise UnknownName.of("index", name, INDEXES)
    return INDEXES[name](dimension)


__all__ = ["INDEXES", "ExactIndex", "FlatIndex", "Index", "make_index"]
