"""The gallery: what callers see of rows and index together."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.errors import BadParameter, EmbeddingRejected
from service.gallery.embeddings import check_embeddings
from service.gallery.erasure import Receipt
from service.gallery.filters import EVERYTHING, Filter
from service.gallery.items import AddResult, GalleryInfo, GallerySettings, Item, ItemChanges, Match, NewItem
from service.gallery.ranking import rank
from service.gallery.replay import Changed
from service.gallery.settings import count_rejection, read_rejections, read_settings, write_settings
from service.gallery.store import Store
from service.gallery.summary import camera_counts, summary
from service.indexes import make_index

MARGIN = 16  # candidates beyond k, so that a tie at the k-th place seldom needs a second search
ATTEMPTS = 3

Ranking = list[tuple[int, float]]


class Gallery:
    """Items with their embeddings, searchable; safe to use from several threads, and beside other processes.

    The rows are the truth. The index follows them: every search first replays what was added and deleted since the
    last one, whoever did it.
    """

    def __init__(self, folder: Path, store: Store, *, bundle_id: str, dimension: int, index: str) -> None:
        self.name = folder.name
        self.folder = folder
        self.bundle_id = bundle_id
        self.dimension = dimension
        self.store = store
        self._index_name = index
        self._lock = threading.Lock()  # of the two below
        self._index = make_index(index, dimension)
        self._known: set[int] = set()
        self._seq = 0

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        bundle_id: str,
        dimension: int,
        index: str = "flat",
        create: bool = True,
        load: bool = True,
    ) -> Self:
        """Open the gallery in `folder`, or make an empty one where there is none and `create` is true.

        With `load` the index is built now, otherwise by the first search: adding needs none. Raises GalleryNotFound,
        NotAGallery, GalleryDamaged, GalleryTooNew, BundleMismatch, UnknownName (of an index).
        """
        make_index(index, dimension)  # a wrong name is told before a folder is made
        store = Store.open(folder, bundle_id=bundle_id, dimension=dimension, create=create)
        gallery = cls(folder, store, bundle_id=bundle_id, dimension=dimension, index=index)
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
        """Close the database."""
        self.store.close()

    def add(self, items: Sequence[NewItem]) -> list[AddResult]:
        """Add items in one transaction, durable on return; the same image_hash is the same item.

        Raises EmbeddingRejected, and then nothing was added.
        """
        return self.store.add(items)

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
            rankings = self._rank(np.asarray(embeddings, dtype=np.float32), k, where, min_score)
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
        return self.store.count(where)

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(N, D) embeddings of items, in the order of their ids. Raises ItemNotFound, GalleryDamaged."""
        return self.store.embeddings(ids)

    def picture(self, item_id: int) -> bytes | None:
        """The stored JPEG, or None for an item without one. Raises ItemNotFound."""
        return self.store.picture(item_id)

    def patch(self, item_id: int, changes: ItemChanges) -> Item:
        """Give an item new labels; the item as it is then. Raises ItemNotFound."""
        self.store.patch(item_id, changes)
        return self.store.get(item_id)

    def delete(self, item_id: int) -> None:
        """Remove an item with embedding and picture; on return no search finds it. Raises ItemNotFound.

        Its bytes leave the files when the gallery is purged next.
        """
        self.store.delete(item_id)

    def erase(self, ids: Collection[int], *, reason: str | None = None, requested_by: str | None = None) -> Receipt:
        """Erase those of the items that are there, in one transaction; on return no search finds them.

        The receipt says what the next purge and the dropping of backups have still to do. Raises BadParameter without
        ids, ItemNotFound where not one is there.
        """
        return self.store.erase(ids, reason=reason, requested_by=requested_by)

    def ids_by_hash(self, hashes: Iterable[str]) -> dict[str, int]:
        """Which of the image hashes (SHA-256, hex) items of this gallery have, with the items' ids."""
        return self.store.ids_by_hash(hashes)

    def settings(self) -> GallerySettings:
        """What the operator decided about this gallery."""
        with self.store.database.reading() as connection:
            return read_settings(connection)

    def change_settings(self, **changes: object) -> GallerySettings:
        """Change some settings by name; all of them afterwards. Raises BadParameter."""
        with self.store.database.writing() as connection:
            return write_settings(connection, changes)

    def learned_camera(self, camera_id: str | None) -> str | None:
        """The learned camera that a camera of this gallery is mapped to; None: unknown."""
        return None if camera_id is None else self.settings().cameras.get(camera_id)

    def count_rejection(self, camera_id: str | None, reason: str, n: int = 1) -> None:
        """Count pictures of a camera that were not taken for a reason."""
        with self.store.database.writing() as connection:
            count_rejection(connection, camera_id, reason, n)

    def rejections(self) -> dict[str | None, dict[str, int]]:
        """How many pictures were not taken, by camera (None: unknown) and reason."""
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
        return GalleryInfo(
            **rows,
            index=self._index_name,
            index_reason="chosen by the configuration",
            index_parameters={},
            index_bytes=0,
            snapshot_seq=None,
            snapshot_at=None,
        )

    def __len__(self) -> int:
        return len(self.store)

    def __bool__(self) -> bool:
        return True  # an empty gallery is still a gallery

    def refresh(self) -> None:
        """Bring the index up to the newest row. Raises GalleryDamaged."""
        if self.store.last_seq() == self._seq:
            return
        with self._lock:
            try:
                self._seq = self.store.replay(self._seq, self._add, self._index.remove)
            except BaseException:
                # Part of the changes may be in: start again from nothing, or they would come twice.
                self._index, self._seq = make_index(self._index_name, self.dimension), 0
                self._known = set()
                raise

    def _add(self, changed: Changed) -> None:
        new = np.array([item_id not in self._known for item_id in changed.ids.tolist()])
        self._index.add(changed.ids[new], changed.embeddings[new])
        self._known.update(changed.ids.tolist())

    def _rank(self, embeddings: NDArray[np.float32], k: int, where: Filter, min_score: float | None) -> list[Ranking]:
        self.refresh()
        wanted = k + MARGIN
        allowed = None if where == EVERYTHING else np.array(self.store.ids(where), dtype=np.int64)
        while True:
            with self._lock:
                size = len(self._index)
                scores, ids = self._index.search(embeddings, wanted if allowed is None else size)
            complete = allowed is not None or wanted >= size
            keep = [np.ones(len(row), dtype=bool) if allowed is None else np.isin(row, allowed) for row in ids]
            candidates = [(each[kept], row[kept]) for each, row, kept in zip(scores, ids, keep, strict=True)]
            ranked = [rank(*each, k, complete=complete) for each in candidates]
            rankings = [ranking for ranking in ranked if ranking is not None]
            if len(rankings) == len(ranked):
                return [[pair for pair in each if min_score is None or pair[1] >= min_score] for each in rankings]
            wanted *= 2
