"""Metrics against results of the published code, slow loops and rankings by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from tests.paths import optional_folder
from vitreid.scoring import Labelled, RetrievalScores, ScoringError, labelled, score_retrieval

Rows = tuple[ArrayLike, ArrayLike, ArrayLike]


def test_published_numbers() -> None:
    known = np.load(optional_folder("RETRIEVAL_FIXTURES") / "retrieval.npz")
    scores = score_retrieval(
        Labelled.of("query", known["query"], known["query_person"], known["query_camera"]),
        Labelled.of("gallery", known["gallery"], known["gallery_person"], known["gallery_camera"]),
    )
    assert scores.mAP == pytest.approx(float(known["mAP"]), abs=1e-6)
    np.testing.assert_allclose(scores.cmc, known["cmc"], atol=1e-6)


def line(*similarities: float) -> np.ndarray:
    """Return unit vectors in the plane with the given cosines to (1, 0)."""
    cosines = np.array(similarities)
    return np.stack([cosines, np.sqrt(1 - cosines**2)], 1)


def ranked(persons: list[int], cameras: list[int]) -> RetrievalScores:
    """Score one query of person 1 by camera 1 whose gallery comes in the given order."""
    return score_retrieval(
        Labelled.of("query", [[1.0, 0.0]], [1], [1]),
        Labelled.of("gallery", line(*np.linspace(0.9, 0.1, len(persons))), persons, cameras),
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
    """A model that gives every image one embedding must not look perfect."""
    gallery = np.ones((10, 1))
    persons = [2] * 9 + [1]
    scores = score_retrieval(
        Labelled.of("query", [[1.0]], [1], [1]),
        Labelled.of("gallery", gallery, persons, [2] * 10),
    )
    assert scores.mAP == pytest.approx(1 / 10)


def slow_scores(q: np.ndarray, qp: np.ndarray, qc: np.ndarray, g: np.ndarray, gp: np.ndarray, gc: np.ndarray) -> tuple:
    precisions, penalties, firsts = [], [], []
    for i in range(len(q)):
        order = [j for j in range(len(g)) if not (gp[j] == qp[i] and gc[j] == qc[i])]
        order.sort(key=lambda j: float(np.sum((q[i] - g[j]) ** 2)))
        hits, found, last = 0, [], 0
        for rank, j in enumerate(order, 1):
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
    scores = score_retrieval(Labelled.of("query", q, qp, qc), Labelled.of("gallery", g, gp, gc))
    mean_precision, penalty, cmc = slow_scores(q, qp, qc, g, gp, gc)
    assert scores.mAP == pytest.approx(mean_precision, abs=1e-6)
    assert scores.mINP == pytest.approx(penalty, abs=1e-6)
    np.testing.assert_allclose(scores.cmc, cmc, atol=1e-9)
    assert scores.queries + scores.skipped == 300


def test_queries_without_a_match_are_skipped() -> None:
    scores = score_retrieval(
        Labelled.of("query", line(1.0, 0.5), ["a", "stranger"], ["c1", "c1"]),
        Labelled.of("gallery", line(0.9), ["a"], ["c2"]),
    )
    assert (scores.mAP, scores.queries, scores.skipped) == (1.0, 1, 1)


def stable_order_scores(query: Labelled, gallery: Labelled) -> tuple[list[float], list[int]]:
    """Return average precision and first rank of each query with a match, from a full and stable sort."""
    precisions, firsts = [], []
    for embedding, person, camera in zip(query.embeddings, query.persons, query.cameras, strict=True):
        order = np.argsort(-(gallery.embeddings @ embedding), kind="stable")
        others = [j for j in order if not (gallery.persons[j] == person and gallery.cameras[j] == camera)]
        ranks = [rank for rank, j in enumerate(others, 1) if gallery.persons[j] == person]
        if ranks:
            precisions.append(float(np.mean([n / rank for n, rank in enumerate(ranks, 1)])))
            firsts.append(ranks[0])
    return precisions, firsts


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), queries=st.integers(1, 6), images=st.integers(1, 30), at_once=st.integers(1, 99))
def test_tied_scores_rank_as_in_a_stable_sort(seed: int, queries: int, images: int, at_once: int) -> None:
    """Small whole numbers: their scores are exact, and many are equal."""
    random = np.random.default_rng(seed)

    def rows(name: str, count: int) -> Labelled:
        return Labelled.of(name, random.choice([-1, 1], (count, 2)), *random.integers(0, 3, (2, count)))

    query, gallery = rows("query", queries), rows("gallery", images)
    precisions, firsts = stable_order_scores(query, gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelled, "SCORES_AT_ONCE", at_once)  # blocks of every size
        if not firsts:
            with pytest.raises(ScoringError, match=f"none of the {queries} queries"):
                score_retrieval(query, gallery)
            return
        scores = score_retrieval(query, gallery)
    np.testing.assert_allclose(scores.per_query.average_precision, precisions)
    assert scores.per_query.first.tolist() == firsts
    assert (scores.queries, scores.skipped) == (len(firsts), queries - len(firsts))


def test_each_query_by_itself() -> None:
    scores = score_retrieval(
        Labelled.of("query", line(1.0, 0.5, 0.9), ["a", "stranger", "b"], ["c1", "c1", "c1"]),
        Labelled.of("gallery", line(0.99, 0.8, 0.1), ["a", "b", "a"], ["c2", "c2", "c2"]),
    )
    measures = scores.per_query.measures()
    assert scores.per_query.rows.tolist() == [0, 2]
    assert scores.per_query.persons.tolist() == ["a", "b"]
    np.testing.assert_allclose(measures["mAP"], [(1 + 2 / 3) / 2, 1])
    np.testing.assert_allclose(measures["mINP"], [2 / 3, 1])
    assert {name: values.mean() for name, values in measures.items()} == pytest.approx(
        {name: scores.summary()[name] for name in measures}
    )


def test_given_scores_replace_the_cosines() -> None:
    query = Labelled.of("query", line(1.0, 1.0), [1, 1], [1, 1])
    gallery = Labelled.of("gallery", line(0.9, 0.5), [1, 2], [2, 2])
    blocks = [np.array([[0.1, 0.2]], np.float32), np.array([[0.2, 0.1]], np.float32)]
    assert score_retrieval(query, gallery, scores=blocks).per_query.first.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([[[0.1, 0.2]]], "end after 1 of 2 queries"),
        ([[[0.1, 0.2]]] * 3, "ends at query 3"),
        ([[[0.1]], [[0.2]]], "for each of the 2 gallery images"),
        ([[[0.1, float("nan")]]] * 2, "a number for each"),
    ],
)
def test_given_scores_of_the_wrong_shape(blocks: list[list[list[float]]], message: str) -> None:
    query = Labelled.of("query", line(1.0, 1.0), [1, 1], [1, 1])
    gallery = Labelled.of("gallery", line(0.9, 0.5), [1, 2], [2, 2])
    with pytest.raises(ScoringError, match=message):
        score_retrieval(query, gallery, scores=[np.array(block, np.float32) for block in blocks])


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (([[1, 0]], ["a"], ["c1"]), ([[1, 0]], ["b"], ["c2"]), "none of the 1 queries"),
        (([[1, 0]], ["a"], ["c1"]), ([[1, 0]], ["a"], ["c1"]), "none of the 1 queries"),
        ((np.zeros((0, 2)), [], []), ([[1, 0]], ["a"], ["c2"]), "query is empty"),
        (([[1, 0]], ["a"], ["c1"]), (np.zeros((0, 2)), [], []), "gallery is empty"),
        (([[1, 0]], ["a"], ["c1"]), ([[1, 0]], ["a", "b"], ["c2"]), "cameras do not match"),
        (([[1, 0]], ["a"], ["c1"]), ([[np.nan, 0]], ["a"], ["c2"]), "not finite"),
        (([[0, 0]], ["a"], ["c1"]), ([[1, 0]], ["a"], ["c2"]), "query: some embeddings are all zeros"),
        (([[1, 0]], ["a"], ["c1"]), ([[1, 0, 0]], ["a"], ["c2"]), "one model"),
    ],
)
def test_rows_that_cannot_be_scored(query: Rows, gallery: Rows, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        score_retrieval(Labelled.of("query", *query), Labelled.of("gallery", *gallery))
