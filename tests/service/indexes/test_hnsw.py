"""What the graph promises beyond the calls of all: recall, also where much is filtered out or removed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.made_embeddings import made_people
from vitreid.service.indexes import ExactIndex, HnswIndex

ROWS, DIMENSION = 8000, 48
IDS = np.arange(ROWS) * 2


@pytest.fixture(scope="module")
def people():
    return made_people(ROWS, DIMENSION)


@pytest.fixture(scope="module")
def gallery(people):
    return people.gallery(ROWS)


@pytest.fixture(scope="module")
def file(gallery, tmp_path_factory):
    path = tmp_path_factory.mktemp("hnsw") / "index"
    HnswIndex.build(DIMENSION, IDS, gallery.embeddings).save(path)
    return path


@pytest.fixture
def hnsw(file) -> HnswIndex:
    return HnswIndex.load(file, DIMENSION)


@pytest.fixture
def exact(gallery) -> ExactIndex:
    return ExactIndex.build(DIMENSION, IDS, gallery.embeddings)


def recall(index, reference, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> float:
    found, expected = index.search(queries, k, allowed)[1], reference.search(queries, k, allowed)[1]
    return float(np.mean([np.isin(right, row).mean() for row, right in zip(found, expected, strict=True)]))


def by_id(rows: np.ndarray) -> np.ndarray:
    allowed = np.zeros(2 * ROWS, dtype=bool)
    allowed[::2] = rows
    return allowed


def test_ef_is_tuned_and_its_recall_is_reached(hnsw, exact, people):
    assert hnsw.parameters["recall"] >= 0.99
    assert recall(hnsw, exact, people.queries(200).embeddings, 10) >= 0.985


def test_wide_filters_walk_the_graph_and_narrow_ones_compare_all(hnsw, exact, gallery, people, monkeypatch):
    queries = people.queries(100).embeddings
    walked = []
    walk = HnswIndex._walk
    monkeypatch.setattr(HnswIndex, "_walk", lambda *arguments: walked.append(arguments) or walk(*arguments))
    assert recall(hnsw, exact, queries, 10, by_id(gallery.cameras > 0)) >= 0.985
    assert len(walked) == 1
    assert recall(hnsw, exact, queries, 10, by_id(gallery.cameras == 0)) >= 0.995
    assert recall(hnsw, exact, queries, 10, by_id(gallery.persons % 50 == 0)) >= 0.995
    assert len(walked) == 1


def test_removed_embeddings_are_garbage_and_never_found(hnsw, exact, people):
    queries = people.queries(100).embeddings
    gone = IDS[np.random.default_rng(1).permutation(ROWS)[:2000]]
    for each in (hnsw, exact):
        each.remove(gone)
    assert (len(hnsw), hnsw.garbage) == (6000, 2000)
    assert not np.isin(hnsw.search(queries, 50)[1], gone).any()
    assert recall(hnsw, exact, queries, 10) >= 0.985


def test_an_id_that_came_again_survives_the_file(hnsw, gallery, tmp_path):
    hnsw.remove(IDS[:10])
    hnsw.add(IDS[5:10], gallery.embeddings[:5])
    assert (len(hnsw), hnsw.garbage) == (ROWS - 5, 10)
    hnsw.save(tmp_path / "index")
    loaded = HnswIndex.load(tmp_path / "index", DIMENSION)
    assert (len(loaded), loaded.garbage) == (ROWS - 5, 10)
    loaded.remove(IDS[5:10])
    assert not np.isin(loaded.search(gallery.embeddings[:5], 20)[1], IDS[:10]).any()
    assert (len(loaded), loaded.garbage) == (ROWS - 10, 15)


def test_where_the_graph_leads_to_too_few_all_are_compared(hnsw, people):
    assert (hnsw.search(people.queries(2).embeddings, ROWS)[1] >= 0).all()
