"""Arrays that grow, and the way from id to row and back."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitreid.service.indexes.protocol import Allowed, Ids

Scalar = TypeVar("Scalar", bound=np.generic)
LEAST_ROWS = 1024


class Column(Generic[Scalar]):
    """An array that is appended to and cut at its end."""

    def __init__(self, dtype: type[Scalar], *shape: int) -> None:
        self._count = 0
        self._room: NDArray[Scalar] = np.empty((0, *shape), dtype=dtype)

    def __len__(self) -> int:
        return self._count

    @property
    def values(self) -> NDArray[Scalar]:
        """A view, good until the next change."""
        return self._room[: self._count]

    @property
    def nbytes(self) -> int:
        """Bytes taken, room to grow included."""
        return self._room.nbytes

    def append(self, values: NDArray[Any]) -> None:
        """Add rows, doubling the room when it is full."""
        end = self._count + len(values)
        if end > len(self._room):
            room = np.empty((max(end, 2 * len(self._room), LEAST_ROWS), *self._room.shape[1:]), self._room.dtype)
            room[: self._count] = self.values
            self._room = room
        self._room[self._count : end] = values
        self._count = end

    def cut(self, count: int) -> None:
        """Keep the first `count` rows; what was erased does not linger in memory."""
        self._room[count : self._count] = 0
        self._count = count


class Positions:
    """Which id lies in which row."""

    def __init__(self) -> None:
        self._ids = Column(np.int64)
        self._of = Column(np.int32)  # by id: its row, or -1

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Ids:
        """By row: its id; a view."""
        return self._ids.values

    @property
    def nbytes(self) -> int:
        """Bytes taken."""
        return self._ids.nbytes + self._of.nbytes

    def append(self, ids: Ids) -> None:
        """Put new ids into new rows at the end."""
        start = len(self)
        self._ids.append(ids)
        missing = int(ids.max(initial=-1)) + 1 - len(self._of)
        if missing > 0:
            self._of.append(np.full(missing, -1))
        self._of.values[ids] = np.arange(start, len(self))

    def find(self, ids: Ids) -> NDArray[np.int64]:
        """The rows, ascending, of those of the ids that are there."""
        known = ids[(ids >= 0) & (ids < len(self._of))]
        rows = np.unique(self._of.values[known]).astype(np.int64)
        return rows[rows >= 0]

    def forget(self, rows: NDArray[np.int64]) -> None:
        """Let the ids of these rows be unknown, unless they have a newer row; the rows keep their places."""
        newest = rows[self._of.values[self.ids[rows]] == rows]
        self._of.values[self.ids[newest]] = -1

    def move(self, sources: NDArray[np.int64], targets: NDArray[np.int64], count: int) -> None:
        """Put the ids of `sources` into the rows `targets`, and keep the first `count` rows."""
        self.ids[targets] = self.ids[sources]
        self._of.values[self.ids[targets]] = targets
        self._ids.cut(count)

    def current(self, rows: Ids) -> Allowed:
        """Of each row: is there such a row, and does it still hold its id?"""
        held: Allowed = self._of.values[self.ids[rows]] == rows
        return held & (rows >= 0)


def allows(allowed: Allowed, ids: Ids) -> Allowed:
    """Of each id: is it allowed? None beyond the end is."""
    return np.append(allowed, False)[np.minimum(ids, len(allowed))]
