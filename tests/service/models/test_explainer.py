"""The foreground of prepared images, in batches and by several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vitreid.bundle import Bundle, PatchRunner
from vitreid.bundle.checksum import sha256_of
from vitreid.scoring.patches import foreground
from vitreid.service.errors import ExplainUnsupported
from vitreid.service.models.explainer import BATCH, Explainer

PIXELS = list(np.random.default_rng(0).integers(0, 256, (2 * BATCH + 3, 64, 32, 3), dtype=np.uint8))


def test_it_is_that_of_each_image(explained_bundle: Path) -> None:
    bundle = Bundle.open(explained_bundle)
    explainer = Explainer(bundle, threads=1)
    assert explainer.model == sha256_of(explained_bundle / "explain.onnx")
    cameras = [(None, "c1", "unheard of")[number % 3] for number in range(len(PIXELS))]
    found = explainer.foreground(PIXELS, cameras)
    assert len(found) == len(PIXELS)
    runner = PatchRunner(bundle, threads=1)
    for pixels, camera, seen in zip(PIXELS, cameras, found, strict=True):
        patches, attention = runner.run(pixels[None], np.array([0 if camera == "c1" else -1]))
        np.testing.assert_array_equal(seen.patch_indices, foreground(attention[0]))
        np.testing.assert_allclose(seen.vectors, patches[0][seen.patch_indices], atol=1e-6)
    assert explainer.foreground([], []) == []


def test_several_threads(explained_bundle: Path) -> None:
    explainer = Explainer(Bundle.open(explained_bundle), threads=1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pixels: explainer.foreground([pixels], [None])[0], PIXELS[:8]))
    for seen, expected in zip(found, explainer.foreground(PIXELS[:8], [None] * 8), strict=True):
        np.testing.assert_array_equal(seen.patch_indices, expected.patch_indices)


def test_a_bundle_without_patches(tiny_bundle: Path) -> None:
    explainer = Explainer(Bundle.open(tiny_bundle))
    assert explainer.model is None
    for ask in (explainer.check, lambda: explainer.foreground(PIXELS[:1], [None])):
        with pytest.raises(ExplainUnsupported, match="vitreid export explain"):
            ask()
