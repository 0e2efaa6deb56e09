"""The gallery: the one door to rows and search view."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from vitreid.scoring.patches import Foreground
from vitreid.service.db import Reserve
from vitreid.service.errors import BadParameter, EmbeddingRejected
from vitreid.service.gallery.errors import GalleryFull, ItemNotFound
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.items import AddResult, GalleryInfo, GallerySettings, Item, ItemChanges, Match, NewItem
from vitreid.service.gallery.live_view import LiveView
from vitreid.service.gallery.lock import MaintenanceLock
from vitreid.service.gallery.rows.database import create_database
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.gallery.rows.settings import count_rejection, read_rejections, read_settings, write_settings
from vitreid.service.gallery.rows.store import Store
from vitreid.service.gallery.rows.summary import camera_counts, list_backups, list_generations, summary
from vitreid.service.gallery.snapshots.snapshot import newest_manifest
from vitreid.service.indexes import AUTO, index_kind
from vitreid.service.values.embeddings import check_embeddings

T = TypeVar("T")

ATTEMPTS = 3


class Gallery:
    """Items with their embeddings, searchable; safe to use from several threads, and beside other processes.

    The rows are the truth, and the search view is derived from them: every search first applies what was added, changed
    and deleted since the last one, whoever did it.
    """

    def __init__(self, folder: Path, store: Store, *, index: str = AUTO) -> None:
        self.name = folder.name
        self.folder = folder
        self.bundle_id = store.bundle_id
        self.dimension = store.dimension
        self._store = store  # also used by the maintenance of this package
        self._live = LiveView(folder, store, index=index)
        self.reserve: Reserve | None = None
        """Room for erasing on a full disk."""
        self._lock: MaintenanceLock | None = None
        self._settings: tuple[int, GallerySettings] | None = None  # with the version of the database that they are of

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        bundle_id: str,
        dimension: int,
        index: str = AUTO,
        create: bool = True,
        load: bool = True,
    ) -> Self:
        """Open the gallery in `folder`, or make an empty one where there is none and `create` is true.

        With `load` it is ready to search on return; otherwise the first search or `refresh` loads what searches need:
        a service opens without, calls `refresh` in a thread, and is ready once `loaded`. Adding and reading need
        nothing loaded. Raises GalleryNotFound, NotAGallery, GalleryDamaged, GalleryTooNew, BundleMismatch, UnknownName
        (of an index).
        """
        if index != AUTO:
            index_kind(index)  # a wrong name is reported before a folder is made
        if create:
            create_database(folder, bundle_id=bundle_id, dimension=dimension)
        gallery = cls.open_existing(folder, index=index)
        try:
            gallery._store.check_bundle(bundle_id, dimension)
            if load:
                gallery.refresh()
        except BaseException:
            gallery.close()
            raise
        return gallery

    @classmethod
    def open_existing(cls, folder: Path, *, index: str = AUTO, read_through: bool = True) -> Self:
        """Open the gallery in `folder`, whatever bundle it is of; nothing is loaded for searching yet.

        Without `read_through` the pages of the database are not checked. Raises as `open`.
        """
        return cls(folder, Store.open(folder, read_through=read_through), index=index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, and release the maintenance lock."""
        self._release_lock()
        self._store.close()

    def acquire_maintenance_lock(self, command: str | None = None) -> None:
        """Lock the gallery until it is closed: only the holder writes snapshots, purges, expires and compacts.

        Others see `command`, by default the one that runs. Raises GalleryBusy where it is locked.
        """
        if self._lock is None:
            command = command or " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
            self._lock = MaintenanceLock.acquire(self.folder, command)

    @property
    def loaded(self) -> bool:
        """True if a search can begin at once."""
        return self._live.view is not None

    def add(self, items: Sequence[NewItem], *, cameras: Collection[str] | None = None) -> list[AddResult]:
        """Add items in one transaction, durable on return; the same image_hash is the same item.

        With `cameras` only among the items of these: an image that others hold unseen becomes an item of its own.
        Raises EmbeddingRejected or GalleryFull, and then nothing was added.
        """
        if self.reserve is not None and (shortage := self.reserve.shortage()):
            raise GalleryFull(shortage)
        return self._store.add(items, cameras=cameras)

    def search(
        self, embeddings: NDArray[np.float32], k: int, *, where: Filter = EVERYTHING, min_score: float | None = None
    ) -> list[list[Match]]:
        """Return the k best items that `where` lets through, for each of (Q, D) unit embeddings, best first.

        Equal scores are ordered by id. Fewer than k only where no more items match; only those of at least `min_score`
        where it is given. Sees all that was committed before the call, by any process. Raises BadParameter,
        EmbeddingRejected.
        """
        if k < 1:
            raise BadParameter(f"k is {k}; allowed are whole numbers from 1")
        if embeddings.ndim != 2:
            raise EmbeddingRejected(f"embeddings have shape {embeddings.shape}, not (queries, {self.dimension})")
        check_embeddings(list(embeddings), self.dimension)
        for _ in range(ATTEMPTS):
            rankings = [
                [pair for pair in ranking if min_score is None or pair[1] >= min_score]
                for ranking in self._live.rankings(np.asarray(embeddings, dtype=np.float32), k, where)
            ]
            wanted = {item_id for ranking in rankings for item_id, _ in ranking}
            found = self.items_of(wanted)
            if len(found) == len(wanted):
                break  # otherwise an item was deleted in between, and others move up
        return [[Match(found[item_id], score) for item_id, score in each if item_id in found] for each in rankings]

    def get(self, item_id: int) -> Item:
        """Return one item. Raises ItemNotFound."""
        if found := self.items_of([item_id]):
            return found[item_id]
        raise ItemNotFound.of(item_id)

    def items_of(self, ids: Collection[int]) -> dict[int, Item]:
        """Return those of the items that exist, by id."""
        return self._store.items_of(ids)

    def items(self, after: int = 0, limit: int = 100, *, where: Filter = EVERYTHING) -> list[Item]:
        """Return items in order of id, from the first id greater than `after`."""
        return self._store.list_items(after=after, limit=limit, where=where)

    def ids(self, where: Filter = EVERYTHING) -> list[int]:
        """Return the ids of the items that a filter lets through, in order."""
        return self._store.ids(where)

    def count(self, where: Filter = EVERYTHING) -> int:
        """Return the number of items that a filter lets through."""
        return self._live.count(where) if self.loaded else self._store.count(where)

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return (N, D) embeddings in the order of the ids. Raises ItemNotFound, GalleryDamaged, BundleMismatch."""
        self._store.last_seq()  # raises where another model answers by now
        found, embeddings = self._store.embeddings_of(ids)
        row_of = {item_id: row for row, item_id in enumerate(found)}
        if missing := [item_id for item_id in ids if item_id not in row_of]:
            raise ItemNotFound.of(missing[0])
        return embeddings[[row_of[item_id] for item_id in ids]]

    def foregrounds(self, ids: Collection[int], model: str) -> dict[int, Foreground]:
        """Return stored foreground patches by item, of the explain.onnx with this SHA-256. Raises GalleryDamaged."""
        return self._store.foregrounds(ids, model)

    def image(self, item_id: int) -> bytes | None:
        """Return the stored JPEG, or None for an item without one. Raises ItemNotFound."""
        return self._store.image(item_id)

    def update(self, item_id: int, changes: ItemChanges) -> Item:
        """Change labels of an item; return it as it is then. Raises ItemNotFound."""
        self._store.update(item_id, changes)
        return self.get(item_id)

    def delete(self, item_id: int) -> None:
        """Remove an item with embedding and image; on return no search finds it. Raises ItemNotFound.

        Its bytes leave the files when the gallery is purged next.
        """
        self._spend(lambda: self._store.delete(item_id))

    def erase(
        self,
        ids: Collection[int],
        *,
        expected: Iterable[tuple[int, str]] = (),
        reason: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        """Erase those of the items that are there, in one transaction; on return no search finds them.

        `expected` are pairs of an id and the image_hash that the item must have where it is there. The next purge and
        the dropping of backups do what the receipt lists as remaining. Raises BadParameter without ids, ItemNotFound
        where not one is there, ImageMismatch; nothing was erased then.
        """
        pairs = list(expected)
        return self._spend(lambda: self._store.erase(ids, expected=pairs, reason=reason, requested_by=requested_by))

    def _spend(self, task: Callable[[], T]) -> T:
        return task() if self.reserve is None else self.reserve.spend(task)

    def receipt(self, erasure_id: str) -> Receipt:
        """Return the receipt of an erasure as it is now. Raises ErasureNotFound."""
        return self._store.receipt(erasure_id)

    def receipts(self, *, before: int | None = None, limit: int = 100) -> list[Receipt]:
        """Return receipts, newest first; only those with a seq less than `before` where it is given."""
        return self._store.receipts(before=before, limit=limit)

    def ids_by_hash(
        self, cameras_by_hash: Mapping[str, str | None], visible: Collection[str] | None = None
    ) -> dict[str, int]:
        """Return the ids of the items with these image hashes (SHA-256, hex); see `rows.ids_by_hash`."""
        return self._store.ids_by_hash(cameras_by_hash, visible)

    def settings(self) -> GallerySettings:
        """Return the operator's settings of this gallery."""
        version = self._store.version()
        if self._settings is None or self._settings[0] != version:
            self._settings = version, self._read(read_settings)
        return self._settings[1]

    def change_settings(self, **changes: object) -> GallerySettings:
        """Change some settings by name; return all of them. Raises BadParameter."""
        with self._store.database.writing() as connection:
            return write_settings(connection, changes)

    def model_camera(self, camera_id: str | None) -> str | None:
        """Return the model camera that a camera of this gallery is mapped to; None: unknown."""
        return None if camera_id is None else self.settings().cameras.get(camera_id)

    def knows_camera(self, camera_id: str) -> bool:
        """Return whether the gallery has items of this camera, or maps it to a model camera."""
        return camera_id in self.settings().cameras or self.count(Filter(cameras=frozenset({camera_id}))) > 0

    def count_rejection(self, camera_id: str | None, reason: str, n: int = 1) -> None:
        """Count images of a camera that were not taken for a reason."""
        with self._store.database.writing() as connection:
            count_rejection(connection, camera_id, reason, n)

    def rejections(self) -> dict[str | None, dict[str, int]]:
        """Return how many images were not taken, by camera (None: unknown) and reason."""
        return self._read(read_rejections)

    def camera_counts(self) -> dict[tuple[str | None, str | None], int]:
        """Return the number of items by camera and by the model camera that they were embedded with; None: unknown."""
        return self._read(camera_counts)

    def generations(self) -> list[dict[str, Any]]:
        """Return id, bundle_id, dimension, state and created_at of each model's embeddings."""
        return self._read(list_generations)

    def backups(self) -> list[dict[str, Any]]:
        """Return id, created_at, seq and place of the backups that are not dropped, oldest first."""
        return self._read(list_backups)

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self._store.database.reading() as connection:
            return query(connection)

    def info(self) -> GalleryInfo:
        """Return the gallery in numbers."""
        rows = self._read(partial(summary, path=self._store.database.path))
        view = self._live.view
        newest = newest_manifest(self.folder)
        kind, reason = self._live.choice()
        return GalleryInfo(
            **rows,
            index=kind if view is None else view.index.kind,
            index_reason=reason,
            index_parameters={} if view is None else view.index.parameters,
            index_bytes=0 if view is None else view.index.memory_bytes + view.columns.memory_bytes,
            snapshot_seq=None if newest is None else newest.seq,
            snapshot_at=None if newest is None else newest.created_at,
        )

    def __len__(self) -> int:
        return self._store.count(EVERYTHING)

    def __bool__(self) -> bool:
        return True  # an empty gallery is still a gallery

    def refresh(self) -> None:
        """Load what searches need, or bring it up to the newest row. Raises GalleryDamaged."""
        self._live.refresh()

    def rebuild_index(self, *, only_if_due: bool = False) -> None:
        """Rebuild the search view from the rows and swap it in; searches use the old one meanwhile.

        It is due where the index outgrew its kind, or holds too much that was removed.
        """
        if not only_if_due or self._live.rebuild_reason():
            self._live.rebuild()

    def write_snapshot(self, *, only_if_due: bool = False) -> None:
        """Write a snapshot; due where enough has changed since the last one.

        Raises GalleryBusy where another process holds the maintenance lock, GalleryFull.
        """
        if not only_if_due or self._live.snapshot_due():
            with self._locked():
                self._live.write_snapshot(self._store.clock())

    def replace_snapshots(self) -> None:
        """Leave no snapshot that still holds something of removed items. Raises GalleryBusy, GalleryFull."""
        with self._locked():
            self._live.replace_snapshots(self._store.clock())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the maintenance lock for the length of a block, where it is not held anyway."""
        held = self._lock is not None
        self.acquire_maintenance_lock()
        try:
            yield
        finally:
            if not held:
                self._release_lock()

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
