"""How thoroughly must an approximate index search, so that it finds what comparing everything finds?

The index is asked for the neighbours of embeddings that it holds. Pictures of the same moment, nearly equal to the one
that asks, are left out: they are easily found, and a new picture has none. Measured on made embeddings, this asks
for as much as new pictures of the same people do, where all neighbours ask for too little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.indexes.faiss_calls import load_faiss, set_threads
from service.indexes.protocol import Floats, Ids

RECALL = 0.99  # of the ten best, on average
BEST = 10
QUERIES = 500
DEPTH = 64  # answers that are looked at: BEST and those of the same moment
SAME_MOMENT = 0.85  # the cosine of two pictures that follow each other


@dataclass(frozen=True)
class Questions:
    """Held embeddings (Q, D), and of each the ids to find and the ids to pass over."""

    queries: Floats
    answers: Sequence[frozenset[int]]
    passed: Sequence[frozenset[int]]

    def recall(self, found: Ids) -> float:
        """The share of the answers among the first that were found, (Q, DEPTH) ids, best first."""
        shares = []
        for row, answers, passed in zip(found.tolist(), self.answers, self.passed, strict=True):
            left = [each for each in row if each not in passed][: len(answers)]
            shares.append(len(answers.intersection(left)) / len(answers))
        return float(np.mean(shares))


def questions(ids: Ids, embeddings: Floats) -> Questions:
    """Questions to an index of (N, D) embeddings under (N,) ids, N at least 2, answered by comparing everything."""
    asking = np.random.default_rng(0).permutation(len(ids))[:QUERIES]
    faiss = load_faiss()
    set_threads(len(asking))
    scores, rows = faiss.knn(embeddings[asking], embeddings, min(DEPTH, len(ids)), faiss.METRIC_INNER_PRODUCT)
    same = rows == asking[:, None]
    moment = same | (scores >= SAME_MOMENT)
    enough = (~moment).sum(axis=1) >= min(BEST, len(ids) - 1)
    passed = np.where(enough[:, None], moment, same)
    return Questions(
        queries=embeddings[asking],
        answers=[frozenset(ids[row[~out][:BEST]].tolist()) for row, out in zip(rows, passed, strict=True)],
        passed=[frozenset(ids[row[out]].tolist()) for row, out in zip(rows, passed, strict=True)],
    )


def least_reaching(levels: Sequence[int], recall_at: Callable[[int], float]) -> tuple[int, float]:
    """The first of the ascending levels whose recall reaches RECALL, or the last, with its recall.

    Takes for granted that recall grows with the level, and measures only some.
    """
    measured: dict[int, float] = {}

    def measure(level: int) -> float:
        if level not in measured:
            measured[level] = recall_at(level)
        return measured[level]

    level = levels[min(bisect_left(levels, RECALL, key=measure), len(levels) - 1)]
    return level, measure(level)
