"""What the indexes share of faiss."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from service.indexes.protocol import NOBODY, Allowed, Floats, Ids


@cache
def load_faiss() -> Any:
    """The module: 0.2 s and 60 MB that commands without a search do not need."""
    import faiss

    return faiss


@cache
def _threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", "") or os.cpu_count() or 1)


def set_threads(queries: int) -> None:
    """Give one query one thread: over several they wait for each other more than they work.

    The setting belongs to the calling thread, so concurrent searches do not disturb each other.
    """
    load_faiss().omp_set_num_threads(1 if queries == 1 else _threads())


def selector(members: Allowed) -> Any:
    """What faiss calls a selector: the numbers whose flag is set."""
    return load_faiss().IDSelectorBitmap(np.packbits(members, bitorder="little"))


def name_rows(scores: Floats, rows: Ids, ids: Ids) -> tuple[Floats, Ids]:
    """An answer in rows of an index as one in ids; faiss marks empty places by row -1."""
    empty = rows < 0
    return np.where(empty, np.float32(-np.inf), scores), np.where(empty, NOBODY, ids[rows])
