"""What every index can do."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
Allowed = NDArray[np.bool_]
Parameters = dict[str, int | float]

NOBODY = -1  # the id in places of an answer that nothing fills; its score is minus infinity


class Index(Protocol):
    """Unit embeddings by id, searched by inner product.

    Ids are whole numbers from 0, chosen by the caller; tables by id are kept, so they should start near 0. Searches may
    run beside each other, but nothing may run beside `add` and `remove`: the gallery holds a lock around them.
    """

    kind: ClassVar[str]  # its name in INDEXES
    exact_scores: ClassVar[bool]  # False: scores, and so the order, are of rounded embeddings

    @classmethod
    def build(cls, dimension: int, ids: Ids, embeddings: Floats) -> Self:
        """An index of (N, D) embeddings under (N,) ids, trained and tuned on them where it needs that; N may be 0."""
        ...

    @classmethod
    def load(cls, path: Path, dimension: int, slots: int | None = None) -> Self:
        """The index that `save` wrote, of ids below `slots` where that is given. Raises IndexDamaged.

        Flipped bits may load: check the file's hash before.
        """
        ...

    @property
    def garbage(self) -> int:
        """Removed embeddings that still lie in memory; never found, and gone after a rebuild."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the index holds, computed from its sizes."""
        ...

    @property
    def parameters(self) -> Parameters:
        """What an operator may want to know, as nlist, nprobe and the recall that was measured."""
        ...

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Take (N, D) embeddings under (N,) ids that are not in the index."""
        ...

    def remove(self, ids: Ids) -> None:
        """Forget these ids; ids that are not there are passed over. An id may come again later."""
        ...

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Scores and ids, both (Q, min(k, len)), best first, of the nearest to each of (Q, D) unit embeddings.

        With `allowed` only ids with `allowed[id]` true are found, none beyond its end; rows with fewer than k of them
        end in ids of -1 with scores of minus infinity. k results come back whenever k are allowed.
        """
        ...

    def save(self, path: Path) -> None:
        """Write everything to one file, which only this kind of index loads."""
        ...

    def __len__(self) -> int: ...


def nothing(queries: int, k: int) -> tuple[Floats, Ids]:
    """An answer with all places empty."""
    return np.full((queries, k), -np.inf, dtype=np.float32), np.full((queries, k), NOBODY, dtype=np.int64)
