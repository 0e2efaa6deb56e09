"""The gallery: what callers see of rows and index together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import BadParameter, EmbeddingRejected
from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.items import AddResult, GalleryInfo, GallerySettings, Item, ItemChanges, Match, NewItem
from vitreid.service.gallery.maintenance.lock import MaintenanceLock
from vitreid.service.gallery.maintenance.reserve import Reserve
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.gallery.rows.settings import count_rejection, read_rejections, read_settings, write_settings
from vitreid.service.gallery.rows.store import Store
from vitreid.service.gallery.rows.summary import camera_counts, summary
from vitreid.service.gallery.snapshots.snapshot import newest_manifest
from vitreid.service.gallery.view.searcher import Searcher
from vitreid.service.indexes import AUTO, index_kind
from vitreid.service.values.embeddings import check_embeddings

T = TypeVar("T")

ATTEMPTS = 3


class Gallery:
    """Items with their embeddings, searchable; safe to use from several threads, and beside other processes.

    The rows are the truth. What searches run on follows them: every search first takes in what was added, changed and
    deleted since the last one, whoever did it.
    """

    def __init__(self, folder: Path, store: Store, *, index: str) -> None:
        self.name = folder.name
        self.folder = folder
        self.bundle_id = store.bundle_id
        self.dimension = store.dimension
        self.store = store
        self._searcher = Searcher(folder, store, index=index)
        self.reserve: Reserve | None = None
        """Room for erasing on a full disk."""
        self._keeper: MaintenanceLock | None = None
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
        read_through: bool = True,
    ) -> Self:
        """Open the gallery in `folder`, or make an empty one where there is none and `create` is true.

        With `load` it is ready to search on return; otherwise the first search or `refresh` loads what searches need:
        a service opens without, calls `refresh` in a thread, and is ready once `loaded`. Adding and reading need
        nothing loaded. Without `read_through` the pages of the database are not checked: somebody just did. Raises
        GalleryNotFound, NotAGallery, GalleryDamaged, GalleryTooNew, BundleMismatch, UnknownName
        (of an index).
        """
        if index != AUTO:
            index_kind(index)  # a wrong name is told before a folder is made
        store = Store.open(folder, bundle_id=bundle_id, dimension=dimension, create=create, read_through=read_through)
        gallery = cls(folder, store, index=index)
        try:
            if load:
                gallery.refresh()
        except BaseException:
            gallery.close()
            raise
        return gallery

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, and let others keep the gallery."""
        if self._keeper is not None:
            self._keeper.release()
            self._keeper = None
        self.store.close()

    def keep(self, command: str | None = None) -> None:
        """Become the gallery's keeper until it is closed: who writes snapshots, purges, expires and compacts.

        Others are told `command`, the one that runs by default. Raises GalleryBusy where another keeps it.
        """
        if self._keeper is None:
            self._keeper = MaintenanceLock.take(
                self.folder, command or " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
            )

    @property
    def loaded(self) -> bool:
        """Whether a search can begin at once."""
        return self._searcher.mirror is not None

    def add(self, items: Sequence[NewItem], *, cameras: Collection[str] | None = None) -> list[AddResult]:
        """Add items in one transaction, durable on return; the same image_hash is the same item.

        With `cameras` only among the items of these: an image that others hold unseen becomes an item of its own.
        Raises EmbeddingRejected or GalleryFull, and then nothing was added.
        """
        if self.reserve is not None:
            self.reserve.check_room()
        return self.store.add(items, cameras=cameras)

    def search(
        self, embeddings: NDArray[np.float32], k: int, *, where: Filter = EVERYTHING, min_score: float | None = None
    ) -> list[list[Match]]:
        """The k best items, of those that `where` lets through, for each of (Q, D) unit embeddings, best first.

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
                for ranking in self._searcher.rankings(np.asarray(embeddings, dtype=np.float32), k, where)
            ]
            wanted = {item_id for ranking in rankings for item_id, _ in ranking}
            found = self.store.items_of(wanted)
            if len(found) == len(wanted):
                break  # otherwise an item was deleted in between, and others move up into its place
        return [[Match(found[item_id], score) for item_id, score in each if item_id in found] for each in rankings]

    def get(self, item_id: int) -> Item:
        """One item. Raises ItemNotFound."""
        return self.store.get(item_id)

    def items(self, after: int = 0, limit: int = 100, *, where: Filter = EVERYTHING) -> list[Item]:
        """Items in order of id, from the first id greater than `after`."""
        return self.store.list_items(after=after, limit=limit, where=where)

    def ids(self, where: Filter = EVERYTHING) -> list[int]:
        """Ids of the items that a filter lets through, in order."""
        return self.store.ids(where)

    def count(self, where: Filter = EVERYTHING) -> int:
        """How many items a filter lets through."""
        return self._searcher.count(where) if self.loaded else self.store.count(where)

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(N, D) embeddings of items, in the order of their ids. Raises ItemNotFound, GalleryDamaged."""
        return self.store.embeddings(ids)

    def image(self, item_id: int) -> bytes | None:
        """The stored JPEG, or None for an item without one. Raises ItemNotFound."""
        return self.store.image(item_id)

    def patch(self, item_id: int, changes: ItemChanges) -> Item:
        """Give an item new labels; the item as it is then. Raises ItemNotFound."""
        self.store.patch(item_id, changes)
        return self.store.get(item_id)

    def delete(self, item_id: int) -> None:
        """Remove an item with embedding and image; on return no search finds it. Raises ItemNotFound.

        Its bytes leave the files when the gallery is purged next.
        """
        self._spend(lambda: self.store.delete(item_id))

    def erase(
        self,
        ids: Collection[int],
        *,
        expected: Iterable[tuple[int, str]] = (),
        reason: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        """Erase those of the items that are there, in one transaction; on return no search finds them.

        `expected` are pairs of an id and the image_hash that the item must have where it is there. The receipt says
        what the next purge and the dropping of backups have still to do. Raises BadParameter without ids, ItemNotFound
        where not one is there, ImageMismatch where an item has another image; nothing was erased then.
        """
        pairs = list(expected)
        return self._spend(lambda: self.store.erase(ids, expected=pairs, reason=reason, requested_by=requested_by))

    def _spend(self, task: Callable[[], T]) -> T:
        return task() if self.reserve is None else self.reserve.spend(task)

    def ids_by_hash(
        self, cameras_by_hash: Mapping[str, str | None], visible: Collection[str] | None = None
    ) -> dict[str, int]:
        """Which of the image hashes (SHA-256, hex) items of this gallery have, and those items' ids.

        Of several items with one hash it is the first of the camera that the hash comes with, else the first of all.
        With `visible` only items of these cameras are looked at.
        """
        return self.store.ids_by_hash(cameras_by_hash, visible)

    def settings(self) -> GallerySettings:
        """What the operator decided about this gallery."""
        version = self.store.version()
        if self._settings is None or self._settings[0] != version:
            with self.store.database.reading() as connection:
                self._settings = version, read_settings(connection)
        return self._settings[1]

    def change_settings(self, **changes: object) -> GallerySettings:
        """Change some settings by name; all of them afterwards. Raises BadParameter."""
        with self.store.database.writing() as connection:
            return write_settings(connection, changes)

    def model_camera(self, camera_id: str | None) -> str | None:
        """The learned camera that a camera of this gallery is mapped to; None: unknown."""
        return None if camera_id is None else self.settings().cameras.get(camera_id)

    def knows_camera(self, camera_id: str) -> bool:
        """Whether the gallery has items of this camera, or maps it to a learned one."""
        return camera_id in self.settings().cameras or self.count(Filter(cameras=frozenset({camera_id}))) > 0

    def count_rejection(self, camera_id: str | None, reason: str, n: int = 1) -> None:
        """Count images of a camera that were not taken for a reason."""
        with self.store.database.writing() as connection:
            count_rejection(connection, camera_id, reason, n)

    def rejections(self) -> dict[str | None, dict[str, int]]:
        """How many images were not taken, by camera (None: unknown) and reason."""
        with self.store.database.reading() as connection:
            return read_rejections(connection)

    def camera_counts(self) -> dict[tuple[str | None, str | None], int]:
        """How many items there are, by camera and by the learned camera that they were embedded with; None: unknown."""
        with self.store.database.reading() as connection:
            return camera_counts(connection)

    def info(self) -> GalleryInfo:
        """The gallery in numbers."""
        with self.store.database.reading() as connection:
            rows = summary(connection, self.store.database.path)
        mirror = self._searcher.mirror
        index = None if mirror is None else mirror.index
        newest = newest_manifest(self.folder)
        kind, reason = self._searcher.choice()
        return GalleryInfo(
            **rows,
            index=kind if index is None else index.kind,
            index_reason=reason,
            index_parameters={} if index is None else index.parameters,
            index_bytes=0 if mirror is None else mirror.index.memory_bytes + mirror.columns.memory_bytes,
            snapshot_seq=None if newest is None else newest.seq,
            snapshot_at=None if newest is None else newest.created_at,
        )

    def __len__(self) -> int:
        return len(self.store)

    def __bool__(self) -> bool:
        return True  # an empty gallery is still a gallery

    def refresh(self) -> None:
        """Load what searches need, or bring it up to the newest row. Raises GalleryDamaged."""
        self._searcher.refresh()

    def rebuild_index(self) -> None:
        """Build what searches need anew from the rows, and swap it in; searches go on with the old one meanwhile."""
        self._searcher.rebuild()

    def upkeep_index(self) -> None:
        """Build the index anew where that is due: it outgrew its kind, or holds too much that was removed."""
        if self._searcher.rebuild_due():
            self._searcher.rebuild()

    def upkeep_snapshot(self) -> None:
        """Write a snapshot where enough has changed since the last one. Raises GalleryBusy, GalleryFull."""
        if self._searcher.snapshot_due():
            self.write_snapshot()

    def write_snapshot(self) -> None:
        """Write a snapshot now. Raises GalleryBusy where another process keeps the gallery, GalleryFull."""
        with self._kept():
            self._searcher.write_snapshot(self.store.clock())

    def replace_snapshots(self) -> None:
        """Leave no snapshot that still holds something of removed items. Raises GalleryBusy, GalleryFull."""
        with self._kept():
            self._searcher.replace_snapshots(self.store.clock())

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Be the keeper for the length of a block, where this is not the keeper anyway."""
        mine = self._keeper is None
        self.keep()
        try:
            yield
        finally:
            if mine and self._keeper is not None:
                self._keeper.release()
                self._keeper = None
