"""Every index against the reference, call by call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vitreid.service.errors import UnknownName
from vitreid.service.indexes import INDEXES, Index, index_kind
from vitreid.service.indexes.files import IndexDamaged

DIMENSION = 24
EXACT, ROUNDED = 1e-6, 1e-3  # the latter of 16-bit floats
every_index = pytest.mark.parametrize("name", sorted(INDEXES))


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def empty(name: str) -> Index:
    return INDEXES[name].build(DIMENSION, np.empty(0, dtype=np.int64), np.empty((0, DIMENSION), dtype=np.float32))


def both(name: str, count: int):
    """An index and the reference with the same rows, under ids that skip two of three."""
    ids, rows = np.arange(count, dtype=np.int64) * 3, unit_rows(count, seed=5)
    return INDEXES[name].build(DIMENSION, ids, rows), INDEXES["exact"].build(DIMENSION, ids, rows)


def same_answers(index, reference, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> None:
    atol = EXACT if index.exact_scores else ROUNDED
    scores, ids = index.search(queries, k, allowed)
    expected_scores, expected_ids = reference.search(queries, k, allowed)
    assert scores.shape == ids.shape == expected_ids.shape
    assert (scores.dtype, ids.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(scores, expected_scores, atol=atol)
    every_scores, every_ids = reference.search(queries, len(reference))
    for row in range(len(queries)):  # items of one score may have changed places
        score_of = dict(zip(every_ids[row].tolist(), every_scores[row].tolist(), strict=True))
        named = ids[row][ids[row] >= 0].tolist()
        assert len(set(named)) == len(named) == int((expected_ids[row] >= 0).sum())
        assert allowed is None or all(each < len(allowed) and allowed[each] for each in named)
        np.testing.assert_allclose([score_of[item_id] for item_id in named], scores[row, : len(named)], atol=atol)


@pytest.mark.slow
@every_index
def test_the_same_calls_give_the_answers_of_exact(name):
    index, reference = empty(name), empty("exact")
    queries = unit_rows(7, seed=1)
    random = np.random.default_rng(2)
    start = 0
    for step in range(12):
        rows = unit_rows(int(random.integers(0, 400)), seed=10 + step)
        ids = np.arange(start, start + len(rows), dtype=np.int64) * 3
        start += len(rows)
        gone = random.choice(max(1, start * 3), size=int(random.integers(0, 50))).astype(np.int64)
        allowed = random.random(start * 3) < random.random()
        for each in (index, reference):
            each.add(ids, rows)
            each.remove(gone)
        assert len(index) == len(reference)
        for k in (1, 10, 10_000):
            same_answers(index, reference, queries, k)
            same_answers(index, reference, queries[:1], k)
            same_answers(index, reference, queries, k, allowed)
        same_answers(index, reference, queries[:0], 3)


@every_index
def test_an_empty_index_answers_with_nothing(name):
    index = empty(name)
    index.remove(np.array([1, 2]))
    for allowed in (None, np.ones(4, dtype=bool)):
        scores, ids = index.search(unit_rows(3, seed=0), 5, allowed)
        assert scores.shape == ids.shape == (3, 0)
    assert len(index) == 0


@every_index
def test_only_the_allowed_are_found(name):
    index, reference = both(name, 500)
    queries = unit_rows(4, seed=6)
    size = 3 * 500
    for chosen in ([], [300], [0, 3, 9, 300, 301, 1497], range(0, size, 18), range(size), range(size + 50)):
        allowed = np.zeros(size + 50, dtype=bool)
        allowed[list(chosen)] = True
        for k in (1, 5, 40, 1000):
            same_answers(index, reference, queries, k, allowed)
    same_answers(index, reference, queries, 1000, np.ones(700, dtype=bool))  # ids beyond the end are not allowed


@every_index
def test_what_was_removed_is_not_found_and_may_come_again(name):
    index, reference = both(name, 300)
    queries = unit_rows(5, seed=7)
    gone = np.array([0, 9, 9, 897, 1, 5000, -1])
    again = np.array([9, 1, 1200])
    for each in (index, reference):
        each.remove(gone)
        each.remove(gone)
    assert len(index) == 297
    assert not np.isin(index.search(queries, 300)[1], gone).any()
    for each in (index, reference):
        each.add(again, unit_rows(3, seed=8))
    assert len(index) == 300
    same_answers(index, reference, queries, 300)
    same_answers(index, reference, unit_rows(3, seed=8), 1)
    for each in (index, reference):
        each.remove(np.arange(2000))
        each.add(np.array([7]), queries[:1])
    same_answers(index, reference, queries, 4)


@every_index
def test_a_batch_answers_as_single_queries_do(name):
    index, _ = both(name, 700)
    queries = unit_rows(40, seed=9)
    allowed = np.arange(2100) % 4 == 0
    for only in (None, allowed):
        scores, ids = index.search(queries, 12, only)
        for row in range(len(queries)):
            [alone_scores], [alone_ids] = index.search(queries[row : row + 1], 12, only)
            np.testing.assert_allclose(scores[row], alone_scores, atol=1e-6)
            assert ids[row].tolist() == alone_ids.tolist()


@every_index
def test_searches_may_run_beside_each_other(name):
    index, _ = both(name, 700)
    queries = unit_rows(60, seed=9)
    masks = [None, *(np.arange(2100) % divisor == 0 for divisor in (4, 21, 600))]
    expected = [index.search(queries, 9, masks[turn % 4])[1].tolist() for turn in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda turn: index.search(queries, 9, masks[turn % 4])[1].tolist(), range(8))
    assert list(found) == expected


@every_index
def test_a_loaded_index_is_the_saved_one(name, tmp_path):
    index, reference = both(name, 400)
    queries = unit_rows(5, seed=11)
    for each in (index, reference):
        each.remove(np.arange(0, 300, 6))
    index.save(tmp_path / "index")
    loaded = INDEXES[name].load(tmp_path / "index", DIMENSION)
    assert (len(loaded), loaded.parameters) == (len(index), index.parameters)
    for saved, read in zip(index.search(queries, 400), loaded.search(queries, 400), strict=True):
        np.testing.assert_array_equal(saved, read)
    for each in (loaded, reference):
        each.remove(np.arange(600))
        each.add(np.arange(300), unit_rows(300, seed=12))
    same_answers(loaded, reference, queries, 50)


@every_index
def test_an_empty_index_comes_back_from_its_file(name, tmp_path):
    empty(name).save(tmp_path / "index")
    loaded = INDEXES[name].load(tmp_path / "index", DIMENSION)
    assert len(loaded) == 0
    loaded.add(np.arange(3), unit_rows(3, seed=1))
    assert loaded.search(unit_rows(3, seed=1)[:1], 1)[1].tolist() == [[0]]


@every_index
def test_a_truncated_file_is_reported(name, tmp_path):
    index, _ = both(name, 50)
    index.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    broken = tmp_path / "broken"
    for content in (*(whole[: len(whole) * part // 20] for part in range(20)), whole[:-1], whole + b"x", b"{}\n"):
        broken.write_bytes(content)
        with pytest.raises(IndexDamaged, match=r"is not a usable index file .*; rebuild the index"):
            INDEXES[name].load(broken, DIMENSION)
    with pytest.raises(IndexDamaged, match="No such file"):
        INDEXES[name].load(tmp_path / "missing", DIMENSION)


@every_index
def test_a_file_of_another_index_is_reported(name, tmp_path):
    index, _ = both(name, 5)
    index.save(tmp_path / "index")
    kind = "flat" if name == "gpu" else name  # the twin writes the file of a GPU index
    with pytest.raises(IndexDamaged, match=f"kind {kind} and dimension 24; expected {kind} and 25"):
        INDEXES[name].load(tmp_path / "index", 25)
    other = "exact" if name != "exact" else "flat"
    with pytest.raises(IndexDamaged, match=f"holds an index of kind {kind}"):
        INDEXES[other].load(tmp_path / "index", DIMENSION)


def test_exact_equals_a_slow_loop(monkeypatch):
    monkeypatch.setattr("vitreid.service.indexes.exact.SCORES_AT_ONCE", 64)  # several blocks of queries
    rows, queries = unit_rows(30, seed=3), unit_rows(9, seed=4)
    index = empty("exact")
    index.add(np.arange(30), rows)
    allowed = np.arange(30) % 3 != 0
    index.remove(np.array([1, 29]))
    all_rows, some = set(range(30)) - {1, 29}, {row for row in range(2, 29) if row % 3}
    for only, left in ((None, all_rows), (allowed, some)):
        _, ids = index.search(queries, 30, only)
        for query, found in zip(queries, ids, strict=True):
            by_hand = sorted(
                left, key=lambda row: -sum(float(a) * float(b) for a, b in zip(query, rows[row], strict=True))
            )
            assert found.tolist() == by_hand + [-1] * (28 - len(by_hand))


def test_an_unknown_index_is_reported():
    with pytest.raises(UnknownName, match=r"unknown index 'ivf9': choose one of exact, .*flat"):
        index_kind("ivf9")
