"""The search view: an index over the embeddings, and columns for filters, derived from the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitreid.service.gallery.filters import EVERYTHING, Filter
from vitreid.service.gallery.rows.store import Store
from vitreid.service.gallery.view.columns import Columns
from vitreid.service.indexes import Index, index_kind

INDEX_FILE = "index"
COLUMNS_FILE = "columns.npz"


class SearchView:
    """The live items as they were at `seq`. Nothing may run beside `apply_changes`; the caller holds a lock."""

    def __init__(self, index: Index, columns: Columns, seq: int) -> None:
        self.index = index
        self.columns = columns
        self.seq = seq

    @classmethod
    def build(cls, store: Store, kind: str) -> Self:
        """Build a view from the rows, in several short transactions. Raises GalleryDamaged, UnknownName."""
        index = index_kind(kind)
        count, base = store.extent()
        columns = Columns(base)
        ids = np.empty(count, dtype=np.int64)
        embeddings = np.empty((count, store.dimension), dtype=np.float32)
        seq = filled = 0
        complete = False
        while not complete:
            part = store.changes(seq)
            new = ~columns.has(part.ids)
            end = filled + int(np.count_nonzero(new))
            if end > count:  # added meanwhile: `apply_changes` takes them
                break
            ids[filled:end], embeddings[filled:end] = part.ids[new], part.embeddings[new]
            columns.put(part.ids, part.labels)
            columns.drop(part.deleted)
            seq, filled, complete = part.reached, end, part.complete
        live = columns.has(ids[:filled])
        if not live.all() or filled < count:
            ids, embeddings = ids[:filled][live], embeddings[:filled][live]
        return cls(index.build(store.dimension, ids - base, embeddings), columns, seq)

    def __len__(self) -> int:
        return len(self.columns)

    def apply_changes(self, store: Store) -> None:
        """Apply what changed in the rows since. Raises GalleryDamaged."""
        complete = False
        while not complete:
            part = store.changes(self.seq)
            new = ~self.columns.has(part.ids)
            if new.any():
                self.index.add(part.ids[new] - self.columns.base, part.embeddings[new])
            gone = part.deleted[self.columns.has(part.deleted)]
            self.columns.put(part.ids, part.labels)
            if len(gone):
                self.index.remove(gone - self.columns.base)
                self.columns.drop(gone)
            self.seq, complete = part.reached, part.complete

    def search(
        self, embeddings: NDArray[np.float32], k: int, where: Filter, store: Store
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], bool]:
        """Return scores and ids, (Q, k) or narrower, of the nearest that `where` lets through, and if these are all.

        An empty place has an id below 0.
        """
        allowed = None if where == EVERYTHING else self.columns.mask(where, store.ids_with)
        scores, slots = self.index.search(embeddings, k, allowed)
        complete = k >= (len(self) if allowed is None else int(np.count_nonzero(allowed)))
        return scores, np.where(slots < 0, np.int64(-1), slots + self.columns.base), complete

    def count(self, where: Filter, store: Store) -> int:
        """Return the number of items that `where` lets through."""
        if where == EVERYTHING:
            return len(self)
        return int(np.count_nonzero(self.columns.mask(where, store.ids_with)))

    def save(self, folder: Path) -> None:
        """Write both parts as files. Raises OSError."""
        self.index.save(folder / INDEX_FILE)
        self.columns.save(folder / COLUMNS_FILE)

    @classmethod
    def load(cls, folder: Path, kind: str, dimension: int, seq: int, last_id: int) -> Self:
        """Load what `save` wrote, of items up to `last_id`; the hashes were checked before. Raises IndexDamaged."""
        columns = Columns.load(folder / COLUMNS_FILE, last_id)
        return cls(index_kind(kind).load(folder / INDEX_FILE, dimension, last_id - columns.base + 1), columns, seq)
