"""Rows and ids against a list and a dict."""

from __future__ import annotations

import numpy as np

from vitreid.service.indexes.columns import Column, Positions, mask_of


def test_a_column_grows_and_is_truncated():
    column: Column[np.float32] = Column(np.float32, 3)
    kept: list[list[float]] = []
    random = np.random.default_rng(0)
    for _ in range(60):
        new = random.random((int(random.integers(0, 200)), 3)).astype(np.float32)
        column.append(new)
        kept += new.tolist()
        if random.random() < 0.3:
            left = int(random.integers(0, len(kept) + 1))
            column.truncate(left)
            kept = kept[:left]
        assert column.values.tolist() == kept
        assert len(column) == len(kept)
    assert column.nbytes >= column.values.nbytes


def test_truncated_rows_do_not_stay_in_memory():
    column: Column[np.float32] = Column(np.float32, 2)
    column.append(np.ones((10, 2), dtype=np.float32))
    whole = column.values
    column.truncate(4)
    assert whole[:4].all()
    assert not whole[4:].any()


def test_ids_are_found_forgotten_and_moved():
    positions = Positions()
    positions.append(np.array([5, 2, 900]))
    assert positions.find(np.array([900, 5, 5, 3, -1, 10_000])).tolist() == [0, 2]
    positions.forget(np.array([0]))
    assert positions.find(np.array([5, 2])).tolist() == [1]
    assert positions.current(np.array([0, 1, 2, -1])).tolist() == [False, True, True, False]
    positions.append(np.array([5]))
    positions.forget(np.array([0]))  # the id has a newer row
    assert positions.find(np.array([5])).tolist() == [3]
    positions.move(np.array([3]), np.array([0]), 3)
    assert positions.ids.tolist() == [5, 2, 900]
    assert positions.find(np.array([5])).tolist() == [0]


def test_nothing_beyond_the_end_is_allowed():
    allowed = np.array([True, False, True])
    assert mask_of(np.array([2, 0, 1, 3, 99]), allowed).tolist() == [True, True, False, False, False]
    assert mask_of(np.array([0, 7]), np.empty(0, dtype=bool)).tolist() == [False, False]
