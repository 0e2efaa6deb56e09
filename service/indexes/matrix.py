"""Base of the indexes that hold every embedding as float32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vitreid.service.indexes import files
from vitreid.service.indexes.columns import Column, Positions, mask_of
from vitreid.service.indexes.protocol import Allowed, Floats, Ids, Parameters
from vitreid.service.indexes.validation import check_ids, check_rows


class MatrixIndex(ABC):
    """Embeddings in one matrix without holes; the order of its rows is unspecified."""

    kind: ClassVar[str]
    exact_scores: ClassVar[bool] = True

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._positions = Positions()
        self._embeddings = Column(np.float32, dimension)

    @classmethod
    def build(cls, dimension: int, ids: Ids, embeddings: Floats) -> Self:
        """Build an index of (N, D) embeddings under (N,) ids."""
        index = cls(dimension)
        index.add(ids, embeddings)
        return index

    @classmethod
    def load(cls, path: Path, dimension: int, slots: int | None = None) -> Self:
        """Load what `save` wrote, of ids below `slots` where it is given. Raises IndexDamaged."""
        arrays = files.read(path, cls.kind, dimension).arrays
        with files.damaged(path):
            ids, embeddings = arrays["ids"], arrays["embeddings"]
            check_ids(ids, slots)
            check_rows(embeddings, len(ids), dimension)
            return cls.build(dimension, ids, embeddings)

    def save(self, path: Path) -> None:
        """Write ids and embeddings."""
        arrays: dict[str, NDArray[Any]] = dict(zip(("ids", "embeddings"), self.rows, strict=True))
        files.write(path, files.Contents(self.kind, self.dimension, arrays, self.parameters))

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def rows(self) -> tuple[Ids, Floats]:
        """Ids (N,) and embeddings (N, D), as views."""
        return self._positions.ids, self._embeddings.values

    @property
    def memory_bytes(self) -> int:
        """Bytes, spare capacity included."""
        return self._embeddings.nbytes + self._positions.nbytes

    @property
    def parameters(self) -> Parameters:
        """Empty: there is nothing to tune."""
        return {}

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Add (N, D) embeddings under (N,) new ids."""
        self._embeddings.append(embeddings)
        self._positions.append(ids)

    def remove(self, ids: Ids) -> None:
        """Remove these ids, moving the last rows into the holes: the cost does not depend on the number of rows."""
        gone = self._positions.find(ids)
        left = len(self) - len(gone)
        holes = gone[gone < left]
        last = np.setdiff1d(np.arange(left, len(self)), gone)
        self._embeddings.values[holes] = self._embeddings.values[last]
        self._embeddings.truncate(left)
        self._positions.forget(gone)
        self._positions.move(last, holes, left)

    def members(self, allowed: Allowed) -> Allowed:
        """Return `allowed` by row."""
        return mask_of(self._positions.ids, allowed)

    @abstractmethod
    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Return scores and ids, both (Q, min(k, len)), best first."""
