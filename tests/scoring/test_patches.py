"""Foreground, pairs and scores of patches against loops and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreid.scoring.labelled import Labelled
from vitreid.scoring.patches import (
    PATCH_SHARE,
    Foreground,
    combine_scores,
    foreground,
    matched_patches,
    patch_scores,
    reranked_blocks,
)

seeds = st.integers(0, 2**32 - 1)
quiet = settings(deadline=None, derandomize=True, database=None)


def unit(random: np.random.Generator, count: int, dimension: int = 4) -> np.ndarray:
    rows = random.standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pairs_by_loops(query: np.ndarray, item: np.ndarray) -> list[tuple[float, int, int]]:
    found = []
    for j, patch in enumerate(item):
        i = max(range(len(query)), key=lambda i: float(query[i] @ patch))
        if all(float(query[i] @ other) <= float(query[i] @ patch) for other in item):
            found.append((float(query[i] @ patch), i, j))
    return sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        ([0.5, 0.3, 0.2], [0, 1]),  # 0.8 is held by the first two
        ([0.1, 0.7, 0.2], [1, 2]),
        ([0.25, 0.25, 0.25, 0.25], [0, 1, 2, 3]),
        ([1.0, 0.0, 0.0], [0]),
        ([5.0, 3.0, 2.0], [0, 1]),  # rows of any sum
        ([1.0], [0]),
    ],
)
def test_the_foreground_by_hand(attention: list[float], expected: list[int]) -> None:
    assert foreground(attention).tolist() == expected


@quiet
@given(seeds, st.integers(1, 30))
def test_the_foreground_is_the_smallest_that_holds_the_share(seed: int, count: int) -> None:
    attention = np.random.default_rng(seed).random(count) + 1e-3
    attention /= attention.sum()
    chosen = foreground(attention)
    assert attention[chosen].sum() >= 0.8 - 1e-9
    others = np.setdiff1d(np.arange(count), chosen)
    assert not len(others) or attention[chosen].min() >= attention[others].max()
    assert attention[chosen].sum() - attention[chosen].min() < 0.8


def test_the_foreground_of_an_image() -> None:
    patches = unit(np.random.default_rng(0), 3)
    found = Foreground.of(patches, np.array([0.1, 0.7, 0.2], np.float32))
    assert found.patch_indices.tolist() == [1, 2]
    np.testing.assert_array_equal(found.vectors, patches[1:])


@quiet
@given(seeds, st.integers(1, 8), st.integers(1, 8))
def test_pairs_are_each_others_nearest(seed: int, queries: int, items: int) -> None:
    random = np.random.default_rng(seed)
    query, item = unit(random, queries), unit(random, items)
    pairs, alike = matched_patches(query, item)
    expected = pairs_by_loops(query, item)
    assert [tuple(pair) for pair in pairs.tolist()] == [(i, j) for _, i, j in expected]
    np.testing.assert_allclose(alike, [cosine for cosine, _, _ in expected], atol=1e-6)


def test_pairs_by_hand() -> None:
    query = np.array([[1, 0], [0.8, 0.6]], np.float32)
    item = np.array([[0, 1], [1, 0], [0.6, 0.8]], np.float32)
    pairs, alike = matched_patches(query, item)  # cosines 0, 1, 0.6 and 0.6, 0.8, 0.96
    assert pairs.tolist() == [[0, 1], [1, 2]]
    np.testing.assert_allclose(alike, [1, 0.96])


@quiet
@given(seeds, st.integers(1, 6), st.lists(st.integers(1, 6), max_size=5))
def test_scores_are_means_of_the_pairs(seed: int, queries: int, sizes: list[int]) -> None:
    random = np.random.default_rng(seed)
    query, items = unit(random, queries), [unit(random, size) for size in sizes]
    found = patch_scores(query, items)
    expected = [np.mean([cosine for cosine, _, _ in pairs_by_loops(query, item)]) for item in items]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_same_patches_score_one_in_any_order() -> None:
    patches = unit(np.random.default_rng(0), 9, 16)
    np.testing.assert_allclose(
        patch_scores(patches, [patches[::-1], -patches]), [1, patch_scores(patches, [-patches])[0]], atol=1e-6
    )
    assert patch_scores(patches, [-patches])[0] < 0.9


def test_the_combination() -> None:
    np.testing.assert_allclose(combine_scores([0.5, -1], [1, 0]), [0.5 + PATCH_SHARE / 2, PATCH_SHARE - 1])


def test_rankings_have_the_best_in_the_order_of_both_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreid.scoring.patches.TOP", 5)
    random = np.random.default_rng(0)
    sides = query, gallery = [
        Labelled.of("side", unit(random, count, 8), np.arange(count), np.arange(count)) for count in (4, 12)
    ]
    seen, offered = (
        [unit(random, 3 + place % 3, 6).astype(np.float16) for place in range(len(side))] for side in sides
    )
    found = np.concatenate(list(reranked_blocks(query, gallery, seen, offered, share=0.5)))
    for row, scores in enumerate(found):
        cosines = sides[1].embeddings @ sides[0].embeddings[row]
        plain = sorted(range(12), key=lambda place: -float(cosines[place]))
        both = {
            place: cosines[place]
            + np.mean([alike for alike, _, _ in pairs_by_loops(seen[row].astype(float), offered[place].astype(float))])
            for place in plain[:5]
        }
        expected = sorted(plain[:5], key=lambda place: -float(both[place])) + plain[5:]
        assert np.argsort(-scores, kind="stable").tolist() == expected
