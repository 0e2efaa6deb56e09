"""The rows of a gallery, which are the truth about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from vitreid.scoring.patches import Foreground
from vitreid.service.gallery.database import REMEDY_DAMAGED, Database
from vitreid.service.gallery.errors import GalleryDamaged, ItemNotFound
from vitreid.service.gallery.filters import EVERYTHING, Filter, Scalar
from vitreid.service.gallery.items import AddResult, Item, ItemChanges, NewItem
from vitreid.service.gallery.opening import open_database
from vitreid.service.gallery.rows.conditions import among, as_text, conditions, with_metadata
from vitreid.service.gallery.rows.erasure import Receipt, erase, read_receipt, read_receipts
from vitreid.service.gallery.rows.patches import read_patches
from vitreid.service.gallery.rows.reader import Reader
from vitreid.service.gallery.rows.rows import (
    ITEMS_BY_ID,
    LAST_ID,
    advance,
    change,
    check_generation,
    compiled,
    ids_by_hash,
    insert,
    item_of,
    remove,
    select_items,
)
from vitreid.service.gallery.rows.tables import Unreadable, embeddings_of, gallery, images, items
from vitreid.service.gallery.view.changes import Changes, changes_after, decoded, extent
from vitreid.service.values.embeddings import check_embeddings

_LAST_SEQ = compiled(select(gallery.c.last_seq, gallery.c.generation))
_IDS_WITH = compiled(with_metadata("", ""))


def utc_now() -> datetime:
    """The time by the system's clock."""
    return datetime.now(UTC)


