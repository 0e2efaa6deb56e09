"""Runtimes: one contract for all, and the reference's numbers for those that compute a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bundle import Bundle, BundleRunner
from service.errors import UnknownName
from service.runtimes import RUNTIMES, load_runtime


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)


CAMERAS = np.array([0, 1, -1, 0, -1], dtype=np.int64)


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_embeddings_are_unit_rows_that_do_not_depend_on_the_batch(name, tiny_bundle, images):
    runtime = load_runtime(name, Bundle.open(tiny_bundle), threads=1)
    embeddings = runtime.run(images, CAMERAS)
    assert (embeddings.shape, embeddings.dtype) == ((5, 48), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    alone = np.concatenate([runtime.run(images[row : row + 1], CAMERAS[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(alone, embeddings, atol=1e-6)
    assert runtime.run(images[:0], CAMERAS[:0]).shape == (0, 48)
    assert runtime.provider


def test_onnx_equals_the_reference(tiny_bundle, images):
    bundle = Bundle.open(tiny_bundle)
    expected = BundleRunner(bundle, threads=1).run(images, CAMERAS)
    np.testing.assert_array_equal(load_runtime("onnx", bundle, threads=1).run(images, CAMERAS), expected)


def test_fake_finds_similar_colours_similar(tiny_bundle: Path):
    runtime = load_runtime("fake", Bundle.open(tiny_bundle))
    red = np.zeros((64, 32, 3), np.uint8) + np.array([200, 20, 20], np.uint8)
    blue = red[:, :, ::-1]
    nearly_red = np.clip(red.astype(int) + 10, 0, 255).astype(np.uint8)
    one, near, far = runtime.run(np.stack([red, nearly_red, blue]), np.full(3, -1))
    assert one @ near > 0.95 > one @ far


def test_an_unknown_runtime_is_told(tiny_bundle):
    with pytest.raises(UnknownName, match="unknown runtime 'cuda': choose one of fake, onnx"):
        load_runtime("cuda", Bundle.open(tiny_bundle))
