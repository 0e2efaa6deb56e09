"""The foreground patches of items, kept beside their embeddings: made of stored images, gone with their items."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, select
from sqlalchemy.dialects.sqlite import insert

from vitreid.scoring.patches import Foreground
from vitreid.service.gallery.database import REMEDY_DAMAGED
from vitreid.service.gallery.errors import GalleryDamaged
from vitreid.service.gallery.rows.conditions import among
from vitreid.service.gallery.rows.reader import Reader
from vitreid.service.gallery.rows.tables import images, items, patches

_BY_ID = (
    "SELECT item_id, patch_indices, vectors, checksum FROM patches "
    "WHERE model = ? AND item_id IN (SELECT value FROM json_each(?))"
)


@dataclass(frozen=True)
class Unseen:
    """An item whose image has not been looked at."""

    id: int
    model_camera: str | None
    image: bytes


def read_patches(reader: Reader, model: str, ids: Collection[int], path: Path) -> dict[int, Foreground]:
    """Those of the items' foregrounds that this model (the hash of its explain.onnx) made, by id.

    Raises GalleryDamaged.
    """
    found = {}
    for item_id, patch_indices, vectors, checksum in reader.rows(_BY_ID, model, json.dumps(list(ids))):
        if (fault := fault_of(patch_indices, vectors, checksum)) is not None:
            raise GalleryDamaged(f"{path} is damaged (the patches of item {item_id} {fault}); {REMEDY_DAMAGED}")
        found[item_id] = _decoded(patch_indices, vectors)
    return found


def write_patches(connection: Connection, model: str, found: Mapping[int, Foreground]) -> None:
    """Keep the foregrounds of items, those that are still there, in place of what was kept of them before."""
    here = connection.execute(select(items.c.id).where(items.c.id.in_(among(found)))).scalars()
    rows = [_row(item_id, model, found[item_id]) for item_id in here]
    writing = insert(patches)
    changed = {column.name: writing.excluded[column.name] for column in patches.c if not column.primary_key}
    if rows:
        connection.execute(writing.on_conflict_do_update(index_elements=[patches.c.item_id], set_=changed), rows)


def unseen(connection: Connection, model: str, *, after: int, limit: int) -> list[Unseen]:
    """Items with an image whose patches are not kept as this model makes them, in order of id."""
    kept = and_(patches.c.item_id == items.c.id, patches.c.model == model)
    joined = items.join(images, images.c.item_id == items.c.id).outerjoin(patches, kept)
    wanted = select(items.c.id, items.c.model_camera, images.c.image).select_from(joined)
    wanted = wanted.where(patches.c.item_id.is_(None), items.c.id > after).order_by(items.c.id).limit(limit)
    return [Unseen(*row) for row in connection.execute(wanted)]


def keeps_patches(connection: Connection) -> bool:
    """Whether the patches of any item are kept."""
    return connection.execute(select(patches.c.item_id).limit(1)).first() is not None


def drop_patches(connection: Connection) -> int:
    """Keep no patches of any item; how many items had some."""
    return connection.execute(patches.delete()).rowcount


def fault_of(patch_indices: bytes, vectors: bytes, checksum: int) -> str | None:
    """What is wrong with stored bytes, or None."""
    if zlib.crc32(patch_indices + vectors) != checksum:
        return "do not match their checksum"
    if not patch_indices or len(patch_indices) % 2 or len(vectors) % len(patch_indices):
        return f"have {len(vectors)} bytes for {len(patch_indices) / 2:g} patches"
    return None


def _row(item_id: int, model: str, found: Foreground) -> dict[str, Any]:
    patch_indices, vectors = found.patch_indices.astype("<u2").tobytes(), found.vectors.astype("<f2").tobytes()
    checksum = zlib.crc32(patch_indices + vectors)
    return {
        "item_id": item_id,
        "model": model,
        "patch_indices": patch_indices,
        "vectors": vectors,
        "checksum": checksum,
    }


def _decoded(patch_indices: bytes, vectors: bytes) -> Foreground:
    count = len(patch_indices) // 2
    rows = np.frombuffer(vectors, dtype="<f2").reshape(count, -1).astype(np.float32)
    return Foreground(np.frombuffer(patch_indices, dtype="<u2").astype(np.intp), rows)