class Store:
    """One gallery's database. Safe to use from several threads and processes."""

    def __init__(
        self,
        database: Database,
        *,
        lineage: str,
        bundle_id: str,
        dimension: int,
        generation: int,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.database = database
        self.lineage = lineage
        self.bundle_id = bundle_id
        self.dimension = dimension
        self.generation = generation
        self.clock = clock
        self._reader = Reader(database)
        stored = embeddings_of(generation)
        self._embeddings_by_id = compiled(stored.select().where(stored.c.item_id.in_(among([]))))

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        bundle_id: str,
        dimension: int,
        create: bool = True,
        read_through: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Open or make the database in `folder`. Raises GalleryError."""
        database = open_database(
            folder, bundle_id=bundle_id, dimension=dimension, create=create, read_through=read_through
        )
        with database.reading() as connection:
            lineage, generation = connection.execute(select(gallery.c.lineage, gallery.c.generation)).one()
        return cls(
            database, lineage=lineage, bundle_id=bundle_id, dimension=dimension, generation=generation, clock=clock
        )

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        self.database.close()

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

    def patch(self, item_id: int, changes: ItemChanges) -> None:
        """Give an item new labels. Raises ItemNotFound."""
        with self.database.writing() as connection:
            moment = advance(connection, 1, now=self.clock(), generation=self.generation)
            if not change(connection, item_id, changes, moment):
                raise not_found(item_id)

    def delete(self, item_id: int) -> None:
        """Remove an item with its embedding and image; purging the files of its bytes comes later.

        Raises ItemNotFound.
        """
        with self.database.writing() as connection:
            if not connection.execute(select(items.c.id).where(items.c.id == item_id)).first():
                raise not_found(item_id)
            remove(connection, [item_id], advance(connection, 1, now=self.clock(), generation=self.generation))

    def erase(
        self,
        ids: Collection[int],
        *,
        expected: Iterable[tuple[int, str]] = (),
        reason: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        """Delete those of the items that are there in one transaction and keep a receipt; see `erasure.erase`.

        Raises BadParameter without ids, ItemNotFound where not one is there, ImageMismatch.
        """
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
        """What became of an erasure until now. Raises ErasureNotFound."""
        with self.database.reading() as connection:
            return read_receipt(connection, erasure_id, self.database.path.parent)

    def receipts(self, *, before: int | None = None, limit: int = 100) -> list[Receipt]:
        """The newest erasures, newest first; only those with a seq less than `before` where it is given."""
        with self.database.reading() as connection:
            return read_receipts(connection, self.database.path.parent, before=before, limit=limit)

    def get(self, item_id: int) -> Item:
        """One item. Raises ItemNotFound."""
        if found := self.items_of([item_id]):
            return found[item_id]
        raise not_found(item_id)

    def items_of(self, ids: Collection[int]) -> dict[int, Item]:
        """Those of the items that exist, by id."""
        rows = self._reader.rows(ITEMS_BY_ID, json.dumps(list(ids)))
        return {item.id: item for item in self._items(rows)}

    def list_items(self, *, after: int = 0, limit: int = 100, where: Filter = EVERYTHING) -> list[Item]:
        """Items in order of id, from the first id greater than `after`."""
        wanted = select_items().where(items.c.id > after, *conditions(where)).order_by(items.c.id).limit(limit)
        with self.database.reading() as connection:
            return self._items(connection.execute(wanted).all())

    def ids(self, where: Filter) -> list[int]:
        """Ids of the items that a filter lets through, in order."""
        with self.database.reading() as connection:
            wanted = select(items.c.id).where(*conditions(where)).order_by(items.c.id)
            return list(connection.execute(wanted).scalars())

    def count(self, where: Filter) -> int:
        """How many items a filter lets through."""
        with self.database.reading() as connection:
            wanted = select(func.count()).select_from(items).where(*conditions(where))
            return connection.execute(wanted).scalar_one()

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(N, D) embeddings in the order of the ids. Raises ItemNotFound, GalleryDamaged, BundleMismatch."""
        self.last_seq()  # raises where another model answers by now
        found, embeddings = self.embeddings_of(ids)
        place = {item_id: number for number, item_id in enumerate(found)}
        if missing := [item_id for item_id in ids if item_id not in place]:
            raise not_found(missing[0])
        return embeddings[[place[item_id] for item_id in ids]]

    def embeddings_of(self, ids: Collection[int]) -> tuple[list[int], NDArray[np.float32]]:
        """Those of the items that exist, and their (N, D) embeddings. Raises GalleryDamaged."""
        rows = self._reader.rows(self._embeddings_by_id, json.dumps(list(ids)))
        found, blobs, checksums = zip(*rows, strict=True) if rows else ((), (), ())
        return list(found), decoded(found, blobs, checksums, self.dimension, self.database.path)

    def foregrounds(self, ids: Collection[int], model: str) -> dict[int, Foreground]:
        """The foreground patches that are kept of items, by id, of those that this explain.onnx looked at.

        `model` is its SHA-256. Raises GalleryDamaged.
        """
        return read_patches(self._reader, model, ids, self.database.path)

    def image(self, item_id: int) -> bytes | None:
        """The stored JPEG, or None for an item without one. Raises ItemNotFound."""
        wanted = (
            select(images.c.image)
            .select_from(items.outerjoin(images, images.c.item_id == items.c.id))
            .where(items.c.id == item_id)
        )
        with self.database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise not_found(item_id)
        return row.image  # type: ignore[no-any-return]  # a bytes column, untyped in Core

    def ids_by_hash(
        self, cameras_by_hash: Mapping[str, str | None], visible: Collection[str] | None = None
    ) -> dict[str, int]:
        """Which of the image hashes items have, and those items' ids; see `rows.ids_by_hash`."""
        with self.database.reading() as connection:
            return ids_by_hash(connection, cameras_by_hash, visible)

    def last_seq(self) -> int:
        """Number of the newest addition, change or deletion; 0 in a new gallery. Raises BundleMismatch."""
        [(last_seq, generation)] = self._reader.rows(_LAST_SEQ)
        check_generation(generation, self.generation)
        return int(last_seq)

    def last_id(self) -> int:
        """The greatest id that an item ever had; 0 in a new gallery."""
        [(last_id,)] = self._reader.rows(LAST_ID)
        return int(last_id)

    def version(self) -> int:
        """A number that is another one after every commit, by whomever."""
        return self._reader.version()

    def changes(self, after: int) -> Changes:
        """The next stretch of the history after a seq. Raises GalleryDamaged."""
        with self.database.reading() as connection:
            return changes_after(
                connection,
                after,
                generation=self.generation,
                dimension=self.dimension,
                path=self.database.path,
            )

    def extent(self) -> tuple[int, int]:
        """How many items there are, and an id that no item's id is or will be below."""
        with self.database.reading() as connection:
            return extent(connection)

    def ids_with(self, key: str, value: Scalar) -> NDArray[np.int64]:
        """Ids of the items that have this value in their metadata."""
        found = self._reader.rows(_IDS_WITH, key, as_text(value))
        return np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))

    def __len__(self) -> int:
        return self.count(EVERYTHING)

    def _items(self, rows: Sequence[Sequence[Any]]) -> list[Item]:
        try:
            return [item_of(row) for row in rows]
        except Unreadable as error:  # a time or JSON text with a flipped bit
            raise GalleryDamaged(
                f"{self.database.path} is damaged (an item cannot be read: {error}); {REMEDY_DAMAGED}"
            ) from error


def not_found(item_id: int) -> ItemNotFound:
    """The error for an id that no item has."""
    return ItemNotFound(f"no item {item_id} in this gallery; `GET /v1/items` lists those that are there")
