"""CMC, mean average precision and mean inverse negative penalty by the Market-1501 protocol.

Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015 (protocol, CMC, mAP); Ye et al., "Deep
Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021 (mINP).

Only the ranks of the true matches matter, and a rank is 1 plus the number of images with a higher score. So ranks are
counted, no ranking is sorted, and only one block of scores exists at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreid.scoring.labelled import Labelled, ScoringError, as_numbers, cosine_blocks

MAX_RANK = 50


@dataclass(frozen=True)
class QueryScores:
    """The scores of each query with a match, (S,) each, in the order of the queries; `rows` are their indices."""

    rows: NDArray[np.int64]
    persons: NDArray[np.generic]
    average_precision: NDArray[np.float64]
    inverse_penalty: NDArray[np.float64]
    first: NDArray[np.int64]  # rank of the first match, from 1

    def __len__(self) -> int:
        return len(self.rows)

    def measures(self) -> dict[str, NDArray[np.float64]]:
        """Return the values (S,) of each measure by name; their means are the scores."""
        within = {f"rank{k}": (self.first <= k).astype(np.float64) for k in (1, 5, 10)}
        return {"mAP": self.average_precision, **within, "mINP": self.inverse_penalty}


@dataclass(frozen=True)
class RetrievalScores:
    """Means over all queries that have a match in the gallery.

    `cmc[k - 1]` is the share of queries with a match among the first k images; `queries` is the number of scored
    queries and `skipped` that of queries without a match.
    """

    mAP: float  # noqa: N815 - the field's own spelling, also in JSON
    mINP: float  # noqa: N815
    cmc: NDArray[np.float64]
    queries: int
    skipped: int
    gallery: int
    per_query: QueryScores

    def rank(self, k: int) -> float:
        """Return the share of queries with a match among the first k images."""
        return float(self.cmc[min(k, len(self.cmc)) - 1])

    def summary(self) -> dict[str, float | int]:
        """Return the scores that are printed and stored."""
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


def score_retrieval(
    query: Labelled, gallery: Labelled, *, scores: Iterable[NDArray[np.float32]] | None = None
) -> RetrievalScores:
    """Rank the gallery for every query by cosine and score the rankings.

    Images of the query's person from the query's camera are removed from its ranking; junk, which the protocol ignores
    for every query, must not be in the gallery. A query without a match is skipped. Average precision is the mean
    precision at the matches. Equal scores stay in the gallery's order. `scores` replaces the cosines: blocks (B, G) of
    the queries in order, higher is better.

    Raises ScoringError if no query has a match, or if embeddings or blocks have the wrong shape.
    """
    per_query = score_queries(query, gallery, scores=scores)
    if not len(per_query):
        raise ScoringError(
            f"none of the {len(query)} queries has an image of its person by another camera in the gallery "
            f"of {len(gallery)}; check person and camera labels"
        )
    return RetrievalScores(
        mAP=float(per_query.average_precision.mean()),
        mINP=float(per_query.inverse_penalty.mean()),
        cmc=(per_query.first[:, None] <= np.arange(1, MAX_RANK + 1)).mean(0),
        queries=len(per_query),
        skipped=len(query) - len(per_query),
        gallery=len(gallery),
        per_query=per_query,
    )


def score_queries(
    query: Labelled, gallery: Labelled, *, scores: Iterable[NDArray[np.float32]] | None = None
) -> QueryScores:
    """Return the scores of each query, as in `score_retrieval`; there may be none with a match."""
    blocks = cosine_blocks(query, gallery) if scores is None else _checked(scores, len(query), len(gallery))
    found = [(row, ranks) for row, ranks in enumerate(_match_ranks(blocks, query, gallery)) if len(ranks)]
    rows = np.array([row for row, _ in found], np.int64)
    return QueryScores(
        rows=rows,
        persons=query.persons[rows],
        average_precision=np.array([np.mean(np.arange(1, len(ranks) + 1) / ranks) for _, ranks in found]),
        inverse_penalty=np.array([len(ranks) / ranks[-1] for _, ranks in found]),
        first=np.array([ranks[0] for _, ranks in found], np.int64),
    )


def _checked(blocks: Iterable[NDArray[np.float32]], queries: int, gallery: int) -> Iterator[NDArray[np.float32]]:
    done = 0
    for block in blocks:
        done += len(block)
        if block.shape[1:] != (gallery,) or done > queries or np.isnan(block).any():
            raise ScoringError(
                f"a block of scores has shape {block.shape} and ends at query {done}; expected one row for each of the "
                f"{queries} queries with a number for each of the {gallery} gallery images"
            )
        yield block
    if done < queries:
        raise ScoringError(f"the scores end after {done} of {queries} queries; give one row for each")


def _match_ranks(
    blocks: Iterable[NDArray[np.float32]], query: Labelled, gallery: Labelled
) -> Iterator[NDArray[np.int64]]:
    """Yield the ranks of each query's matches, from 1 and ascending."""
    query_persons, gallery_persons = as_numbers(query.persons, gallery.persons)
    by_person = np.argsort(gallery_persons, kind="stable")
    starts, ends = (np.searchsorted(gallery_persons[by_person], query_persons, side) for side in ("left", "right"))
    row = 0
    for block in blocks:
        for scores in block:
            own = by_person[starts[row] : ends[row]]
            same_camera = gallery.cameras[own] == query.cameras[row]
            yield _ranks(scores, own[~same_camera], own[same_camera])
            row += 1


def _ranks(scores: NDArray[np.float32], matches: NDArray[np.int64], dropped: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ranks, ascending, of the `matches` (M,) in a row of scores (G,) without `dropped`; ties by index."""
    if not len(matches):
        return matches
    contenders = scores >= scores[matches].min()  # images below every match change no rank
    contenders[dropped] = False
    indices = np.flatnonzero(contenders)
    values = scores[indices]
    ranks = [
        1 + np.count_nonzero(values[:i] >= values[i]) + np.count_nonzero(values[i + 1 :] > values[i])
        for i in np.searchsorted(indices, matches)
    ]
    return np.sort(np.array(ranks))
