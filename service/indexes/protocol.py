"""The calls that every index supports."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
Allowed = NDArray[np.bool_]
Parameters = dict[str, int | float]

NO_ID = -1  # in empty places of a result; their score is minus infinity


class Index(Protocol):
    """Unit embeddings by id, searched by inner product.

    Ids are integers from 0, chosen by the caller; arrays are indexed by id, so they should start near 0. Searches may
    run concurrently; `add`, `remove` and `save` need exclusive access, and the gallery holds a lock around them.
    """

    kind: ClassVar[str]  # its name in INDEXES
    exact_scores: ClassVar[bool]  # False: scores, and so the order, are of rounded embeddings

    @classmethod
    def build(cls, dimension: int, ids: Ids, embeddings: Floats) -> Self:
        """Build an index of (N, D) embeddings under (N,) ids, trained and tuned on them where needed; N may be 0."""
        ...

    @classmethod
    def load(cls, path: Path, dimension: int, slots: int | None = None) -> Self:
        """Load what `save` wrote, of ids below `slots` where it is given. Raises IndexDamaged.

        Flipped bits may load: check the file's hash before.
        """
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the index holds, computed from its sizes."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Values for operators, such as nlist, nprobe and the measured recall."""
        ...

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Add (N, D) embeddings under (N,) ids that are not in the index."""
        ...

    def remove(self, ids: Ids) -> None:
        """Remove these ids; unknown ids are ignored. An id may be added again later."""
        ...

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Return scores and ids, both (Q, min(k, len)), best first, of the nearest to each of (Q, D) unit embeddings.

        With `allowed` only ids with `allowed[id]` true are returned, none beyond its end; rows with fewer than k of
        them end in ids of -1 with scores of minus infinity. k results come back whenever k are allowed.
        """
        ...

    def save(self, path: Path) -> None:
        """Write everything to one file, which only this kind of index loads; nothing removed is left in it."""
        ...

    def __len__(self) -> int: ...


def empty_result(queries: int, k: int) -> tuple[Floats, Ids]:
    """Return a result with all places empty."""
    return np.full((queries, k), -np.inf, dtype=np.float32), np.full((queries, k), NO_ID, dtype=np.int64)
