"""Tuning sets: queries with known neighbours, on which the recall of an approximate index is measured.

The queries are embeddings that the index holds. Images of the same moment, nearly equal to the query, are left out:
they are easily found, and a new image has none. Measured on synthetic embeddings, this is as hard as new images of the
same people; with all neighbours it would be too easy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitreid.service.indexes.faiss_calls import load_faiss, set_threads
from vitreid.service.indexes.protocol import Floats, Ids

K = 10
TARGET_RECALL = 0.994  # mean recall@K: 0.99 is promised, and other queries come out a little differently
DEEP_K = 160  # recall at this depth shows how nprobe must grow with k
NEAR_DUPLICATES = 64  # results beyond K that are read, because those of the same moment are ignored
QUERIES = 1000
SAME_MOMENT = 0.85  # cosine of two consecutive images


@dataclass(frozen=True)
class TuningSet:
    """Queries (Q, D), for each the ids to find, best first, and the ids to ignore."""

    queries: Floats
    nearest: Sequence[Sequence[int]]
    ignored: Sequence[frozenset[int]]

    def recall(self, results: Ids, best: int) -> float:
        """Return the share of the `best` neighbours among the first of (Q, best + NEAR_DUPLICATES) result ids."""
        shares = []
        for row, nearest, ignored in zip(results.tolist(), self.nearest, self.ignored, strict=True):
            expected = set(nearest[:best])
            left = [each for each in row if each not in ignored][: len(expected)]
            shares.append(len(expected.intersection(left)) / len(expected))
        return float(np.mean(shares))


def tuning_set(ids: Ids, embeddings: Floats) -> TuningSet:
    """Return the tuning set of (N, D) embeddings under (N,) ids, N >= 2, by comparing all of them."""
    chosen = np.random.default_rng(0).permutation(len(ids))[:QUERIES]
    faiss = load_faiss()
    set_threads(len(chosen))
    scores, rows = faiss.knn(
        embeddings[chosen], embeddings, min(DEEP_K + NEAR_DUPLICATES, len(ids)), faiss.METRIC_INNER_PRODUCT
    )
    same = rows == chosen[:, None]
    moment = same | (scores >= SAME_MOMENT)
    enough = (~moment).sum(axis=1) >= min(K, len(ids) - 1)
    ignored = np.where(enough[:, None], moment, same)
    return TuningSet(
        queries=embeddings[chosen],
        nearest=[ids[row[~out]].tolist() for row, out in zip(rows, ignored, strict=True)],
        ignored=[frozenset(ids[row[out]].tolist()) for row, out in zip(rows, ignored, strict=True)],
    )
