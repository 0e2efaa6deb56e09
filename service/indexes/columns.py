"""Growing arrays, and the mapping between ids and rows."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitreid.service.indexes.protocol import Allowed, Ids

Scalar = TypeVar("Scalar", bound=np.generic)
MIN_CAPACITY = 1024


class Column(Generic[Scalar]):
    """An array that grows and shrinks at its end."""

    def __init__(self, dtype: type[Scalar], *shape: int) -> None:
        self._count = 0
        self._buffer: NDArray[Scalar] = np.empty((0, *shape), dtype=dtype)

    def __len__(self) -> int:
        return self._count

    @property
    def values(self) -> NDArray[Scalar]:
        """A view, valid until the next change."""
        return self._buffer[: self._count]

    @property
    def nbytes(self) -> int:
        """Bytes of the buffer, spare capacity included."""
        return self._buffer.nbytes

    def append(self, values: NDArray[Any]) -> None:
        """Add rows, doubling the capacity when it is full."""
        end = self._count + len(values)
        if end > len(self._buffer):
            capacity = max(end, 2 * len(self._buffer), MIN_CAPACITY)
            buffer = np.empty((capacity, *self._buffer.shape[1:]), self._buffer.dtype)
            buffer[: self._count] = self.values
            self._buffer = buffer
        self._buffer[self._count : end] = values
        self._count = end

    def truncate(self, count: int) -> None:
        """Keep the first `count` rows and zero the rest: erased values do not linger in memory."""
        self._buffer[count : self._count] = 0
        self._count = count


class Positions:
    """Mapping between ids and rows."""

    def __init__(self) -> None:
        self._ids = Column(np.int64)  # by row
        self._rows = Column(np.int32)  # by id; -1: not in the index

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Ids:
        """(N,) ids by row; a view."""
        return self._ids.values

    @property
    def nbytes(self) -> int:
        """Bytes of both directions."""
        return self._ids.nbytes + self._rows.nbytes

    def append(self, ids: Ids) -> None:
        """Assign new rows at the end to new ids."""
        start = len(self)
        self._ids.append(ids)
        missing = int(ids.max(initial=-1)) + 1 - len(self._rows)
        if missing > 0:
            self._rows.append(np.full(missing, -1))
        self._rows.values[ids] = np.arange(start, len(self))

    def find(self, ids: Ids) -> NDArray[np.int64]:
        """Return the rows, ascending, of the ids that are known."""
        known = ids[(ids >= 0) & (ids < len(self._rows))]
        rows = np.unique(self._rows.values[known]).astype(np.int64)
        return rows[rows >= 0]

    def forget(self, rows: NDArray[np.int64]) -> None:
        """Make the ids of these rows unknown, unless they have a newer row; the rows keep their positions."""
        newest = rows[self._rows.values[self.ids[rows]] == rows]
        self._rows.values[self.ids[newest]] = -1

    def move(self, sources: NDArray[np.int64], targets: NDArray[np.int64], count: int) -> None:
        """Move the ids of the rows `sources` to the rows `targets`, and keep the first `count` rows."""
        self.ids[targets] = self.ids[sources]
        self._rows.values[self.ids[targets]] = targets
        self._ids.truncate(count)

    def current(self, rows: Ids) -> Allowed:
        """Return by row: true where the row exists and still holds its id."""
        held: Allowed = self._rows.values[self.ids[rows]] == rows
        return held & (rows >= 0)


def mask_of(ids: Ids, allowed: Allowed) -> Allowed:
    """Return `allowed` by position in `ids`; an id beyond its end is not allowed."""
    return np.append(allowed, False)[np.minimum(ids, len(allowed))]
