"""Comparison of a gallery's index with its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import Match

QUERIES = 50
K = 10
AT_ONCE = 4096
MIN_RECALL = 0.95
TOLERANCE = 1e-4  # of scores
ATTEMPTS = 3


def check_index(folder: Path) -> tuple[float | None, list[str]]:
    """Return the share of the true K nearest that searches find, and the faults of their answers.

    For a database whose pages were checked. The queries are embeddings of items spread over the gallery. None where
    others wrote during every attempt.
    """
    with Gallery.open_existing(folder, read_through=False) as gallery:
        for _ in range(ATTEMPTS):
            seq = gallery._store.last_seq()
            ids = gallery.ids()
            queries = [ids[row] for row in np.linspace(0, len(ids) - 1, min(QUERIES, len(ids))).astype(int)]
            answers = gallery.search(gallery.embeddings(queries), K) if queries else []
            scores = _all_scores(gallery, ids, queries)
            if gallery._store.last_seq() == seq:
                return _compare(np.array(ids), scores, answers)
    return None, []


def _all_scores(gallery: Gallery, ids: list[int], queries: list[int]) -> NDArray[np.float32]:
    """Return (queries, N) scores of all items, from their rows."""
    embeddings = gallery.embeddings(queries)
    parts = [embeddings @ gallery.embeddings(ids[start : start + AT_ONCE]).T for start in range(0, len(ids), AT_ONCE)]
    return np.concatenate(parts, axis=1) if parts else np.empty((0, 0), dtype=np.float32)


def _compare(
    ids: NDArray[np.int64], scores: NDArray[np.float32], answers: list[list[Match]]
) -> tuple[float, list[str]]:
    found, due, faults = 0, 0, []
    for row, answer in zip(scores, answers, strict=True):
        expected = min(K, len(ids))
        if len(answer) != expected:
            faults.append(f"a search for {K} items gave {len(answer)} instead of {expected}")
        true = row[np.searchsorted(ids, [match.item.id for match in answer])]
        if np.any(np.abs(true - [match.score for match in answer]) > TOLERANCE):
            faults.append("a search gave scores that are not those of the stored embeddings")
        # Of equally good items any will do.
        worst = np.partition(row, len(row) - expected)[len(row) - expected]
        found, due = found + int(np.count_nonzero(true >= worst - TOLERANCE)), due + expected
    recall = found / due if due else 1.0
    if recall < MIN_RECALL:
        faults.append(f"searches find {recall:.1%} of the nearest items, at least {MIN_RECALL:.0%} are expected")
    return recall, sorted(set(faults))
