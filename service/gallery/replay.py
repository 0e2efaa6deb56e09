"""What changed in the rows after a seq: how an index follows them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from service.errors import GalleryDamaged
from service.gallery.database import REMEDY_DAMAGED
from service.gallery.embeddings import fault_of
from service.gallery.tables import deletions, embeddings_of, items

ROWS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Changed:
    """Some items that were added or changed after a seq and are still there."""

    ids: NDArray[np.int64]
    embeddings: NDArray[np.float32]


def changed_after(
    connection: Connection, seq: int, *, generation: int, dimension: int, path: Path
) -> Iterator[Changed]:
    """The items with a later seq, in several parts, in order of seq. Raises GalleryDamaged, naming `path` and item."""
    stored = embeddings_of(generation)
    wanted = (
        select(items.c.id, stored.c.embedding, stored.c.checksum)
        .join_from(items, stored, stored.c.item_id == items.c.id)
        .where(items.c.seq > seq)
        .order_by(items.c.seq)
    )
    for rows in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(wanted).partitions():
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        yield Changed(ids, decoded(rows, dimension, path))


def deleted_after(connection: Connection, seq: int) -> NDArray[np.int64]:
    """Ids of the items deleted after a seq."""
    gone = connection.execute(select(deletions.c.item_id).where(deletions.c.seq > seq)).scalars().all()
    return np.array(gone, dtype=np.int64)


def decoded(rows: Sequence[Row[int, bytes, int]], dimension: int, path: Path) -> NDArray[np.float32]:
    """(N, D) embeddings of rows (item_id, embedding, checksum). Raises GalleryDamaged for the first wrong one.

    SQLite does not notice a flipped bit inside of a blob; the checksum does.
    """
    vectors = [np.frombuffer(row[1], dtype="<f4") if len(row[1]) % 4 == 0 else np.empty(0) for row in rows]
    fault = fault_of(vectors, dimension)
    if fault is None:
        wrong = (place for place, row in enumerate(rows) if zlib.crc32(row[1]) != row[2])
        fault = next(((place, "does not match its checksum") for place in wrong), None)
    if fault is not None:
        place, reason = fault
        raise GalleryDamaged(f"{path} is damaged (the embedding of item {rows[place][0]} {reason}); {REMEDY_DAMAGED}")
    return np.stack(vectors).astype(np.float32, copy=False)
