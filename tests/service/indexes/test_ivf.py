"""Promises of inverted lists beyond those of every index: recall, also of filtered and new items."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.random_embeddings import population_for
from vitreid.service.indexes import ExactIndex, IvfIndex

ROWS, DIMENSION = 12_000, 64


@pytest.fixture(scope="module")
def people():
    return population_for(ROWS, DIMENSION)


@pytest.fixture(scope="module")
def gallery(people):
    return people.gallery(ROWS)


@pytest.fixture
def ivf(gallery) -> IvfIndex:
    return IvfIndex.build(DIMENSION, np.arange(ROWS), gallery.embeddings)


@pytest.fixture(scope="module")
def exact(gallery) -> ExactIndex:
    return ExactIndex.build(DIMENSION, np.arange(ROWS), gallery.embeddings)


def recall(index, reference, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> float:
    found, expected = index.search(queries, k, allowed)[1], reference.search(queries, k, allowed)[1]
    return float(np.mean([np.isin(right, row).mean() for row, right in zip(found, expected, strict=True)]))


def test_the_measured_recall_is_reached_without_searching_all_lists(ivf, exact, people):
    shown = ivf.parameters
    assert shown["nprobe"] < shown["nlist"] / 4
    assert shown["recall"] >= 0.99
    assert shown["built_with"] == ROWS
    assert recall(ivf, exact, people.queries(300).embeddings, 10) >= 0.985


def test_filters_keep_the_recall(ivf, exact, people, gallery):
    queries = people.queries(300).embeddings
    for allowed in (gallery.cameras == 0, gallery.cameras < 3, gallery.persons % 40 == 0):
        assert recall(ivf, exact, queries, 10, allowed) >= 0.985


def test_a_fixed_nprobe_would_lose_it(ivf, exact, people, gallery, monkeypatch):
    monkeypatch.setattr(IvfIndex, "_nprobe", lambda index, k, share: index.parameters["nprobe"])
    assert recall(ivf, exact, people.queries(300).embeddings, 10, gallery.cameras == 0) < 0.96


@pytest.mark.slow
def test_many_results_keep_the_recall(ivf, exact, people):
    assert recall(ivf, exact, people.queries(100).embeddings, 200) >= 0.97


def test_k_results_come_back_whenever_there_are_k(ivf, gallery, people):
    queries = people.queries(3).embeddings
    ivf._parameters |= {"nprobe": 1, "growth": 0.0}  # too few lists for what is asked
    assert (ivf.search(queries, ROWS)[1] >= 0).all()
    allowed = np.zeros(ROWS, dtype=bool)
    allowed[::500] = True
    assert sorted(ivf.search(queries[:1], 24, allowed)[1][0].tolist()) == list(range(0, ROWS, 500))


def test_what_resembles_nothing_that_was_trained_with_is_found(ivf):
    strange = -np.eye(40, DIMENSION, k=24, dtype=np.float32)  # along the axes that learned embeddings hardly use
    ivf.add(np.arange(ROWS, ROWS + 40), strange)
    scores, ids = ivf.search(strange, 1)
    assert ids[:, 0].tolist() == list(range(ROWS, ROWS + 40))
    np.testing.assert_allclose(scores, 1, atol=2e-3)


@pytest.mark.slow
def test_memory_is_half_of_the_embeddings(ivf):
    wide = IvfIndex.build(384, np.arange(3000), population_for(3000, 384).gallery(3000).embeddings)
    assert wide.memory_bytes <= 0.6 * 3000 * 384 * 4


@pytest.mark.slow
def test_building_again_gives_the_same(ivf, gallery, people):
    again = IvfIndex.build(DIMENSION, np.arange(ROWS), gallery.embeddings)
    assert again.parameters == ivf.parameters
    queries = people.queries(50).embeddings
    np.testing.assert_array_equal(again.search(queries, 10)[1], ivf.search(queries, 10)[1])


def test_an_index_that_began_empty_finds_everything(exact, gallery, people):
    grown = IvfIndex.build(DIMENSION, np.empty(0, dtype=np.int64), np.empty((0, DIMENSION), dtype=np.float32))
    for start in range(0, ROWS, 5000):
        part = slice(start, start + 5000)
        grown.add(np.arange(ROWS)[part], gallery.embeddings[part])
    assert grown.parameters == {"nlist": 1, "nprobe": 1, "recall": 1.0, "growth": 0.0, "built_with": 0}
    assert recall(grown, exact, people.queries(100).embeddings, 10) >= 0.995


def test_embeddings_that_are_all_the_same_do_no_harm():
    same = np.tile(np.eye(1, DIMENSION, dtype=np.float32), (1000, 1))
    index = IvfIndex.build(DIMENSION, np.arange(1000), same)
    scores, ids = index.search(same[:1], 700)
    assert len(set(ids[0].tolist())) == 700
    assert (scores == 1).all()


def test_parameters_are_a_copy():
    index = IvfIndex.build(4, np.arange(2), np.eye(2, 4, dtype=np.float32))
    index.parameters["recall"] = 0
    assert index.parameters["recall"] == 1
