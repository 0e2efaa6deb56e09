"""Open-set rates against slow loops over the definitions, by hand, and by properties of any embeddings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreid.scoring import Labelled, ScoringError, labelled, score_open_set


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def rows(random: np.random.Generator, name: str, count: int, persons: int) -> Labelled:
    """Return integer embeddings, so that many scores are equal."""
    return Labelled.of(
        name,
        random.choice([-2, -1, 1, 2], (count, 3)),
        random.integers(0, persons, count),
        random.integers(0, 3, count),
    )


def test_by_hand() -> None:
    """Two persons on opposite sides: whoever is enrolled, the other's three queries are the strangers.

    Scores of the person's own queries: 1, -0.985, -0.996; of the stranger's: -1, 0.985, 0.996.
    """
    query = Labelled.of("query", at(0, 170, 175, 180, 350, 355), [1, 1, 1, 2, 2, 2], [1] * 6)
    gallery = Labelled.of("gallery", at(0, 180), [1, 2], [2, 2])
    one, two, every = score_open_set(query, gallery, rates=(1 / 3, 2 / 3, 1), draws=4)
    assert {row.enrolled for row in (one, two, every)} == {1}
    assert {row.images for row in (one, two, every)} == {1}
    assert (one.fpir, one.fnir, one.fnir_rank1, one.spread) == pytest.approx((1 / 3, 2 / 3, 2 / 3, 0))
    assert (two.fpir, two.fnir) == pytest.approx((2 / 3, 0))
    assert (every.fpir, every.fnir) == (1, 0)


def slow_rates(
    query: Labelled, gallery: Labelled, order: list[int], size: int, rate: float
) -> tuple[float, float, float, int]:
    """Return FPIR, FNIR, FNIR at rank 1 and images, with the first persons of an order enrolled."""
    enrolled, strangers = order[:size], order[len(order) // 2 :]
    watched = [j for j in range(len(gallery)) if gallery.persons[j] in enrolled]

    def score(i: int, j: int) -> float:
        return float(query.embeddings[i] @ gallery.embeddings[j])

    def seen_elsewhere(i: int) -> list[int]:
        return [
            j
            for j in range(len(gallery))
            if gallery.persons[j] == query.persons[i] and gallery.cameras[j] != query.cameras[i]
        ]

    asked = [i for i in range(len(query)) if seen_elsewhere(i)]
    unknown = [max(score(i, j) for j in watched) for i in asked if query.persons[i] in strangers]
    # The lowest threshold among the strangers' own scores, or below them all, that lets few enough of them pass.
    threshold = min(t for t in [*unknown, float("-inf")] if sum(s > t for s in unknown) <= rate * len(unknown) + 1e-9)
    missed, missed_rank1, known = 0, 0, 0
    for i in asked:
        if query.persons[i] not in enrolled:
            continue
        known += 1
        own = max(score(i, j) for j in seen_elsewhere(i))
        rival = max((score(i, j) for j in watched if gallery.persons[j] != query.persons[i]), default=float("-inf"))
        missed += own <= threshold
        missed_rank1 += own <= threshold or own <= rival
    return sum(s > threshold for s in unknown) / len(unknown), missed / known, missed_rank1 / known, len(watched)


@pytest.mark.parametrize("at_once", [1, 100, 10**6])
def test_against_slow_loops(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "SCORES_AT_ONCE", at_once)
    random = np.random.default_rng(8)
    query, gallery = rows(random, "query", 60, 12), rows(random, "gallery", 50, 14)
    found = score_open_set(query, gallery, sizes=(2, 4, 99), rates=(0.1, 0.3), draws=3, seed=6)
    taking_part = sorted(
        {
            p
            for p, c in zip(query.persons.tolist(), query.cameras.tolist(), strict=True)
            if any(gp == p and gc != c for gp, gc in zip(gallery.persons, gallery.cameras, strict=True))
        }
    )
    draws = np.random.default_rng(6)
    orders = [[taking_part[i] for i in draws.permutation(len(taking_part))] for _ in range(3)]
    assert [(row.enrolled, row.allowed_fpir) for row in found] == [
        (size, rate) for size in (2, 4, len(taking_part) // 2) for rate in (0.1, 0.3)
    ]
    for row in found:
        expected = [slow_rates(query, gallery, order, row.enrolled, row.allowed_fpir) for order in orders]
        means = np.mean(expected, 0)
        assert (row.fpir, row.fnir, row.fnir_rank1, row.images) == pytest.approx(tuple(means))
        assert row.spread == pytest.approx(np.std([fnir for _, fnir, _, _ in expected]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), persons=st.integers(2, 12))
def test_rates_keep_their_order(seed: int, persons: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(persons), 3)
    cameras = np.ones(len(labels))
    query, gallery = (
        Labelled.of(name, random.standard_normal((len(labels), 4)), labels, cameras * camera)
        for camera, name in enumerate(("query", "gallery"))
    )
    found = score_open_set(query, gallery, sizes=(1, 3), rates=(0.34, 0.5, 0.9), draws=3, seed=seed)
    for row in found:
        assert row.fpir <= row.allowed_fpir + 1e-9
        assert 0 <= row.fnir <= row.fnir_rank1 <= 1
    for one, other in pairwise(found):
        if one.enrolled == other.enrolled:
            assert one.fnir >= other.fnir  # where more strangers may pass, fewer persons are missed


def test_distinct_persons_are_never_missed() -> None:
    persons = np.arange(20)
    embeddings = np.eye(20)
    query, gallery = (Labelled.of(name, embeddings, persons, persons * 0 + i) for i, name in enumerate(("q", "g")))
    found = score_open_set(query, gallery)
    assert [(row.enrolled, row.fpir, row.fnir_rank1) for row in found] == [(10, 0, 0)]


def test_rates_of_less_than_one_query_are_left_out() -> None:
    persons = np.arange(40)
    query, gallery = (Labelled.of(name, np.eye(40), persons, persons * 0 + i) for i, name in enumerate(("q", "g")))
    assert {row.allowed_fpir for row in score_open_set(query, gallery, rates=(0.01, 0.05, 0.1))} == {0.05, 0.1}
    with pytest.raises(ScoringError, match=r"20 queries .* are too few to measure rates of 0\.01 or less"):
        score_open_set(query, gallery, rates=(0.001, 0.01))


@pytest.mark.parametrize(("cameras", "count"), [([1, 1], 0), ([1, 2], 1)])
def test_fewer_than_two_persons(cameras: list[int], count: int) -> None:
    query, gallery = Labelled.of("q", [[1, 0]], [1], cameras[:1]), Labelled.of("g", [[1, 0]], [1], cameras[1:])
    with pytest.raises(ScoringError, match=f"{count} persons have a query with a match"):
        score_open_set(query, gallery)


def test_a_rival_with_the_same_score_comes_first() -> None:
    """A model with the same embedding for every image finds everybody and distinguishes nobody."""
    query, gallery = (Labelled.of(name, np.ones((4, 1)), range(4), [camera] * 4) for camera, name in enumerate("qg"))
    [alone, together] = score_open_set(query, gallery, sizes=(1, 2), rates=(1,))
    assert (alone.enrolled, alone.fnir, alone.fnir_rank1) == (1, 0, 0)
    assert (together.enrolled, together.fnir, together.fnir_rank1) == (2, 0, 1)


def test_a_rate_that_is_a_number_of_queries_is_reached() -> None:
    random = np.random.default_rng(0)
    query, gallery = (
        Labelled.of(name, random.standard_normal((200, 8)), range(200), [camera] * 200)
        for camera, name in enumerate("qg")
    )
    assert score_open_set(query, gallery, rates=(0.29,), draws=1)[0].fpir == 0.29  # 0.29 * 100 is 28.999...
