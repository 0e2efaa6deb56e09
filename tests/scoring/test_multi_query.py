from __future__ import annotations

import numpy as np
import pytest

from vitreid.scoring import Labelled, pool_queries, score_retrieval


def test_by_hand() -> None:
    """Two images of one person from one camera become their mean; another camera stays separate."""
    query = Labelled.of("query", [[0, 1], [1, 0], [0, 1], [1, 0]], ["b", "a", "a", "a"], ["c1", "c1", "c1", "c2"])
    pooled = pool_queries(query)
    assert list(zip(pooled.persons, pooled.cameras, strict=True)) == [("b", "c1"), ("a", "c1"), ("a", "c2")]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(pooled.embeddings, [[0, 1], [half, half], [1, 0]], atol=1e-6)
    assert pooled.embeddings.dtype == np.float32


def test_against_slow_loops() -> None:
    random = np.random.default_rng(0)
    query = Labelled.of("query", random.standard_normal((50, 6)), *random.integers(0, 4, (2, 50)))
    pooled = pool_queries(query)
    keys = list(dict.fromkeys(zip(query.persons.tolist(), query.cameras.tolist(), strict=True)))
    assert list(zip(pooled.persons.tolist(), pooled.cameras.tolist(), strict=True)) == keys
    for embedding, (person, camera) in zip(pooled.embeddings, keys, strict=True):
        total = sum(
            query.embeddings[i].astype(float)
            for i in range(50)
            if query.persons[i] == person and query.cameras[i] == camera
        )
        np.testing.assert_allclose(embedding, total / np.linalg.norm(total), atol=1e-6)


def test_opposite_images_give_a_query_that_resembles_nobody() -> None:
    pooled = pool_queries(Labelled.of("query", [[1, 0], [-1, 0]], [1, 1], [1, 1]))
    assert pooled.embeddings.tolist() == [[0, 0]]


def test_pooling_lets_a_good_image_help_a_bad_one() -> None:
    query = Labelled.of("query", [[0.8, 0.6], [0.0, 1.0]], [1, 1], [1, 1])
    gallery = Labelled.of("gallery", [[1, 0], [0, 1]], [1, 2], [2, 2])
    assert score_retrieval(query, gallery).mAP == pytest.approx(0.75)
    pooled = score_retrieval(pool_queries(Labelled.of("query", [[1.0, 0.0], [0.8, 0.6]], [1, 1], [1, 1])), gallery)
    assert (pooled.mAP, pooled.queries) == (1, 1)
