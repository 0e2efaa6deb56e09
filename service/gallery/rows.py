"""Items in and out of the tables, inside of a transaction of the caller."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, exists, func, select

from service.errors import BundleMismatch
from service.gallery.conditions import among, metadata_rows
from service.gallery.items import Item, ItemChanges, NewItem, Quality
from service.gallery.tables import deletions, embeddings_of, gallery, item_metadata, items, pictures

_QUALITY = ("height", "width", "sharpness", "brightness", "outside")
_HAS_PICTURE = exists().where(pictures.c.item_id == items.c.id).label("has_picture")


class Moment(NamedTuple):
    """The place of a write in the gallery's history."""

    seqs: range
    at: datetime
    """Never before an earlier moment, whatever the clock says."""


def advance(connection: Connection, count: int, *, now: datetime, generation: int) -> Moment:
    """Take the next `count` seqs. Raises BundleMismatch where the embeddings of another generation are live now."""
    wanted = select(gallery.c.last_seq, gallery.c.last_at, gallery.c.generation)
    last_seq, last_at, found = connection.execute(wanted).one()
    if found != generation:
        raise BundleMismatch(
            f"the gallery was embedded again (generation {found}, this process opened {generation}); "
            "open it again with the bundle of the new generation"
        )
    at = max(now.astimezone(UTC), last_at)
    connection.execute(gallery.update().values(last_seq=last_seq + count, last_at=at))
    return Moment(range(last_seq + 1, last_seq + count + 1), at)


def insert(connection: Connection, fresh: Sequence[NewItem], moment: Moment, *, generation: int) -> list[int]:
    """Insert items whose hashes are new; their ids."""
    rows = [
        {
            "seq": seq,
            "image_hash": item.image_hash,
            "camera_id": item.camera_id,
            "model_camera": item.model_camera,
            "person_id": item.person_id,
            "track_id": item.track_id,
            "captured_at": item.captured_at,
            "box": list(item.box) if item.box else None,
            "source": item.source,
            "metadata": item.metadata,
            "created_at": moment.at,
            **{name: getattr(item.quality, name, None) for name in _QUALITY},
        }
        for seq, item in zip(moment.seqs, fresh, strict=True)
    ]
    inserting = items.insert().returning(items.c.id, sort_by_parameter_order=True)
    ids: list[int] = list(connection.execute(inserting, rows).scalars())
    numbered = list(zip(ids, fresh, strict=True))
    vectors = [embedding_row(item_id, np.asarray(item.embedding, dtype="<f4").tobytes()) for item_id, item in numbered]
    connection.execute(embeddings_of(generation).insert(), vectors)
    if stored := [{"item_id": item_id, "picture": item.picture} for item_id, item in numbered if item.picture]:
        connection.execute(pictures.insert(), stored)
    if labels := [row for item_id, item in numbered for row in metadata_rows(item_id, item.metadata)]:
        connection.execute(item_metadata.insert(), labels)
    return ids


def embedding_row(item_id: int, embedding: bytes) -> dict[str, object]:
    """A row of an embeddings table, with its checksum."""
    return {"item_id": item_id, "embedding": embedding, "checksum": zlib.crc32(embedding)}


def change(connection: Connection, item_id: int, changes: ItemChanges, moment: Moment) -> bool:
    """Give an item new labels; False where there is none of this id."""
    changing = items.update().where(items.c.id == item_id).values(seq=moment.seqs[0], **changes)
    if not connection.execute(changing).rowcount:
        return False
    if "metadata" in changes:
        connection.execute(item_metadata.delete().where(item_metadata.c.item_id == item_id))
        if labels := metadata_rows(item_id, changes["metadata"]):
            connection.execute(item_metadata.insert(), labels)
    return True


def remove(connection: Connection, ids: Sequence[int], moment: Moment) -> None:
    """Delete items that exist, with all that hangs on them, and write down that they went."""
    connection.execute(items.delete().where(items.c.id.in_(among(ids))))
    gone = [
        {"seq": seq, "item_id": item_id, "deleted_at": moment.at} for seq, item_id in zip(moment.seqs, ids, strict=True)
    ]
    connection.execute(deletions.insert(), gone)


def ids_by_hash(connection: Connection, hashes: Collection[str]) -> dict[str, int]:
    """Ids of the items with these image hashes."""
    known = select(func.json_each(json.dumps(list(hashes))).table_valued("value").c.value)
    wanted = select(items.c.image_hash, items.c.id).where(items.c.image_hash.in_(known))
    return dict(connection.execute(wanted).all())


def select_items() -> Select[Any]:
    """The columns that `item_of` reads."""
    return select(items, _HAS_PICTURE)


def item_of(row: Row[Any]) -> Item:
    """The item of one row. Raises ValueError where a time or JSON text cannot be read."""
    values = row._asdict()
    quality = {name: values.pop(name) for name in _QUALITY}
    values["quality"] = Quality(**quality) if quality["height"] is not None else None
    values["box"] = tuple(row.box) if row.box else None
    return Item(**values)
