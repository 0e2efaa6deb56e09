"""Calls into faiss that the indexes share."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np

from vitreid.service.indexes.protocol import NO_ID, Allowed, Floats, Ids


@cache
def load_faiss() -> Any:
    """Import faiss at its first use: 0.2 s and 60 MB that commands without a search do not need."""
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
    """Return the faiss selector of the rows whose flag is set."""
    return load_faiss().IDSelectorBitmap(np.packbits(members, bitorder="little"))


def to_result(scores: Floats, rows: Ids, ids: Ids | None = None) -> tuple[Floats, Ids]:
    """Mark the places that faiss left empty, and replace row numbers by their (N,) ids."""
    empty = rows < 0
    scores[empty] = -np.inf
    return scores, rows if ids is None else np.where(empty, NO_ID, ids[rows])
