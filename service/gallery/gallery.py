"""The gallery: what callers see of rows and index together."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.errors import BadParameter, EmbeddingRejected
from service.gallery.embeddings import check_embeddings
from service.gallery.items import AddResult, GalleryInfo, Item, Match, NewItem
from service.gallery.ranking import rank
from service.gallery.store import Store
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
        self.folder = folder
        self.bundle_id = bundle_id
        self.dimension = dimension
        self._store = store
        self._index_name = index
        self._lock = threading.Lock()  # of the two below
        self._index = make_index(index, dimension)
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
        self._store.close()

    def add(self, items: Sequence[NewItem]) -> list[AddResult]:
        """Add items in one transaction, durable on return; the same image_hash is the same item.

        Raises EmbeddingRejected, and then nothing was added.
        """
        return self._store.add(items)

    def search(self, embeddings: NDArray[np.float32], k: int, *, min_score: float | None = None) -> list[list[Match]]:
        """The k best items for each of (Q, D) unit embeddings, best first, equal scores by id.

        All items where k is larger than the gallery; only those of at least `min_score` where it is given. Sees all
        that was committed before the call, by any process. Raises BadParameter, EmbeddingRejected.
        """
        if k < 1:
            raise BadParameter(f"k is {k}; allowed are whole numbers from 1")
        if embeddings.ndim != 2:
            raise EmbeddingRejected(f"embeddings have shape {embeddings.shape}, not (queries, {self.dimension})")
        check_embeddings(list(embeddings), self.dimension)
        for _ in range(ATTEMPTS):
            rankings = self._rank(np.asarray(embeddings, dtype=np.float32), k, min_score)
            wanted = {item_id for ranking in rankings for item_id, _ in ranking}
            found = self._store.items_of(wanted)
            if len(found) == len(wanted):
                break  # otherwise an item was deleted in between, and others move up into its place
        return [[Match(found[item_id], score) for item_id, score in each if item_id in found] for each in rankings]

    def get(self, item_id: int) -> Item:
        """One item. Raises ItemNotFound."""
        return self._store.get(item_id)

    def items(
        self, after: int = 0, limit: int = 100, *, camera_id: str | None = None, person_id: str | None = None
    ) -> list[Item]:
        """Items in order of id, from the first id greater than `after`; of one camera or person where given."""
        return self._store.list_items(after=after, limit=limit, camera_id=camera_id, person_id=person_id)

    def picture(self, item_id: int) -> bytes | None:
        """The stored JPEG, or None for an item without one. Raises ItemNotFound."""
        return self._store.picture(item_id)

    def delete(self, item_id: int) -> None:
        """Remove an item with embedding and picture; on return no search finds it. Raises ItemNotFound."""
        self._store.delete(item_id)
        if self._seq:  # an index that was not loaded holds nothing to forget
            self.refresh()

    def known_hashes(self, hashes: Iterable[str]) -> set[str]:
        """Those of the image hashes (SHA-256, hex) that items of this gallery have."""
        return self._store.known_hashes(hashes)

    def info(self) -> GalleryInfo:
        """The gallery in numbers."""
        return self._store.info(index=self._index_name)

    def __len__(self) -> int:
        return len(self._store)

    def __bool__(self) -> bool:
        return True  # an empty gallery is still a gallery

    def refresh(self) -> None:
        """Bring the index up to the newest row. Raises GalleryDamaged."""
        if self._store.last_seq() == self._seq:
            return
        with self._lock:
            try:
                self._seq = self._store.replay(self._seq, self._index.add, self._index.remove)
            except BaseException:
                # Part of the changes may be in: start again from nothing, or they would come twice.
                self._index, self._seq = make_index(self._index_name, self.dimension), 0
                raise

    def _rank(self, embeddings: NDArray[np.float32], k: int, min_score: float | None) -> list[Ranking]:
        self.refresh()
        wanted = k + MARGIN
        while True:
            with self._lock:
                size = len(self._index)
                scores, ids = self._index.search(embeddings, wanted)
            complete = wanted >= size
            ranked = [rank(*each, k, complete=complete) for each in zip(scores, ids, strict=True)]
            rankings = [ranking for ranking in ranked if ranking is not None]
            if len(rankings) == len(ranked):
                return [[pair for pair in each if min_score is None or pair[1] >= min_score] for each in rankings]
            wanted *= 2
