"""Changes of the rows after a seq, for what is derived from them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, String, func, literal_column, select, type_coerce

from vitreid.service.db.sqlite import last_id_query
from vitreid.service.gallery.errors import GalleryDamaged
from vitreid.service.gallery.rows.rows import check_generation
from vitreid.service.gallery.rows.tables import deletions, embeddings_of, gallery, items

Labels = Mapping[str, Any]
"""By name, a value per item: LABELS (texts or None), captured_at (datetime64 in UTC), NUMBERS (or None)."""
LABELS = ("camera_id", "person_id", "track_id")
NUMBERS = ("height", "width", "sharpness", "brightness", "outside")
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Changes:
    """A stretch of a gallery's history, as far as it still matters."""

    reached: int
    """The seq of its end."""
    complete: bool
    """Nothing came after it when it was read."""
    ids: NDArray[np.int64]
    """Of the items that were added or changed in it, and not again later, and are still there."""
    embeddings: NDArray[np.float32]
    labels: Labels
    deleted: NDArray[np.int64]
    """Ids deleted in it, of items that may have been added in it too."""


def changes_after(connection: Connection, seq: int, *, generation: int, dimension: int, path: Path) -> Changes:
    """Return the next stretch after a seq, of at most ROWS_AT_ONCE items.

    Raises GalleryDamaged, naming `path` and item, and BundleMismatch where another generation is live now.
    Each stretch may be read in a transaction of its own: an item that changes in between comes again later.
    """
    stored = embeddings_of(generation)
    labels = [items.c[name] for name in (*LABELS, *NUMBERS)]
    captured_at = func.rtrim(type_coerce(items.c.captured_at, String), "Z")
    wanted = (
        select(items.c.seq, items.c.id, stored.c.embedding, stored.c.checksum, captured_at, *labels)
        .join_from(items, stored, stored.c.item_id == items.c.id, isouter=True)
        .where(items.c.seq > seq)
        .order_by(items.c.seq)
        .limit(ROWS_AT_ONCE)
    )
    rows = connection.execute(wanted).all()
    last_seq, live = connection.execute(select(gallery.c.last_seq, gallery.c.generation)).one()
    check_generation(live, generation)
    complete = len(rows) < ROWS_AT_ONCE
    reached = last_seq if complete else rows[-1][0]
    gone = select(deletions.c.item_id).where(deletions.c.seq > seq, deletions.c.seq <= reached)
    deleted = np.array(connection.execute(gone).scalars().all(), dtype=np.int64)
    values = list(zip(*rows, strict=True)) or [()] * (5 + len(labels))
    return Changes(
        reached,
        complete,
        np.array(values[1], dtype=np.int64),
        decoded(values[1], values[2], values[3], dimension, path),
        {"captured_at": _times(values[4], path), **dict(zip((*LABELS, *NUMBERS), values[5:], strict=True))},
        deleted,
    )


def extent(connection: Connection) -> tuple[int, int]:
    """Return the number of items, and an id that no item's id is or will be below."""
    next_id: ColumnElement[int] = literal_column(f"({last_id_query(items.name)}) + 1")  # ids are never used again
    first = func.coalesce(select(func.min(items.c.id)).scalar_subquery(), next_id)
    count, base = connection.execute(select(select(func.count()).select_from(items).scalar_subquery(), first)).one()
    return count, base


def decoded(
    ids: Sequence[int], embeddings: Sequence[bytes | None], checksums: Sequence[int], dimension: int, path: Path
) -> NDArray[np.float32]:
    """Return (N, D) embeddings from their bytes. Raises GalleryDamaged for the first that is not what was stored.

    SQLite does not notice a flipped bit inside of a blob; the checksum does.
    """
    for item_id, embedding, checksum in zip(ids, embeddings, checksums, strict=True):
        if embedding is None or len(embedding) != 4 * dimension or zlib.crc32(embedding) != checksum:
            reason = "is missing" if embedding is None else "does not match its checksum"
            raise GalleryDamaged.at(path, f"the embedding of item {item_id} {reason}")
    every = np.frombuffer(b"".join(filter(None, embeddings)), dtype="<f4")
    return every.reshape(-1, dimension).astype(np.float32, copy=False)


def _times(texts: Sequence[str | None], path: Path) -> NDArray[np.datetime64]:
    try:
        return np.array(texts, dtype="datetime64[us]")
    except ValueError as error:
        raise GalleryDamaged.at(path, f"captured_at of an item: {error}") from error
