"""The live search view: concurrent searches share one pass, and each sees the newest rows."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import GalleryError
from vitreid.service.gallery.errors import GalleryDamaged
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.rows.store import Store
from vitreid.service.gallery.snapshots import snapshot
from vitreid.service.gallery.view.ranking import rank
from vitreid.service.gallery.view.search_view import SearchView
from vitreid.service.indexes import AUTO, choose_index, rebuild_reason

logger = logging.getLogger("vitreid")

MARGIN = 16  # candidates beyond k, so that a tie at the k-th place seldom needs a second search
FIRST_KIND = "flat"  # the quickest to build from rows: maintenance then builds the kind that fits, beside it
SPARE_SLOTS = 100_000  # slots of removed items that do not matter yet
SNAPSHOT_CHANGES = 1000  # below that reading rows is as fast as a snapshot
SNAPSHOT_SHARE = 0.05  # of the items: so many changes are applied in a few seconds

Ranking = list[tuple[int, float]]
CONFIGURED = "it is configured"


@dataclass(frozen=True, eq=False)
class Candidates:
    """The nearest items to (Q, D) embeddings; an empty place has an id below 0."""

    scores: NDArray[np.float32]
    ids: NDArray[np.int64]
    complete: bool
    """There are no others."""
    exact: bool
    """The scores are those of the stored embeddings."""


@dataclass(eq=False)
class _Request:
    embeddings: NDArray[np.float32]
    k: int
    where: Filter
    answer: Candidates | None = None


class LiveView:
    """Answers searches from a SearchView, loads it, and renews it. Safe to use from several threads."""

    def __init__(self, folder: Path, store: Store, *, index: str) -> None:
        self._folder = folder
        self._store = store
        self._wanted = index
        self._using = threading.Lock()  # of the two below: searches and changes take turns
        self._view: SearchView | None = None
        self._version = -1
        self._waiting_lock = threading.Lock()  # of the next
        self._waiting: list[_Request] = []
        self._renewing = threading.Lock()  # one rebuild or snapshot at a time

    @property
    def view(self) -> SearchView | None:
        """The search view as it was last; None: not loaded."""
        return self._view

    def refresh(self) -> None:
        """Load the view where that was not done, and bring it up to the newest row. Raises GalleryDamaged."""
        with self._using:
            self._up_to_date_view()

    def rankings(self, embeddings: NDArray[np.float32], k: int, where: Filter) -> list[Ranking]:
        """Return the best k (id, score) for each of (Q, D) embeddings, of the items that `where` lets through."""
        wanted = k + MARGIN
        while True:
            found = self._candidates(embeddings, wanted, where)
            if not found.exact:
                found = self._scored_exactly(embeddings, found)
            ranked = [_rank(*each, k, found.complete) for each in zip(found.scores, found.ids, strict=True)]
            rankings = [ranking for ranking in ranked if ranking is not None]
            if len(rankings) == len(ranked):
                return rankings
            wanted *= 2

    def count(self, where: Filter) -> int:
        """Return the number of items that `where` lets through, at the newest row."""
        with self._using:
            return self._up_to_date_view().count(where, self._store)

    def choice(self) -> tuple[str, str]:
        """Return the kind of index that fits now, and the reason."""
        if self._wanted != AUTO:
            return self._wanted, CONFIGURED
        view = self._view
        size = len(view) if view is not None else self._store.extent()[0]
        current = None if view is None else view.index.kind
        kind, reason = choose_index(size, self._store.dimension, current)
        return kind, reason if current in (None, kind) else f"until {kind} is built: {reason}"

    def rebuild_reason(self) -> str | None:
        """Return why the view should be rebuilt, or None."""
        view = self._view
        if view is None:
            return None
        kind, reason = self.choice()
        if kind != view.index.kind:
            return reason
        if outgrown := rebuild_reason(view.index):
            return outgrown
        if view.columns.slots > 2 * len(view) + SPARE_SLOTS:
            return f"{view.columns.slots - len(view):,} slots belong to items that were removed"
        return None

    def rebuild(self) -> None:
        """Build a new view from the rows beside the old one, which answers meanwhile, and swap them in one step."""
        with self._renewing:
            view = SearchView.build(self._store, self.choice()[0])
            view.apply_changes(self._store)  # most of what came meanwhile, while searches run
            with self._using:
                view.apply_changes(self._store)
                self._view = view

    def snapshot_due(self) -> bool:
        """Return whether applying the changes since the newest snapshot would take seconds."""
        view = self._view
        if view is None:
            return False
        newest = snapshot.newest_manifest(self._folder)
        changes = self._store.last_seq() - (newest.seq if newest is not None else 0)
        return changes >= max(SNAPSHOT_CHANGES, SNAPSHOT_SHARE * len(view))

    def write_snapshot(self, now: datetime) -> None:
        """Write the view as a new snapshot; searches wait only while its bytes are handed to the system.

        Raises GalleryFull, GalleryReadOnly; the snapshots that were there stay.
        """
        with self._renewing, snapshot.staging_folder(self._folder) as staging:
            with self._using:
                view = self._up_to_date_view()
                view.save(staging)
                facts = (view.seq, len(view), view.index.kind)
            snapshot.publish(staging, self._source(), *facts, now)

    def replace_snapshots(self, now: datetime) -> None:
        """Leave no snapshot that was written before now, and nothing of removed items in the one that is.

        None is left where none was, where nothing is loaded, and where the rows that changed since are damaged.
        """
        newest = 0
        if self._view is not None and snapshot.snapshots(self._folder):
            with suppress(GalleryDamaged):
                self.write_snapshot(now)
                newest = 1
        with self._renewing:  # nobody else uses the staging folder meanwhile
            snapshot.remove_old_snapshots(self._folder, newest)

    def _source(self) -> snapshot.SnapshotSource:
        store = self._store
        return snapshot.SnapshotSource(store.lineage, store.bundle_id, store.dimension, store.generation)

    def _candidates(self, embeddings: NDArray[np.float32], k: int, where: Filter) -> Candidates:
        """Search together with all that wait with the same filter: the first to get the lock answers them."""
        request = _Request(embeddings, k, where)
        with self._waiting_lock:
            self._waiting.append(request)
        with self._using:
            if request.answer is None:
                self._answer(self._batch_of(request))
        assert request.answer is not None
        return request.answer

    def _batch_of(self, request: _Request) -> list[_Request]:
        with self._waiting_lock:
            batch = [each for each in self._waiting if each is request or each.where == request.where]
            self._waiting = [each for each in self._waiting if each not in batch]
        return batch if request in batch else [request, *batch]

    def _answer(self, requests: list[_Request]) -> None:
        view = self._up_to_date_view()
        many = len(requests) > 1
        every = np.concatenate([each.embeddings for each in requests]) if many else requests[0].embeddings
        k = max(each.k for each in requests)
        scores, ids, complete = view.search(every, k, requests[0].where, self._store)
        start = 0
        for each in requests:
            rows = slice(start, start + len(each.embeddings))
            each.answer = Candidates(scores[rows], ids[rows], complete, view.index.exact_scores)
            start = rows.stop

    def _up_to_date_view(self) -> SearchView:
        """Return the view at the newest row; the caller holds the lock."""
        if self._view is None:
            self._view = self._load()
        version = self._store.version()
        if version != self._version:
            try:
                if self._store.last_seq() != self._view.seq:
                    self._view.apply_changes(self._store)
            except GalleryError:  # the rows could not be read: the view is as whole as before
                raise
            except BaseException:
                self._view = None  # part of the changes may be in it: the next search loads it again
                raise
            self._version = version
        return self._view

    def _load(self) -> SearchView:
        found = snapshot.open_newest(self._folder, self._source(), self._store.last_seq(), self._store.last_id())
        if found is not None and self._wanted in (AUTO, found.index.kind):
            return found
        return SearchView.build(self._store, FIRST_KIND if self._wanted == AUTO else self._wanted)

    def _scored_exactly(self, embeddings: NDArray[np.float32], found: Candidates) -> Candidates:
        """Return the candidates with the scores of their stored embeddings, so that indexes agree."""
        here, stored = self._store.embeddings_of(np.unique(found.ids[found.ids >= 0]).tolist())
        known = np.array(here, dtype=np.int64)
        scores, ids = np.full_like(found.scores, -np.inf), np.full_like(found.ids, -1)
        for query, (row, embedding) in enumerate(zip(found.ids, embeddings, strict=True)):
            real = np.flatnonzero(row >= 0)
            _, columns, rows = np.intersect1d(row[real], known, assume_unique=True, return_indices=True)
            columns = real[columns]
            ids[query, columns] = row[columns]
            scores[query, columns] = stored[rows] @ embedding
        return Candidates(scores, ids, found.complete, exact=True)


def _rank(scores: NDArray[np.float32], ids: NDArray[np.int64], k: int, complete: bool) -> Ranking | None:
    real = ids >= 0
    return rank(scores[real], ids[real], k, complete=complete)
