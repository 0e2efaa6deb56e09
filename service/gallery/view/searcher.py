"""Searching: concurrent searches share one pass over the mirror, and the mirror follows the rows."""

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
FIRST_KIND = "flat"  # the quickest to build from rows: upkeep then builds the kind that fits, beside it
SPARE_SLOTS = 100_000  # slots of removed items that do not matter yet
SNAPSHOT_CHANGES = 1000  # below that reading rows is as fast as a snapshot
SNAPSHOT_SHARE = 0.05  # of the items: so many changes are replayed in a few seconds

Ranking = list[tuple[int, float]]
CONFIGURED = "the configuration says so"


@dataclass(frozen=True, eq=False)
class Candidates:
    """The nearest items to (Q, D) embeddings: places without one have ids below 0."""

    scores: NDArray[np.float32]
    ids: NDArray[np.int64]
    complete: bool
    """There are no others."""
    exact: bool
    """The scores are those of the stored embeddings."""


@dataclass(eq=False)
class _Ask:
    embeddings: NDArray[np.float32]
    k: int
    where: Filter
    answer: Candidates | None = None


class Searcher:
    """Answers searches from a mirror of the rows. Safe to use from several threads."""

    def __init__(self, folder: Path, store: Store, *, index: str) -> None:
        self._folder = folder
        self._store = store
        self._wanted = index
        self._using = threading.Lock()  # of the two below: searches and changes take turns
        self._mirror: SearchView | None = None
        self._version = -1
        self._asking = threading.Lock()  # of the next
        self._asks: list[_Ask] = []
        self._renewing = threading.Lock()  # one rebuild or snapshot at a time

    @property
    def mirror(self) -> SearchView | None:
        """What searches run on, as it was last; None: not loaded."""
        return self._mirror

    def refresh(self) -> None:
        """Load the mirror where that was not done, and bring it up to the newest row. Raises GalleryDamaged."""
        with self._using:
            self._current()

    def rankings(self, embeddings: NDArray[np.float32], k: int, where: Filter) -> list[Ranking]:
        """The best k (id, score) for each of (Q, D) embeddings, of the items that `where` lets through."""
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
        """How many items `where` lets through, at the newest row."""
        with self._using:
            return self._current().count(where, self._store)

    def choice(self) -> tuple[str, str]:
        """The kind of index that fits now, and why."""
        if self._wanted != AUTO:
            return self._wanted, CONFIGURED
        mirror = self._mirror
        size = len(mirror) if mirror is not None else self._store.extent()[0]
        current = None if mirror is None else mirror.index.kind
        kind, reason = choose_index(size, self._store.dimension, current)
        return kind, reason if current in (None, kind) else f"until {kind} is built: {reason}"

    def rebuild_due(self) -> str | None:
        """Why the mirror should be built anew; None: it need not be."""
        mirror = self._mirror
        if mirror is None:
            return None
        kind, reason = self.choice()
        if kind != mirror.index.kind:
            return reason
        if worn_out := rebuild_reason(mirror.index):
            return worn_out
        if mirror.columns.slots > 2 * len(mirror) + SPARE_SLOTS:
            return f"{mirror.columns.slots - len(mirror):,} slots belong to items that were removed"
        return None

    def rebuild(self) -> None:
        """Build a new mirror from the rows beside the old one, which answers meanwhile, and swap them in one step."""
        with self._renewing:
            mirror = SearchView.build(self._store, self.choice()[0])
            mirror.follow(self._store)  # most of what came meanwhile, while searches go on
            with self._using:
                mirror.follow(self._store)
                self._mirror = mirror

    def snapshot_due(self) -> bool:
        """Whether so much has changed since the newest snapshot that replaying it would take seconds."""
        mirror = self._mirror
        if mirror is None:
            return False
        newest = snapshot.newest_manifest(self._folder)
        changes = self._store.last_seq() - (newest.seq if newest is not None else 0)
        return changes >= max(SNAPSHOT_CHANGES, SNAPSHOT_SHARE * len(mirror))

    def write_snapshot(self, now: datetime) -> None:
        """Write the mirror as a new snapshot; searches wait only while its bytes are handed to the system.

        Raises GalleryFull, GalleryReadOnly; the snapshots that were there stay.
        """
        with self._renewing, snapshot.aside(self._folder) as place:
            with self._using:
                mirror = self._current()
                mirror.save(place)
                facts = (mirror.seq, len(mirror), mirror.index.kind)
            snapshot.publish(place, self._source(), *facts, now)

    def replace_snapshots(self, now: datetime) -> None:
        """Leave no snapshot that was written before now, and nothing of removed items in the one that is.

        None is left where none was, where nothing is loaded, and where the rows that changed since are damaged.
        """
        keep = 0
        if self._mirror is not None and snapshot.generations(self._folder):
            with suppress(GalleryDamaged):
                self.write_snapshot(now)
                keep = 1
        with self._renewing:  # nobody else writes one aside meanwhile
            snapshot.remove_but(self._folder, keep)

    def _source(self) -> snapshot.Source:
        store = self._store
        return snapshot.Source(store.lineage, store.bundle_id, store.dimension, store.generation)

    def _candidates(self, embeddings: NDArray[np.float32], k: int, where: Filter) -> Candidates:
        """Whoever gets the lock answers all that wait with the same filter, in one search."""
        ask = _Ask(embeddings, k, where)
        with self._asking:
            self._asks.append(ask)
        with self._using:
            if ask.answer is None:
                self._answer(self._together_with(ask))
        assert ask.answer is not None
        return ask.answer

    def _together_with(self, ask: _Ask) -> list[_Ask]:
        with self._asking:
            together = [each for each in self._asks if each is ask or each.where == ask.where]
            self._asks = [each for each in self._asks if each not in together]
        return together if ask in together else [ask, *together]

    def _answer(self, asks: list[_Ask]) -> None:
        mirror = self._current()
        every = np.concatenate([ask.embeddings for ask in asks]) if len(asks) > 1 else asks[0].embeddings
        k = max(ask.k for ask in asks)
        scores, ids, complete = mirror.search(every, k, asks[0].where, self._store)
        start = 0
        for ask in asks:
            rows = slice(start, start + len(ask.embeddings))
            ask.answer = Candidates(scores[rows], ids[rows], complete, mirror.index.exact_scores)
            start = rows.stop

    def _current(self) -> SearchView:
        """The mirror at the newest row; the caller holds the lock."""
        if self._mirror is None:
            self._mirror = self._opened()
        version = self._store.version()
        if version != self._version:
            try:
                if self._store.last_seq() != self._mirror.seq:
                    self._mirror.follow(self._store)
            except GalleryError:  # the rows could not be read: the mirror is as whole as before
                raise
            except BaseException:
                self._mirror = None  # part of the changes may be in it: the next search loads it anew
                raise
            self._version = version
        return self._mirror

    def _opened(self) -> SearchView:
        found = snapshot.open_newest(self._folder, self._source(), self._store.last_seq(), self._store.last_id())
        if found is not None and self._wanted in (AUTO, found.index.kind):
            return found
        return SearchView.build(self._store, FIRST_KIND if self._wanted == AUTO else self._wanted)

    def _scored_exactly(self, embeddings: NDArray[np.float32], found: Candidates) -> Candidates:
        """The same candidates with the scores of their stored embeddings, so that indexes agree."""
        here, stored = self._store.embeddings_of(np.unique(found.ids[found.ids >= 0]).tolist())
        known = np.array(here, dtype=np.int64)
        scores, ids = np.full_like(found.scores, -np.inf), np.full_like(found.ids, -1)
        for query, (row, embedding) in enumerate(zip(found.ids, embeddings, strict=True)):
            real = np.flatnonzero(row >= 0)
            _, places, rows = np.intersect1d(row[real], known, assume_unique=True, return_indices=True)
            places = real[places]
            ids[query, places] = row[places]
            scores[query, places] = stored[rows] @ embedding
        return Candidates(scores, ids, found.complete, exact=True)


def _rank(scores: NDArray[np.float32], ids: NDArray[np.int64], k: int, complete: bool) -> Ranking | None:
    real = ids >= 0
    return rank(scores[real], ids[real], k, complete=complete)
