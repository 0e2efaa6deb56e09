"""Tuning sets and recall, against slow loops."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.random_embeddings import population_for
from vitreid.service.indexes.tuning import NEAR_DUPLICATES, SAME_MOMENT, K, TuningSet, tuning_set

DIMENSION = 48


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    return population_for(1500, DIMENSION).gallery(1500).embeddings


def test_neighbours_are_those_of_a_slow_loop(gallery):
    ids = np.arange(1500) * 2 + 1
    tuning = tuning_set(ids, gallery)
    row_of = {row.tobytes(): number for number, row in enumerate(gallery)}
    for query, nearest, ignored in list(zip(tuning.queries, tuning.nearest, tuning.ignored, strict=True))[:40]:
        own = row_of[query.tobytes()]
        scores = {2 * row + 1: float(gallery[row] @ query) for row in range(1500)}
        by_hand = sorted(scores, key=lambda each: -scores[each])
        moment = {each for each in by_hand if scores[each] >= SAME_MOMENT}
        assert 2 * own + 1 in ignored
        assert ignored == moment
        assert len(ignored) > 1  # the made images of one moment
        assert list(nearest[:K]) == [each for each in by_hand if each not in moment][:K]


def test_where_all_are_nearly_equal_only_the_query_itself_is_ignored():
    same = np.tile(np.eye(1, DIMENSION, dtype=np.float32), (100, 1))
    tuning = tuning_set(np.arange(100), same)
    assert {len(each) for each in tuning.ignored} <= {0, 1}  # of 100 equal ones any may come first
    assert min(len(each) for each in tuning.nearest) >= K


def test_two_embeddings_are_each_others_neighbours():
    tuning = tuning_set(np.array([4, 9]), np.eye(2, DIMENSION, dtype=np.float32))
    assert sorted(each[0] for each in tuning.nearest) == [4, 9]
    assert tuning.recall(np.array([[each[0], -1] for each in tuning.nearest]), K) == 1


def test_recall_ignores_the_same_moment():
    tuning = TuningSet(np.empty((2, 1), np.float32), [[1, 2, 3], [7, 8, 9]], [frozenset({0, 5}), frozenset()])
    assert tuning.recall(np.array([[0, 1, 5, 2, 3], [7, 8, 9, 1, 2]]), 3) == 1
    assert tuning.recall(np.array([[4, 1, 5, 2, 3], [7, 1, 2, 8, 9]]), 3) == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert tuning.recall(np.array([[1, 2, 3, 0, 5], [9, -1, -1, -1, -1]]), 1) == 0.5


def test_exact_answers_recall_everything(gallery):
    tuning = tuning_set(np.arange(1500), gallery)
    found = np.argsort(-(tuning.queries @ gallery.T), axis=1)[:, : K + NEAR_DUPLICATES]
    assert tuning.recall(found, K) == pytest.approx(1, abs=1e-3)  # equal scores may have changed places
