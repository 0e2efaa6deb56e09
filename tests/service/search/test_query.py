from __future__ import annotations

import numpy as np
import pytest

from vitreid.service.errors import EmbeddingRejected
from vitreid.service.search import mean_embedding


def test_one_embedding_is_its_own_mean() -> None:
    row = np.array([[0.6, 0.8]], np.float32)
    np.testing.assert_array_equal(mean_embedding(row), row[0])


def test_the_mean_has_unit_length_and_one_type() -> None:
    rows = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    mean = mean_embedding(rows)
    np.testing.assert_allclose(mean, np.array([1, 2]) / np.sqrt(5), rtol=1e-6)
    assert mean.dtype == np.float32


def test_opposite_images_have_no_mean() -> None:
    with pytest.raises(EmbeddingRejected, match="one person"):
        mean_embedding(np.array([[1, 0], [-1, 0]], np.float32))
