"""CMC, mean average precision and mean inverse negative penalty by the Market-1501 protocol.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015 (protocol, CMC, mAP); Ye et al., "Deep
Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021 (mINP).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUERIES_AT_ONCE = 256


class ScoringError(ValueError):
    """Embeddings and labels from which nothing can be scored."""

    exit_code = 2


@dataclass(frozen=True)
class RetrievalScores:
    """Means over all queries that have a match in the gallery.

    `cmc[k - 1]` is the share of queries with a match among the first k answers; `queries` counts the scored ones and
    `skipped` those without any match.
    """

    mAP: float  # noqa: N815 - the field's own spelling, also in JSON
    mINP: float  # noqa: N815 - likewise
    cmc: NDArray[np.float64]
    queries: int
    skipped: int
    gallery: int

    def rank(self, k: int) -> float:
        """Share of queries with a match among the first k answers."""
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def summary(self) -> dict[str, float | int]:
        """The scores as they are printed and stored."""
        return {
            "mAP": self.mAP,
            "rank1": self.rank(1),
            "rank5": self.rank(5),
            "rank10": self.rank(10),
            "mINP": self.mINP,
            "queries": self.queries,
            "skipped": self.skipped,
            "gallery": self.gallery,
        }


@dataclass(frozen=True)
class Labelled:
    """Unit embeddings (N, D) with the person and camera of each, (N,) of any type that compares by value."""

    embeddings: NDArray[np.float32]
    persons: NDArray[np.generic]
    cameras: NDArray[np.generic]

    @classmethod
    def of(cls, name: str, embeddings: ArrayLike, persons: ArrayLike, cameras: ArrayLike) -> Labelled:
        """Check shapes and values; `name` is what an error calls the rows."""
        rows = cls(np.asarray(embeddings, dtype=np.float32), np.asarray(persons), np.asarray(cameras))
        if rows.embeddings.ndim != 2 or len({len(rows.embeddings), len(rows.persons), len(rows.cameras)}) != 1:
            raise ScoringError(
                f"{name}: {rows.embeddings.shape} embeddings, {rows.persons.shape} persons and {rows.cameras.shape} "
                "cameras do not belong together; give one row of each per picture"
            )
        if not len(rows.embeddings):
            raise ScoringError(f"{name} is empty; give at least one picture")
        if not np.isfinite(rows.embeddings).all():
            raise ScoringError(f"{name}: some embeddings are not finite; the model is broken or diverged")
        return rows


def score_retrieval(
    *,
    query: ArrayLike,
    query_persons: ArrayLike,
    query_cameras: ArrayLike,
    gallery: ArrayLike,
    gallery_persons: ArrayLike,
    gallery_cameras: ArrayLike,
    max_rank: int = 50,
) -> RetrievalScores:
    """Rank the gallery for every query by cosine and score the rankings.

    Of each ranking, pictures of the query's person by the query's camera are left out. A query without any match
    left is skipped. Average precision is the mean precision at the matches. Equal scores keep the gallery's order.

    Raises ScoringError for rows that do not belong together and where no query has a match.
    """
    asked = Labelled.of("query", query, query_persons, query_cameras)
    offered = Labelled.of("gallery", gallery, gallery_persons, gallery_cameras)
    if asked.embeddings.shape[1] != offered.embeddings.shape[1]:
        raise ScoringError(
            f"query embeddings have {asked.embeddings.shape[1]} numbers, gallery embeddings "
            f"{offered.embeddings.shape[1]}; embed both with one model"
        )
    positions = [ranks for ranks in _match_ranks(asked, offered) if len(ranks)]
    if not positions:
        raise ScoringError(
            f"none of the {len(asked.persons)} queries has a picture of its person by another camera in the gallery "
            f"of {len(offered.persons)}; check person and camera labels"
        )
    first = np.array([ranks[0] for ranks in positions])
    return RetrievalScores(
        mAP=float(np.mean([np.mean(np.arange(1, len(r) + 1) / r) for r in positions])),
        mINP=float(np.mean([len(r) / r[-1] for r in positions])),
        cmc=(first[:, None] <= np.arange(1, max_rank + 1)).mean(0),
        queries=len(positions),
        skipped=len(asked.persons) - len(positions),
        gallery=len(offered.persons),
    )


def _match_ranks(asked: Labelled, offered: Labelled) -> Iterator[NDArray[np.int64]]:
    """For each query the ranks, from 1 and ascending, at which its matches stand."""
    for start in range(0, len(asked.persons), QUERIES_AT_ONCE):
        rows = slice(start, start + QUERIES_AT_ONCE)
        scores = asked.embeddings[rows] @ offered.embeddings.T
        same_person = asked.persons[rows, None] == offered.persons[None]
        same_camera = asked.cameras[rows, None] == offered.cameras[None]
        for score, match, dropped in zip(scores, same_person, same_person & same_camera, strict=True):
            order = np.argsort(-score, kind="stable")
            hits = match[order][~dropped[order]]
            yield np.flatnonzero(hits) + 1
