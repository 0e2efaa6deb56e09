"""The measures against the published code's numbers, slow loops and hand-made rankings."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from scoring import RetrievalScores, ScoringError, score_retrieval


def test_published_numbers(request: pytest.FixtureRequest) -> None:
    folder = os.environ.get("RETRIEVAL_FIXTURES")
    path = Path(folder) if folder else request.getfixturevalue("shared") / "fixtures" / "retrieval"
    known = np.load(path / "retrieval.npz")
    scores = score_retrieval(
        query=known["query"],
        query_persons=known["query_person"],
        query_cameras=known["query_camera"],
        gallery=known["gallery"],
        gallery_persons=known["gallery_person"],
        gallery_cameras=known["gallery_camera"],
    )
    assert scores.mAP == pytest.approx(float(known["mAP"]), abs=1e-6)
    np.testing.assert_allclose(scores.cmc, known["cmc"], atol=1e-6)


def line(*similarities: float) -> np.ndarray:
    """Unit vectors in the plane with the given cosines to (1, 0)."""
    cosines = np.array(similarities)
    return np.stack([cosines, np.sqrt(1 - cosines**2)], 1)


def ranked(persons: list[int], cameras: list[int]) -> RetrievalScores:
    """Score one query of person 1 by camera 1 whose gallery comes in the given order."""
    return score_retrieval(
        query=[[1.0, 0.0]],
        query_persons=[1],
        query_cameras=[1],
        gallery=line(*np.linspace(0.9, 0.1, len(persons))),
        gallery_persons=persons,
        gallery_cameras=cameras,
    )


def test_a_ranking_by_hand() -> None:
    scores = ranked([2, 1, 3, 1, 2], [2, 2, 2, 3, 1])
    assert scores.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert scores.mINP == pytest.approx(2 / 4)
    assert [scores.rank(k) for k in (1, 2, 5, 10)] == [0, 1, 1, 1]


def test_the_querys_own_camera_is_left_out() -> None:
    scores = ranked([1, 2, 1], [1, 1, 2])
    assert scores.mAP == pytest.approx(1 / 2)


def test_equal_scores_keep_the_gallerys_order() -> None:
    """A model that gives every picture one embedding must not look perfect."""
    gallery = np.ones((10, 1))
    persons = [2] * 9 + [1]
    scores = score_retrieval(
        query=[[1.0]],
        query_persons=[1],
        query_cameras=[1],
        gallery=gallery,
        gallery_persons=persons,
        gallery_cameras=[2] * 10,
    )
    assert scores.mAP == pytest.approx(1 / 10)


def slow_scores(q: np.ndarray, qp: np.ndarray, qc: np.ndarray, g: np.ndarray, gp: np.ndarray, gc: np.ndarray) -> tuple:
    precisions, penalties, firsts = [], [], []
    for i in range(len(q)):
        kept = [j for j in range(len(g)) if not (gp[j] == qp[i] and gc[j] == qc[i])]
        kept.sort(key=lambda j: float(np.sum((q[i] - g[j]) ** 2)))
        hits, found, last = 0, [], 0
        for rank, j in enumerate(kept, 1):
            if gp[j] == qp[i]:
                hits += 1
                found.append(hits / rank)
                last = rank
                if hits == 1:
                    firsts.append(rank)
        if found:
            precisions.append(sum(found) / len(found))
            penalties.append(len(found) / last)
    return np.mean(precisions), np.mean(penalties), [np.mean([f <= k for f in firsts]) for k in range(1, 51)]


@pytest.mark.parametrize("seed", range(5))
def test_against_slow_loops(seed: int) -> None:
    random = np.random.default_rng(seed)

    def rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        embeddings = random.standard_normal((count, 8))
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), *random.integers(0, 9, (2, count))

    (q, qp, qc), (g, gp, gc) = rows(300), rows(40)
    scores = score_retrieval(
        query=q, query_persons=qp, query_cameras=qc, gallery=g, gallery_persons=gp, gallery_cameras=gc
    )
    mean_precision, penalty, cmc = slow_scores(q, qp, qc, g, gp, gc)
    assert scores.mAP == pytest.approx(mean_precision, abs=1e-6)
    assert scores.mINP == pytest.approx(penalty, abs=1e-6)
    np.testing.assert_allclose(scores.cmc, cmc, atol=1e-9)
    assert scores.queries + scores.skipped == 300


def test_queries_without_a_match_are_skipped() -> None:
    scores = score_retrieval(
        query=line(1.0, 0.5),
        query_persons=["a", "stranger"],
        query_cameras=["c1", "c1"],
        gallery=line(0.9),
        gallery_persons=["a"],
        gallery_cameras=["c2"],
    )
    assert (scores.mAP, scores.queries, scores.skipped) == (1.0, 1, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gallery_persons": ["b"]}, "none of the 1 queries"),
        ({"gallery_cameras": ["c1"]}, "none of the 1 queries"),
        ({"query": np.zeros((0, 2)), "query_persons": [], "query_cameras": []}, "query is empty"),
        ({"gallery": np.zeros((0, 2)), "gallery_persons": [], "gallery_cameras": []}, "gallery is empty"),
        ({"gallery_persons": ["a", "b"]}, "do not belong together"),
        ({"gallery": [[np.nan, 0]]}, "not finite"),
        ({"gallery": [[1.0, 0, 0]]}, "one model"),
    ],
)
def test_what_cannot_be_scored(changes: dict[str, object], message: str) -> None:
    good = {
        "query": [[1.0, 0]],
        "query_persons": ["a"],
        "query_cameras": ["c1"],
        "gallery": [[1.0, 0]],
        "gallery_persons": ["a"],
        "gallery_cameras": ["c2"],
    }
    with pytest.raises(ScoringError, match=message):
        score_retrieval(**(good | changes))  # type: ignore[arg-type]  # deliberately wrong values among them
