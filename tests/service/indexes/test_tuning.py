"""Recall and the least level that reaches it, against slow loops."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.made_embeddings import made_people
from vitreid.service.indexes.tuning import NEAR_DUPLICATES, SAME_MOMENT, K, TuningSet, questions

DIMENSION = 48


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    return made_people(1500, DIMENSION).gallery(1500).embeddings


def test_questions_are_answered_as_a_slow_loop_answers(gallery):
    ids = np.arange(1500) * 2 + 1
    asked = questions(ids, gallery)
    row_of = {row.tobytes(): number for number, row in enumerate(gallery)}
    for query, nearest, passed in list(zip(asked.queries, asked.nearest, asked.passed, strict=True))[:40]:
        own = row_of[query.tobytes()]
        scores = {2 * row + 1: float(gallery[row] @ query) for row in range(1500)}
        by_hand = sorted(scores, key=lambda each: -scores[each])
        moment = {each for each in by_hand if scores[each] >= SAME_MOMENT}
        assert 2 * own + 1 in passed
        assert passed == moment
        assert len(passed) > 1  # the made images of one moment
        assert list(nearest[:K]) == [each for each in by_hand if each not in moment][:K]


def test_where_all_are_nearly_equal_only_the_asking_one_is_passed_over():
    same = np.tile(np.eye(1, DIMENSION, dtype=np.float32), (100, 1))
    asked = questions(np.arange(100), same)
    assert {len(each) for each in asked.passed} <= {0, 1}  # of 100 equal ones any may come first
    assert min(len(each) for each in asked.nearest) >= K


def test_two_embeddings_ask_for_each_other():
    asked = questions(np.array([4, 9]), np.eye(2, DIMENSION, dtype=np.float32))
    assert sorted(each[0] for each in asked.nearest) == [4, 9]
    assert asked.recall(np.array([[each[0], -1] for each in asked.nearest]), K) == 1


def test_recall_passes_over_the_same_moment():
    asked = TuningSet(np.empty((2, 1)), [[1, 2, 3], [7, 8, 9]], [frozenset({0, 5}), frozenset()])
    assert asked.recall(np.array([[0, 1, 5, 2, 3], [7, 8, 9, 1, 2]]), 3) == 1
    assert asked.recall(np.array([[4, 1, 5, 2, 3], [7, 1, 2, 8, 9]]), 3) == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert asked.recall(np.array([[1, 2, 3, 0, 5], [9, -1, -1, -1, -1]]), 1) == 0.5


def test_exact_answers_recall_everything(gallery):
    asked = questions(np.arange(1500), gallery)
    found = np.argsort(-(asked.queries @ gallery.T), axis=1)[:, : K + NEAR_DUPLICATES]
    assert asked.recall(found, K) == pytest.approx(1, abs=1e-3)  # equal scores may have changed places
