"""The order of answers."""

from __future__ import annotations

import numpy as np

from vitreid.service.gallery.view.ranking import rank


def ranked(scores: list[float], ids: list[int], k: int, *, complete: bool = True):
    result = rank(np.array(scores, np.float64), np.array(ids, np.int64), k, complete=complete)
    return None if result is None else [item_id for item_id, _ in result]


def test_best_first_then_by_id():
    assert ranked([0.1, 0.9, 0.5], [1, 2, 3], 3) == [2, 3, 1]
    assert ranked([0.5, 0.5 + 5e-7, 0.5 - 4e-7], [3, 2, 1], 3) == [1, 2, 3]
    assert ranked([0.5, 0.5 + 5e-6], [1, 2], 2) == [2, 1]
    assert ranked([], [], 3) == []


def test_a_group_reaches_down_from_its_best_only():
    # Steps of 8e-7 chain on for ever; a group ends 1e-6 below its best.
    assert ranked([0.5, 0.5 - 8e-7, 0.5 - 16e-7, 0.5 - 24e-7], [4, 3, 2, 1], 4) == [3, 4, 1, 2]


def test_members_of_a_group_get_one_score():
    result = rank(np.array([0.5, 0.5 - 5e-7, 1.0000002]), np.array([1, 2, 3]), 3, complete=True)
    assert result == [(3, 1.0), (1, 0.5), (2, 0.5)]


def test_more_candidates_are_asked_for_only_where_a_tie_may_go_on():
    assert ranked([0.9, 0.5, 0.5], [1, 2, 3], 2, complete=False) is None
    assert ranked([0.9, 0.5, 0.5], [1, 2, 3], 2, complete=True) == [1, 2]
    assert ranked([0.9, 0.5, 0.4], [1, 2, 3], 2, complete=False) == [1, 2]
