"""The rows of a gallery, which are the truth about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, exists, func, select

from service.errors import GalleryDamaged, ItemNotFound
from service.gallery.creation import open_database
from service.gallery.database import REMEDY_DAMAGED, Database
from service.gallery.embeddings import check_embeddings, fault_of
from service.gallery.items import AddResult, GalleryInfo, Item, NewItem
from service.gallery.tables import deletions, embeddings, gallery, items, pictures

ROWS_AT_ONCE = 2048
VALUES_AT_ONCE = 10_000  # SQLite takes at most 32,766 values in one statement

_T = TypeVar("_T")
_HAS_PICTURE = exists().where(pictures.c.item_id == items.c.id).label("has_picture")


class Store:
    """One gallery's database. Safe to use from several threads and processes."""

    def __init__(self, database: Database, *, dimension: int) -> None:
        self._database = database
        self._dimension = dimension

    @classmethod
    def open(cls, folder: Path, *, bundle_id: str, dimension: int, create: bool = True) -> Self:
        """Open or make the database in `folder`. Raises GalleryError."""
        database = open_database(folder, bundle_id=bundle_id, dimension=dimension, create=create)
        return cls(database, dimension=dimension)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def add(self, new: Sequence[NewItem]) -> list[AddResult]:
        """Add items in one transaction, durable on return; an item whose image_hash is known adds nothing.

        Raises EmbeddingRejected and adds nothing where one embedding is not (dimension,), finite and of unit length.
        """
        check_embeddings([item.embedding for item in new], self._dimension)
        if not new:
            return []
        with self._database.writing() as connection:
            ids = _ids_by_hash(connection, {item.image_hash for item in new})
            # Of several with one hash the first counts.
            first = {item.image_hash: item for item in reversed(new) if item.image_hash not in ids}
            fresh = [item for item in new if first.get(item.image_hash) is item]
            ids |= _insert(connection, fresh)
        added = {id(item) for item in fresh}
        return [AddResult(ids[item.image_hash], duplicate=id(item) not in added) for item in new]

    def delete(self, item_id: int) -> None:
        """Remove an item with its embedding and picture; its bytes are gone from the files on return.

        Raises ItemNotFound.
        """
        with self._database.writing() as connection:
            if not connection.execute(items.delete().where(items.c.id == item_id)).rowcount:
                raise _not_found(item_id)
            (seq,) = _next_seqs(connection, 1)
            connection.execute(deletions.insert().values(seq=seq, item_id=item_id, deleted_at=datetime.now(UTC)))
        self._database.truncate_log()

    def get(self, item_id: int) -> Item:
        """One item. Raises ItemNotFound."""
        if found := self.items_of([item_id]):
            return found[item_id]
        raise _not_found(item_id)

    def items_of(self, ids: Collection[int]) -> dict[int, Item]:
        """Those of the items that exist, by id."""
        every = (self._items(_select_items().where(items.c.id.in_(part))) for part in _parts(ids))
        return {item.id: item for part in every for item in part}

    def list_items(
        self, *, after: int = 0, limit: int = 100, camera_id: str | None = None, person_id: str | None = None
    ) -> list[Item]:
        """Items in order of id, from the first id greater than `after`; of one camera or person where given."""
        wanted = _select_items().where(items.c.id > after).order_by(items.c.id).limit(limit)
        for column, value in ((items.c.camera_id, camera_id), (items.c.person_id, person_id)):
            if value is not None:
                wanted = wanted.where(column == value)
        return self._items(wanted)

    def picture(self, item_id: int) -> bytes | None:
        """The stored JPEG, or None for an item without one. Raises ItemNotFound."""
        wanted = (
            select(pictures.c.picture)
            .select_from(items.outerjoin(pictures, pictures.c.item_id == items.c.id))
            .where(items.c.id == item_id)
        )
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise _not_found(item_id)
        return row.picture  # type: ignore[no-any-return]  # a bytes column, untyped in Core

    def known_hashes(self, hashes: Iterable[str]) -> set[str]:
        """Those of the image hashes that items have."""
        with self._database.reading() as connection:
            return set(_ids_by_hash(connection, set(hashes)))

    def last_seq(self) -> int:
        """Number of the newest addition or deletion; 0 in a new gallery."""
        with self._database.reading() as connection:
            return _last_seq(connection)

    def replay(
        self,
        after: int,
        add: Callable[[NDArray[np.int64], NDArray[np.float32]], None],
        remove: Callable[[NDArray[np.int64]], None],
    ) -> int:
        """Hand over what changed after a seq, in bounded memory, and return the seq that was reached.

        `add` gets (N,) ids and (N, D) embeddings of the items added since and still there, in several calls;
        `remove` then gets all ids deleted since, which may never have been handed to `add`. Raises GalleryDamaged.
        """
        with self._database.reading() as connection:
            reached = _last_seq(connection)
            for rows in _added_after(connection, after):
                add(*self._decoded(rows))
            gone = connection.execute(select(deletions.c.item_id).where(deletions.c.seq > after)).scalars().all()
            if gone:
                remove(np.array(gone, dtype=np.int64))
        return reached

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).select_from(items)).scalar_one()

    def info(self, *, index: str) -> GalleryInfo:
        """The gallery in numbers; `index` names the index that answers for it."""
        by_camera = select(items.c.camera_id, func.count()).group_by(items.c.camera_id)
        with self._database.reading() as connection:
            header = connection.execute(gallery.select()).one()
            cameras: dict[str | None, int] = dict(connection.execute(by_camera).all())
            persons = connection.execute(select(func.count(items.c.person_id.distinct()))).scalar_one()
            stored = connection.execute(select(func.count()).select_from(pictures)).scalar_one()
        path = self._database.path
        return GalleryInfo(
            path=path.parent,
            bundle_id=header.bundle_id,
            dimension=header.dimension,
            format_version=header.format_version,
            created_at=header.created_at,
            seq=header.last_seq,
            items=sum(cameras.values()),
            pictures=stored,
            persons=persons,
            cameras={camera: count for camera, count in sorted(cameras.items(), key=str) if camera is not None},
            bytes=sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")),
            index=index,
        )

    def _items(self, wanted: Select[Any]) -> list[Item]:
        with self._database.reading() as connection:
            try:
                return [_item(row) for row in connection.execute(wanted)]
            except ValueError as error:  # a time or JSON text with a flipped bit
                raise GalleryDamaged(
                    f"{self._database.path} is damaged (an item cannot be read: {error}); {REMEDY_DAMAGED}"
                ) from error

    def _decoded(self, rows: Sequence[Row[Any, Any]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        vectors = [np.frombuffer(row[1], dtype="<f4") if len(row[1]) % 4 == 0 else np.empty(0) for row in rows]
        # SQLite does not notice a flipped bit inside of a blob; most such flips change the length.
        if (fault := fault_of(vectors, self._dimension)) is not None:
            place, reason = fault
            raise GalleryDamaged(
                f"{self._database.path} is damaged (the embedding of item {ids[place]} {reason}); {REMEDY_DAMAGED}"
            )
        return ids, np.stack(vectors).astype(np.float32, copy=False)


def _select_items() -> Select[Any]:
    return select(items, _HAS_PICTURE)


def _item(row: Row[Any]) -> Item:
    values = row._asdict()
    return Item(**values | {"box": tuple(row.box) if row.box else None})


def _insert(connection: Connection, fresh: Sequence[NewItem]) -> dict[str, int]:
    """Insert items whose hashes are new; their ids by hash."""
    if not fresh:
        return {}
    now = datetime.now(UTC)
    rows = [
        {
            "seq": seq,
            "image_hash": item.image_hash,
            "camera_id": item.camera_id,
            "person_id": item.person_id,
            "track_id": item.track_id,
            "captured_at": item.captured_at,
            "box": list(item.box) if item.box else None,
            "source": item.source,
            "metadata": item.metadata,
            "created_at": now,
        }
        for seq, item in zip(_next_seqs(connection, len(fresh)), fresh, strict=True)
    ]
    inserting = items.insert().returning(items.c.id, sort_by_parameter_order=True)
    ids: list[int] = list(connection.execute(inserting, rows).scalars())
    vectors = [
        {"item_id": item_id, "embedding": np.asarray(item.embedding, dtype="<f4").tobytes()}
        for item_id, item in zip(ids, fresh, strict=True)
    ]
    connection.execute(embeddings.insert(), vectors)
    stored = [
        {"item_id": item_id, "picture": item.picture}
        for item_id, item in zip(ids, fresh, strict=True)
        if item.picture is not None
    ]
    if stored:
        connection.execute(pictures.insert(), stored)
    return dict(zip((item.image_hash for item in fresh), ids, strict=True))


def _next_seqs(connection: Connection, count: int) -> range:
    last = _last_seq(connection)
    connection.execute(gallery.update().values(last_seq=last + count))
    return range(last + 1, last + count + 1)


def _last_seq(connection: Connection) -> int:
    return int(connection.execute(select(gallery.c.last_seq)).scalar_one())


def _ids_by_hash(connection: Connection, hashes: Collection[str]) -> dict[str, int]:
    wanted = select(items.c.image_hash, items.c.id)
    return {
        image_hash: item_id
        for part in _parts(hashes)
        for image_hash, item_id in connection.execute(wanted.where(items.c.image_hash.in_(part)))
    }


def _added_after(connection: Connection, seq: int) -> Iterator[Sequence[Row[Any, Any]]]:
    wanted = (
        select(items.c.id, embeddings.c.embedding)
        .join_from(items, embeddings, embeddings.c.item_id == items.c.id)
        .where(items.c.seq > seq)
        .order_by(items.c.seq)
    )
    yield from connection.execution_options(yield_per=ROWS_AT_ONCE).execute(wanted).partitions()


def _parts(values: Collection[_T]) -> Iterator[list[_T]]:
    every = list(values)
    for start in range(0, len(every), VALUES_AT_ONCE):
        yield every[start : start + VALUES_AT_ONCE]


def _not_found(item_id: int) -> ItemNotFound:
    return ItemNotFound(f"no item {item_id} in this gallery; `GET /v1/items` lists those that are there")
