"""Every index against the reference, call by call."""

from __future__ import annotations

import numpy as np
import pytest

from service.errors import UnknownName
from service.indexes import INDEXES, make_index

DIMENSION = 24


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def same_answers(index, reference, queries: np.ndarray, k: int) -> None:
    scores, ids = index.search(queries, k)
    expected_scores, expected_ids = reference.search(queries, k)
    assert scores.shape == ids.shape == expected_ids.shape
    assert (scores.dtype, ids.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
    every_scores, every_ids = reference.search(queries, len(reference))
    for row in range(len(queries)):  # items of one score may have changed places
        score_of = dict(zip(every_ids[row].tolist(), every_scores[row].tolist(), strict=True))
        assert len(set(ids[row].tolist())) == ids.shape[1]
        np.testing.assert_allclose([score_of[item_id] for item_id in ids[row].tolist()], scores[row], atol=1e-6)


@pytest.mark.parametrize("name", sorted(INDEXES))
def test_the_same_calls_give_the_answers_of_exact(name):
    index, reference = make_index(name, DIMENSION), make_index("exact", DIMENSION)
    queries = unit_rows(7, seed=1)
    random = np.random.default_rng(2)
    start = 0
    for step in range(12):
        rows = unit_rows(int(random.integers(0, 400)), seed=10 + step)
        ids = np.arange(start, start + len(rows), dtype=np.int64) * 3
        start += len(rows)
        gone = random.choice(max(1, start * 3), size=int(random.integers(0, 50))).astype(np.int64)
        for each in (index, reference):
            each.add(ids, rows)
            each.remove(gone)
        assert len(index) == len(reference)
        for k in (1, 10, 10_000):
            same_answers(index, reference, queries, k)
            same_answers(index, reference, queries[:1], k)
        same_answers(index, reference, queries[:0], 3)


@pytest.mark.parametrize("name", sorted(INDEXES))
def test_an_empty_index_answers_with_nothing(name):
    index = make_index(name, DIMENSION)
    index.remove(np.array([1, 2]))
    scores, ids = index.search(unit_rows(3, seed=0), 5)
    assert scores.shape == ids.shape == (3, 0)
    assert len(index) == 0


def test_exact_equals_a_slow_loop(monkeypatch):
    monkeypatch.setattr("service.indexes.exact.SCORES_AT_ONCE", 64)  # several blocks of queries
    rows, queries = unit_rows(30, seed=3), unit_rows(9, seed=4)
    index = make_index("exact", DIMENSION)
    index.add(np.arange(30), rows)
    _, ids = index.search(queries, 30)
    for query, found in zip(queries, ids, strict=True):
        by_hand = sorted(
            range(30), key=lambda row: -sum(float(a) * float(b) for a, b in zip(query, rows[row], strict=True))
        )
        assert found.tolist() == by_hand


def test_an_unknown_index_is_told():
    with pytest.raises(UnknownName, match="unknown index 'ivf9': choose one of exact, flat"):
        make_index("ivf9", DIMENSION)
