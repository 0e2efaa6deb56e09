"""The foreground patches of items: made of stored images, deleted with their items."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, and_, select

from vitreid.scoring.patches import Foreground
from vitreid.service.db import DirectConnection
from vitreid.service.db.sqlite import among, upsert
from vitreid.service.gallery.errors import GalleryDamaged
from vitreid.service.gallery.rows.tables import images, items, patches

_BY_ID = (
    "SELECT item_id, patch_indices, vectors, checksum FROM patches "
    "WHERE model = ? AND item_id IN (SELECT value FROM json_each(?))"
)


@dataclass(frozen=True)
class WithoutPatches:
    """An item whose patches are not stored."""

    id: int
    model_camera: str | None
    image: bytes


def read_patches(reader: DirectConnection, model: str, ids: Collection[int], path: Path) -> dict[int, Foreground]:
    """Return those of the items' foregrounds that this model (the hash of its explain.onnx) made, by id.

    Raises GalleryDamaged.
    """
    found = {}
    for item_id, patch_indices, vectors, checksum in reader.run(_BY_ID, model, json.dumps(list(ids))):
        if (fault := fault_of(patch_indices, vectors, checksum)) is not None:
            raise GalleryDamaged.at(path, f"the patches of item {item_id} {fault}")
        found[item_id] = _decoded(patch_indices, vectors)
    return found


def write_patches(connection: Connection, model: str, found: Mapping[int, Foreground]) -> None:
    """Store the foregrounds of items, those that are still there, in place of older ones."""
    here = connection.execute(select(items.c.id).where(items.c.id.in_(among(found)))).scalars()
    rows = [_row(item_id, model, found[item_id]) for item_id in here]
    upsert(connection, patches, rows)


def without_patches(connection: Connection, model: str, *, after: int, limit: int) -> list[WithoutPatches]:
    """Return items with an image and without patches of this model, in order of id."""
    stored = and_(patches.c.item_id == items.c.id, patches.c.model == model)
    joined = items.join(images, images.c.item_id == items.c.id).outerjoin(patches, stored)
    wanted = select(items.c.id, items.c.model_camera, images.c.image).select_from(joined)
    wanted = wanted.where(patches.c.item_id.is_(None), items.c.id > after).order_by(items.c.id).limit(limit)
    return [WithoutPatches(*row) for row in connection.execute(wanted)]


def has_patches(connection: Connection) -> bool:
    """Return whether the patches of any item are stored."""
    return connection.execute(select(patches.c.item_id).limit(1)).first() is not None


def drop_patches(connection: Connection) -> int:
    """Delete all patches; return how many items had some."""
    return connection.execute(patches.delete()).rowcount


def fault_of(patch_indices: bytes, vectors: bytes, checksum: int) -> str | None:
    """Return the fault of stored bytes, or None."""
    if zlib.crc32(patch_indices + vectors) != checksum:
        return "do not match their checksum"
    if not patch_indices or len(patch_indices) % 2 or len(vectors) % len(patch_indices):
        return f"have {len(vectors)} bytes for {len(patch_indices) / 2:g} indices"
    return None


def _row(item_id: int, model: str, found: Foreground) -> dict[str, Any]:
    indices, vectors = found.patch_indices.astype("<u2").tobytes(), found.vectors.astype("<f2").tobytes()
    values = {"patch_indices": indices, "vectors": vectors, "checksum": zlib.crc32(indices + vectors)}
    return {"item_id": item_id, "model": model, **values}


def _decoded(patch_indices: bytes, vectors: bytes) -> Foreground:
    count = len(patch_indices) // 2
    rows = np.frombuffer(vectors, dtype="<f2").reshape(count, -1).astype(np.float32)
    return Foreground(np.frombuffer(patch_indices, dtype="<u2").astype(np.intp), rows)
