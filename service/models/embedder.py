"""From images to embeddings, in the two steps that indexing overlaps: preparing and running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import Bundle, BundleDamaged, resize_to_spec
from vitreid.service.models.runtimes import RuntimeChoice, load_runtime
from vitreid.service.values.embeddings import embedding_fault

REFERENCE = RuntimeChoice()


class Embedder:
    """A bundle in a runtime; safe to use from several threads.

    Raises UnknownName for a runtime that does not exist, and BundleError where the model does not load or gives nothing
    that could be compared.
    """

    def __init__(self, bundle: Bundle, choice: RuntimeChoice = REFERENCE) -> None:
        self.bundle, self.manifest = bundle, bundle.manifest
        self.runtime = load_runtime(bundle, choice)
        self._try(bundle.model_path)

    @property
    def grey(self) -> NDArray[np.uint8]:
        """A prepared image of nothing, to try the model with."""
        image = self.manifest.image
        return np.full((image.height, image.width, 3), 128, dtype=np.uint8)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.manifest.dimension

    def embed(self, images: Sequence[Image.Image], learned_cameras: Sequence[str | None]) -> NDArray[np.float32]:
        """(N, D) unit embeddings of N RGB images of any size, each seen by a learned camera (None: unknown)."""
        return self.run([self.prepare(image) for image in images], learned_cameras)

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """The (height, width, 3) pixels that the model takes of an RGB image."""
        return resize_to_spec(image, self.manifest.image)

    def run(self, pixels: Sequence[NDArray[np.uint8]], learned_cameras: Sequence[str | None]) -> NDArray[np.float32]:
        """(N, D) unit embeddings of N prepared images, as one batch; cameras as in `embed`."""
        if len(pixels) != len(learned_cameras):
            raise ValueError(f"{len(pixels)} images with {len(learned_cameras)} cameras")
        if not pixels:
            return np.empty((0, self.dimension), dtype=np.float32)
        cameras = np.array([self.manifest.camera_index(camera_id) for camera_id in learned_cameras], dtype=np.int64)
        return self.runtime.run(np.stack(pixels), cameras)

    def _try(self, model: Path) -> None:
        """Embed an image of nothing, which also reserves the runtime's memory. Raises BundleDamaged."""
        if (fault := embedding_fault(list(self.run([self.grey], [None])), self.dimension)) is not None:
            raise BundleDamaged(f"the embedding that {model} gives of a grey image {fault[1]}; export the bundle again")
