"""Items in and out of the tables, in a transaction of the caller.

Statements that every addition or search needs are compiled once, and their values converted here: building them each
time takes longer than SQLite does.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Select, String, Table, exists, select, type_coerce

from vitreid.service.db import stored_json, stored_time, utc_text
from vitreid.service.db.sqlite import among, compiled, last_id_query
from vitreid.service.gallery.errors import BundleMismatch
from vitreid.service.gallery.items import Item, ItemChanges, NewItem, Quality
from vitreid.service.gallery.rows.conditions import metadata_rows
from vitreid.service.gallery.rows.tables import deletions, embeddings_of, images, item_metadata, items
from vitreid.service.values.times import believable

_QUALITY = ("height", "width", "sharpness", "brightness", "outside")
_COLUMNS = tuple(column.name for column in items.c)
_NAMES = (*_COLUMNS, "has_image")
_HAS_IMAGE = exists().where(images.c.item_id == items.c.id)


class Moment(NamedTuple):
    """The place of a write in the gallery's history."""

    seqs: range
    at: datetime
    """Seldom before an earlier moment, and never by a clock that cannot be right: see `believable`."""


def select_items() -> Select[Any]:
    """Select the columns that `item_of` reads, as they are stored."""
    as_text = {name: type_coerce(items.c[name], String) for name in ("captured_at", "box", "metadata", "created_at")}
    return select(*(as_text.get(column.name, column) for column in items.c), _HAS_IMAGE)


ITEMS_BY_ID = compiled(select_items().where(items.c.id.in_(among([]))))
"""Takes a JSON list of ids."""

_LAST_AT = "SELECT last_at FROM gallery"
_ADVANCE = "UPDATE gallery SET last_seq = last_seq + ?, last_at = ? RETURNING last_seq, generation"
LAST_ID = last_id_query(items.name)
_IDS_BY_HASH = (
    "SELECT image_hash, id, camera_id FROM items WHERE image_hash IN (SELECT value FROM json_each(?)) "
    "AND (? IS NULL OR camera_id IN (SELECT value FROM json_each(?))) ORDER BY id DESC"
)


def advance(connection: Connection, count: int, *, now: datetime, generation: int) -> Moment:
    """Take the next `count` seqs. Raises BundleMismatch where the embeddings of another generation are live now."""
    at = believable(now, stored_time(connection.exec_driver_sql(_LAST_AT).scalar_one()))
    last_seq, found = connection.exec_driver_sql(_ADVANCE, (count, utc_text(at))).one()
    check_generation(found, generation)
    return Moment(range(last_seq - count + 1, last_seq + 1), at)


def check_generation(found: int, opened: int) -> None:
    """Raise BundleMismatch where other embeddings are live than when the gallery was opened: models never mix."""
    if found != opened:
        raise BundleMismatch(
            f"the gallery was embedded again (generation {found}, this process opened {opened}); "
            "open it again with the bundle of the new generation"
        )


def insert(connection: Connection, fresh: Sequence[NewItem], moment: Moment, *, generation: int) -> list[int]:
    """Insert items whose hashes are new; return their ids."""
    last_id: int = connection.exec_driver_sql(LAST_ID).scalar_one()
    ids = list(range(last_id + 1, last_id + 1 + len(fresh)))  # nobody else writes meanwhile
    numbered = list(zip(ids, fresh, strict=True))
    created_at = utc_text(moment.at)
    vectors = [np.asarray(item.embedding, dtype="<f4").tobytes() for item in fresh]
    rows: dict[Table, list[tuple[object, ...]]] = {
        items: [
            _values(item_id, seq, item, created_at) for seq, item_id, item in zip(moment.seqs, ids, fresh, strict=True)
        ],
        embeddings_of(generation): [tuple(embedding_row(*each).values()) for each in zip(ids, vectors, strict=True)],
        images: [(item_id, item.image) for item_id, item in numbered if item.image is not None],
        item_metadata: [row for item_id, item in numbered for row in metadata_rows(item_id, item.metadata)],
    }
    for table, values in rows.items():
        _insert(connection, table, values)
    return ids


def embedding_row(item_id: int, embedding: bytes) -> dict[str, object]:
    """Return a row of an embeddings table: `embedding` is little-endian float32."""
    return {"item_id": item_id, "embedding": embedding, "checksum": zlib.crc32(embedding)}


def change(connection: Connection, item_id: int, changes: ItemChanges, moment: Moment) -> bool:
    """Change labels of an item; return False where there is none of this id."""
    changing = items.update().where(items.c.id == item_id).values(seq=moment.seqs[0], **changes)
    if not connection.execute(changing).rowcount:
        return False
    if "metadata" in changes:
        connection.execute(item_metadata.delete().where(item_metadata.c.item_id == item_id))
        _insert(connection, item_metadata, metadata_rows(item_id, changes["metadata"]))
    return True


def remove(connection: Connection, ids: Sequence[int], moment: Moment) -> None:
    """Delete items that exist, with all that hangs on them, and record their deletion."""
    connection.execute(items.delete().where(items.c.id.in_(among(ids))))
    at = utc_text(moment.at)
    _insert(connection, deletions, [(seq, item_id, at) for seq, item_id in zip(moment.seqs, ids, strict=True)])


def ids_by_hash(
    connection: Connection, cameras_by_hash: Mapping[str, str | None], visible: Collection[str] | None = None
) -> dict[str, int]:
    """Return ids of the items with these image hashes, among those of `visible` cameras where they are given.

    Of several with one hash it is the first of the camera that the hash comes with, else the first of all.
    """
    among_visible = None if visible is None else json.dumps(sorted(visible))
    rows = connection.exec_driver_sql(_IDS_BY_HASH, (json.dumps(list(cameras_by_hash)), among_visible, among_visible))
    return {
        image_hash: item_id
        for image_hash, item_id, camera in sorted(rows, key=lambda row: row[2] == (cameras_by_hash[row[0]] or ""))
    }


def item_of(row: Sequence[Any]) -> Item:
    """Return the item of one row of `select_items`. Raises Unreadable where a time or JSON text cannot be read."""
    values = dict(zip(_NAMES, row, strict=True))
    quality = {name: values.pop(name) for name in _QUALITY}
    captured_at, box = values["captured_at"], values["box"]
    return Item(
        **values
        | {
            "quality": None if quality["height"] is None else Quality(**quality),
            "captured_at": None if captured_at is None else stored_time(captured_at),
            "box": None if box is None else tuple(stored_json(box)),
            "metadata": stored_json(values["metadata"]),
            "created_at": stored_time(values["created_at"]),
            "has_image": bool(values["has_image"]),
        }
    )


def _values(item_id: int, seq: int, item: NewItem, created_at: str) -> tuple[object, ...]:
    """Return a row of `items`, its values as they are stored."""
    values = {
        "id": item_id,
        "seq": seq,
        "captured_at": None if item.captured_at is None else utc_text(item.captured_at),
        "box": None if item.box is None else json.dumps(item.box),
        "metadata": json.dumps(item.metadata),
        "created_at": created_at,
        **{name: getattr(item.quality, name, None) for name in _QUALITY},
    }
    return tuple(values[name] if name in values else getattr(item, name) for name in _COLUMNS)


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows whose values are in the order of the table's columns."""
    if rows:
        connection.exec_driver_sql(_inserting(table), list(rows))


@cache
def _inserting(table: Table) -> str:
    return compiled(table.insert())
