"""Pictures to embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bundle import Bundle, BundleRunner, resize_to_spec
from service.embedder import Embedder


@pytest.fixture
def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((64, 32), (200, 90), (31, 77))
    ]


def test_pictures_of_any_size_are_embedded_as_the_reference_does(tiny_bundle, pictures):
    bundle = Bundle.open(tiny_bundle)
    embedder = Embedder(bundle, threads=1)
    found = embedder.embed(pictures, ["c2", None, "another"])
    pixels = np.stack([resize_to_spec(picture, bundle.manifest.image) for picture in pictures])
    np.testing.assert_array_equal(found, BundleRunner(bundle, threads=1).run(pixels, np.array([1, -1, -1])))
    assert np.abs(found[:1] - embedder.embed(pictures[:1], [None])).max() > 1e-4  # the camera matters
    assert (embedder.provider, embedder.dimension) == ("onnxruntime cpu", 48)


def test_no_pictures_and_missing_cameras(tiny_bundle, pictures):
    embedder = Embedder(Bundle.open(tiny_bundle), runtime="fake")
    assert embedder.embed([], []).shape == (0, 48)
    with pytest.raises(ValueError, match="3 pictures with 1 cameras"):
        embedder.embed(pictures, [None])
