"""Pairs across cameras, counted in blocks, against a loop over all images."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from vitreid.scoring import Labelled, ScoringError, pairs
from vitreid.scoring.pairs import (
    BINS,
    NOBODY,
    Images,
    bin_centres,
    bins_of,
    count_pairs,
    counts_by_cameras,
    lower_edge,
    same_person_pairs,
)

from .pairing import made, slow_pairs


def counted(scores: list[float]) -> Counter[int]:
    return Counter(bins_of(np.array(scores, np.float32)).tolist())


@pytest.mark.parametrize("at_once", [1, 7, 10**6])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_pair_counts_once(monkeypatch: pytest.MonkeyPatch, at_once: int, seed: int) -> None:
    monkeypatch.setattr(pairs, "SCORES_AT_ONCE", at_once)
    query, gallery = made(seed)
    slow = list(slow_pairs(query, gallery))
    found = dict(counts_by_cameras(Images.of(query, gallery)))
    assert list(found) == [("c9", "c10"), ("c9", "c11"), ("c10", "c11")]
    for cameras, counts in found.items():
        own = [pair for pair in slow if pair[1:3] == cameras]
        for values, same in ((counts.same, True), (counts.different, False)):
            expected = counted([pair[0] for pair in own if (pair[3] == pair[4]) is same])
            occupied = np.flatnonzero(values).tolist()
            assert values.sum() == sum(expected.values())
            # another order of adding numbers may put a score into the bin beside its own
            assert all(expected[i - 1] + expected[i] + expected[i + 1] for i in occupied)
    total = count_pairs(Images.of(query, gallery))
    assert total.same.sum() + total.different.sum() == len(slow)


def test_distractors_form_no_pairs_with_each_other() -> None:
    query, gallery = made()
    images = Images.of(query, gallery)
    assert images.person_count == 6
    assert np.count_nonzero(images.persons == NOBODY) == 12
    only = Images(images.embeddings, np.where(images.persons == 0, 0, NOBODY), images.cameras)
    counts = count_pairs(only)
    assert (counts.same.sum(), counts.different.sum()) == (12, 6 * 42 * 2 // 3)


def test_tallies_and_pairs_of_one_person() -> None:
    query, gallery = made()
    images = Images.of(query, gallery)
    tallies = images.tallies(images.camera_names())
    assert tallies.tolist() == [[2, 2, 2, 2, 2, 2, 4]] * 3
    assert same_person_pairs(tallies).tolist() == [12] * 6 + [48]
    numbers = images.pair_numbers(count_pairs(images))
    assert (numbers.persons, numbers.same) == (6, 72)


def test_some_of_the_persons() -> None:
    images = Images.of(*made())
    part = images.of_persons(np.array([1, 4]))
    assert sorted(set(part.persons.tolist())) == [1, 4]
    assert len(part.persons) == len(part.embeddings) == len(part.cameras) == 12


def test_bins_match_their_edges() -> None:
    scores = np.array([-1.00001, -1, -0.99991, 0, 0.00011, 0.71236, 0.99995, 1, 1.00001], np.float32)
    bins = bins_of(scores)
    assert bins.tolist() == [0, 0, 0, 10000, 10001, 17123, 19999, 19999, 19999]
    assert lower_edge(17123) == 0.7123
    assert [lower_edge(0), lower_edge(BINS)] == [-1, 1]
    assert bin_centres()[[0, 17123, -1]] == pytest.approx([-0.99995, 0.71235, 0.99995])


def test_a_single_camera() -> None:
    part = Labelled.of("some", np.eye(3), ["a", "b", "a"], ["c1"] * 3)
    with pytest.raises(ScoringError, match="all 6 images are from camera c1"):
        Images.of(part, part)
