"""How thoroughly must an approximate index search, so that it finds what comparing everything finds?

The index is asked for the neighbours of embeddings that it holds. Images of the same moment, nearly equal to the one
that asks, are left out: they are easily found, and a new image has none. Measured on made embeddings, this asks
for as much as new images of the same people do, where all neighbours ask for too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitreid.service.indexes.faiss_calls import load_faiss, set_threads
from vitreid.service.indexes.protocol import Floats, Ids

K = 10
TARGET_RECALL = (
    0.994  # recall of the best, on average: 0.99 is promised, and other questions come out a little differently
)
DEEP_K = 160  # the number of best that shows how much more it takes to find more
NEAR_DUPLICATES = 64  # answers beyond the best that are looked at, as some are passed over
QUERIES = 1000
SAME_MOMENT = 0.85  # the cosine of two images that follow each other


@dataclass(frozen=True)
class TuningSet:
    """Held embeddings (Q, D), of each the ids to find, best first, and the ids to pass over."""

    queries: Floats
    nearest: Sequence[Sequence[int]]
    passed: Sequence[frozenset[int]]

    def recall(self, found: Ids, best: int) -> float:
        """The share of the `best` that is among the first of (Q, best + NEAR_DUPLICATES) ids that were found."""
        shares = []
        for row, nearest, passed in zip(found.tolist(), self.nearest, self.passed, strict=True):
            answers = set(nearest[:best])
            left = [each for each in row if each not in passed][: len(answers)]
            shares.append(len(answers.intersection(left)) / len(answers))
        return float(np.mean(shares))


def questions(ids: Ids, embeddings: Floats) -> TuningSet:
    """TuningSet to an index of (N, D) embeddings under (N,) ids, N at least 2, answered by comparing everything."""
    asking = np.random.default_rng(0).permutation(len(ids))[:QUERIES]
    faiss = load_faiss()
    set_threads(len(asking))
    scores, rows = faiss.knn(
        embeddings[asking], embeddings, min(DEEP_K + NEAR_DUPLICATES, len(ids)), faiss.METRIC_INNER_PRODUCT
    )
    same = rows == asking[:, None]
    moment = same | (scores >= SAME_MOMENT)
    enough = (~moment).sum(axis=1) >= min(K, len(ids) - 1)
    passed = np.where(enough[:, None], moment, same)
    return TuningSet(
        queries=embeddings[asking],
        nearest=[ids[row[~out]].tolist() for row, out in zip(rows, passed, strict=True)],
        passed=[frozenset(ids[row[out]].tolist()) for row, out in zip(rows, passed, strict=True)],
    )
