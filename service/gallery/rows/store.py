"""The rows of a gallery, which are the truth about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from vitreid.scoring.patches import Foreground
from vitreid.service.db import Database, Unreadable
from vitreid.service.db.sqlite import among, compiled
from vitreid.service.gallery.errors import BundleMismatch, GalleryDamaged, ItemNotFound
from vitreid.service.gallery.filters import EVERYTHING, Filter, Scalar
from vitreid.service.gallery.items import AddResult, Item, ItemChanges, NewItem
from vitreid.service.gallery.rows.changes import Changes, changes_after, decoded, extent
from vitreid.service.gallery.rows.conditions import as_text, conditions, with_metadata
from vitreid.service.gallery.rows.database import open_database
from vitreid.service.gallery.rows.erasure import Receipt, erase, read_receipt, read_receipts
from vitreid.service.gallery.rows.patches import read_patches
from vitreid.service.gallery.rows.rows import (
    ITEMS_BY_ID,
    LAST_ID,
    advance,
    change,
    check_generation,
    ids_by_hash,
    insert,
    item_of,
    remove,
    select_items,
)
from vitreid.service.gallery.rows.tables import embeddings_of, gallery, images, items
from vitreid.service.values.embeddings import check_embeddings
from vitreid.service.values.times import utc_now

_LAST_SEQ = compiled(select(gallery.c.last_seq, gallery.c.generation))
_IDS_WITH = compiled(with_metadata("", ""))


class Store:
    """One gallery's database. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        with database.reading() as connection:
            header = connection.execute(gallery.select()).one()
        self.database = database
        self.lineage: str = header.lineage
        self.bundle_id: str = header.bundle_id
        self.dimension: int = header.dimension
        self.generation: int = header.generation
        self.clock: Callable[[], datetime] = utc_now
        self._reader = database.direct()
        stored = embeddings_of(self.generation)
        self._embeddings_by_id = compiled(stored.select().where(stored.c.item_id.in_(among([]))))

    @classmethod
    def open(cls, folder: Path, *, read_through: bool = True) -> Self:
        """Open the database in `folder`. Raises GalleryError."""
        database = open_database(folder, read_through=read_through)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def check_bundle(self, bundle_id: str, dimension: int) -> None:
        """Raise BundleMismatch where the embeddings are of another bundle."""
        if (self.bundle_id, self.dimension) != (bundle_id, dimension):
            raise BundleMismatch(
                f"{self.database.path.parent} holds embeddings of bundle {self.bundle_id[:12]} "
                f"({self.dimension} numbers each), given is bundle {bundle_id[:12]} ({dimension}); "
                "use the bundle that the gallery was made with, or embed it again with this one: "
                "vitreid gallery reembed"
            )

    def add(self, new: Sequence[NewItem], *, cameras: Collection[str] | None = None) -> list[AddResult]:
        """Add items in one transaction, durable on return; an item whose image_hash is known adds nothing.

        With `cameras` only items of these count as known: who sees no others must not learn of them. Raises
        EmbeddingRejected and adds nothing where one embedding is not (dimension,), finite and of unit length.
        """
        check_embeddings([item.embedding for item in new], self.dimension)
        if not new:
            return []
        with self.database.writing() as connection:
            ids = ids_by_hash(connection, {item.image_hash: item.camera_id for item in new}, cameras)
            # Of several with one hash the first counts.
            first = {item.image_hash: item for item in reversed(new) if item.image_hash not in ids}
            fresh = [item for item in new if first.get(item.image_hash) is item]
            if fresh:
                moment = advance(connection, len(fresh), now=self.clock(), generation=self.generation)
                made = insert(connection, fresh, moment, generation=self.generation)
                ids |= dict(zip((item.image_hash for item in fresh), made, strict=True))
        added = {id(item) for item in fresh}
        return [AddResult(ids[item.image_hash], duplicate=id(item) not in added) for item in new]

    def update(self, item_id: int, changes: ItemChanges) -> None:
        """Change labels of an item. Raises ItemNotFound."""
        with self.database.writing() as connection:
            moment = advance(connection, 1, now=self.clock(), generation=self.generation)
            if not change(connection, item_id, changes, moment):
                raise ItemNotFound.of(item_id)

    def delete(self, item_id: int) -> None:
        """Remove an item with its embedding and image; the next purge removes its bytes. Raises ItemNotFound."""
        with self.database.writing() as connection:
            if not connection.execute(select(items.c.id).where(items.c.id == item_id)).first():
                raise ItemNotFound.of(item_id)
            remove(connection, [item_id], advance(connection, 1, now=self.clock(), generation=self.generation))

    def erase(
        self,
        ids: Collection[int],
        *,
        expected: Iterable[tuple[int, str]] = (),
        reason: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        """Delete those of the items that are there in one transaction and store a receipt; see `erasure.erase`."""
        with self.database.writing() as connection:
            erasure_id = erase(
                connection,
                ids,
                clock=self.clock,
                generation=self.generation,
                expected=expected,
                reason=reason,
                requested_by=requested_by,
            )
            return read_receipt(connection, erasure_id, self.database.path.parent)

    def receipt(self, erasure_id: str) -> Receipt:
        """Return the receipt of an erasure as it is now. Raises ErasureNotFound."""
        with self.database.reading() as connection:
            return read_receipt(connection, erasure_id, self.database.path.parent)

    def receipts(self, *, before: int | None = None, limit: int = 100) -> list[Receipt]:
        """Return receipts, newest first; only those with a seq less than `before` where it is given."""
        with self.database.reading() as connection:
            return read_receipts(connection, self.database.path.parent, before=before, limit=limit)

    def items_of(self, ids: Collection[int]) -> dict[int, Item]:
        """Return those of the items that exist, by id."""
        rows = self._reader.run(ITEMS_BY_ID, json.dumps(list(ids)))
        return {item.id: item for item in self._items(rows)}

    def list_items(self, *, after: int = 0, limit: int = 100, where: Filter = EVERYTHING) -> list[Item]:
        """Return items in order of id, from the first id greater than `after`."""
        wanted = select_items().where(items.c.id > after, *conditions(where)).order_by(items.c.id).limit(limit)
        with self.database.reading() as connection:
            return self._items(connection.execute(wanted).all())

    def ids(self, where: Filter) -> list[int]:
        """Return the ids of the items that a filter lets through, in order."""
        with self.database.reading() as connection:
            wanted = select(items.c.id).where(*conditions(where)).order_by(items.c.id)
            return list(connection.execute(wanted).scalars())

    def count(self, where: Filter) -> int:
        """Return the number of items that a filter lets through."""
        with self.database.reading() as connection:
            wanted = select(func.count()).select_from(items).where(*conditions(where))
            return connection.execute(wanted).scalar_one()

    def embeddings_of(self, ids: Collection[int]) -> tuple[list[int], NDArray[np.float32]]:
        """Return those of the items that exist, and their (N, D) embeddings. Raises GalleryDamaged."""
        rows = self._reader.run(self._embeddings_by_id, json.dumps(list(ids)))
        found, blobs, checksums = zip(*rows, strict=True) if rows else ((), (), ())
        return list(found), decoded(found, blobs, checksums, self.dimension, self.database.path)

    def foregrounds(self, ids: Collection[int], model: str) -> dict[int, Foreground]:
        """Return the stored foreground patches of items, by id, made by the explain.onnx with this SHA-256.

        Raises GalleryDamaged.
        """
        return read_patches(self._reader, model, ids, self.database.path)

    def image(self, item_id: int) -> bytes | None:
        """Return the stored JPEG, or None for an item without one. Raises ItemNotFound."""
        wanted = (
            select(images.c.image)
            .select_from(items.outerjoin(images, images.c.item_id == items.c.id))
            .where(items.c.id == item_id)
        )
        with self.database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise ItemNotFound.of(item_id)
        return row.image  # type: ignore[no-any-return]  # a bytes column, untyped in Core

    def ids_by_hash(
        self, cameras_by_hash: Mapping[str, str | None], visible: Collection[str] | None = None
    ) -> dict[str, int]:
        """Return the ids of the items with these image hashes; see `rows.ids_by_hash`."""
        with self.database.reading() as connection:
            return ids_by_hash(connection, cameras_by_hash, visible)

    def last_seq(self) -> int:
        """Return the seq of the newest addition, change or deletion; 0 in a new gallery. Raises BundleMismatch."""
        [(last_seq, generation)] = self._reader.run(_LAST_SEQ)
        check_generation(generation, self.generation)
        return int(last_seq)

    def last_id(self) -> int:
        """Return the greatest id that an item ever had; 0 in a new gallery."""
        [(last_id,)] = self._reader.run(LAST_ID)
        return int(last_id)

    def version(self) -> int:
        """Return a number that changes with every commit, of any process."""
        return self._reader.version()

    def changes(self, after: int) -> Changes:
        """Return the next stretch of the history after a seq. Raises GalleryDamaged."""
        with self.database.reading() as connection:
            return changes_after(
                connection,
                after,
                generation=self.generation,
                dimension=self.dimension,
                path=self.database.path,
            )

    def extent(self) -> tuple[int, int]:
        """Return the number of items, and an id that no item's id is or will be below."""
        with self.database.reading() as connection:
            return extent(connection)

    def ids_with(self, key: str, value: Scalar) -> NDArray[np.int64]:
        """Return the ids of the items that have this value in their metadata."""
        found = self._reader.run(_IDS_WITH, key, as_text(value))
        return np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))

    def _items(self, rows: Sequence[Sequence[Any]]) -> list[Item]:
        try:
            return [item_of(row) for row in rows]
        except Unreadable as error:  # a time or JSON text with a flipped bit
            raise GalleryDamaged.at(self.database.path, f"an item cannot be read: {error}") from error
