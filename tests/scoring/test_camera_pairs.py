from __future__ import annotations

import numpy as np
import pytest

from vitreid.scoring import CameraPair, Labelled, ScoringError, score_camera_pairs


def rows(random: np.random.Generator, name: str, count: int) -> Labelled:
    cameras = np.array(["c1", "c2", "c10"])[random.integers(0, 3, count)]
    return Labelled.of(name, random.standard_normal((count, 4)), random.integers(0, 5, count), cameras)


def slow_pair(query: Labelled, gallery: Labelled, asked: str, offered: str) -> CameraPair | None:
    precisions, firsts = [], []
    for i in range(len(query)):
        if query.cameras[i] != asked:
            continue
        order = [j for j in range(len(gallery)) if gallery.cameras[j] == offered]
        order.sort(key=lambda j: -float(query.embeddings[i] @ gallery.embeddings[j]))
        ranks = [rank for rank, j in enumerate(order, 1) if gallery.persons[j] == query.persons[i]]
        if ranks:
            precisions.append(np.mean([n / rank for n, rank in enumerate(ranks, 1)]))
            firsts.append(ranks[0] == 1)
    return (
        CameraPair(asked, offered, float(np.mean(precisions)), float(np.mean(firsts)), len(firsts)) if firsts else None
    )


def test_against_slow_loops() -> None:
    random = np.random.default_rng(4)
    query, gallery = rows(random, "query", 30), rows(random, "gallery", 25)
    names = ["c1", "c2", "c10"]
    expected = [slow_pair(query, gallery, a, b) for a in names for b in names if a != b]
    found = score_camera_pairs(query, gallery)
    assert [(pair.query_camera, pair.gallery_camera, pair.queries) for pair in found] == [
        (pair.query_camera, pair.gallery_camera, pair.queries) for pair in expected if pair
    ]
    for pair, slow in zip(found, filter(None, expected), strict=True):
        assert (pair.mAP, pair.rank1) == pytest.approx((slow.mAP, slow.rank1))


def test_a_pair_that_shares_no_person_is_left_out() -> None:
    query = Labelled.of("query", [[1, 0], [0, 1]], ["a", "b"], ["c1", "c2"])
    gallery = Labelled.of("gallery", [[1, 0], [1, 0]], ["a", "z"], ["c2", "c1"])
    assert score_camera_pairs(query, gallery) == [CameraPair("c1", "c2", 1.0, 1.0, 1)]


def test_one_camera_only() -> None:
    query = Labelled.of("query", [[1, 0]], ["a"], ["c1"])
    with pytest.raises(ScoringError, match="no pair of cameras"):
        score_camera_pairs(query, query)
