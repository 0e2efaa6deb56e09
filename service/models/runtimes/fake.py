"""A stand-in for tests: no model, but similar images do get similar embeddings, always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle
from vitreid.service.models.runtimes.protocol import RuntimeChoice

ROWS, COLUMNS = 8, 4


class FakeRuntime:
    """Embeds the mean colours of 8x4 cells by a fixed random projection; it ignores the camera."""

    provider = "cpu"
    precision = "fp32"
    threads: int | None = 1

    def __init__(self, bundle: Bundle, choice: RuntimeChoice) -> None:
        # One more input than colours is always 1, so that no image is the zero vector.
        shape = (ROWS * COLUMNS * 3 + 1, bundle.manifest.dimension)
        self._projection = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) images; row by row, so that batches change nothing."""
        embeddings = np.stack([self._embed(image) for image in images]) if len(images) else self._projection[:0]
        return embeddings.astype(np.float32)

    def _embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        bands = np.array_split(image.astype(np.float32) / 255 - 0.5, ROWS, axis=0)
        cells = [cell.mean(axis=(0, 1)) for band in bands for cell in np.array_split(band, COLUMNS, axis=1)]
        embedding: NDArray[np.float32] = np.append(np.concatenate(cells), np.float32(0.1)) @ self._projection
        return embedding / np.linalg.norm(embedding)
