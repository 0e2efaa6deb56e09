"""From images to embeddings, in the two steps that indexing overlaps: preparing and running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import Bundle, BundleDamaged, resize_to_spec
from vitreid.bundle.image_sources import ImageLike, rgb_image
from vitreid.service.models.runtimes import RuntimeChoice, load_runtime
from vitreid.service.values.embeddings import embedding_fault

REFERENCE = RuntimeChoice()
BATCH_SIZE = 32


class Embedder:
    """A bundle, or the folder of one, loaded in a runtime; safe to use from several threads.

    Raises UnknownName for a runtime that does not exist, and BundleError for a bundle that cannot be opened, a model
    that does not load, and one whose embedding of a grey image is not a finite unit vector.
    """

    def __init__(self, bundle: Bundle | Path | str, choice: RuntimeChoice = REFERENCE) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(Path(bundle))
        self.manifest = self.bundle.manifest
        self.runtime = load_runtime(self.bundle, choice)
        self._try(self.bundle.model_path)

    @property
    def grey(self) -> NDArray[np.uint8]:
        """A prepared image of nothing, to try the model with."""
        image = self.manifest.image
        return np.full((image.height, image.width, 3), 128, dtype=np.uint8)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.manifest.dimension

    def embed(
        self,
        images: Sequence[ImageLike],
        model_cameras: Sequence[str | None] | None = None,
        *,
        batch_size: int = BATCH_SIZE,
    ) -> NDArray[np.float32]:
        """Embed N images of any size: (N, D), each row of unit length, in the order of the images.

        `model_cameras` names the camera of each image as the manifest's `cameras` do; other names, and None, are
        unknown cameras. Raises ImageError for an image that cannot be read.
        """
        cameras = [None] * len(images) if model_cameras is None else model_cameras
        if len(cameras) != len(images):
            raise ValueError(f"{len(images)} images with {len(cameras)} cameras")
        embeddings = np.empty((len(images), self.dimension), dtype=np.float32)
        for start in range(0, len(images), batch_size):
            rows = slice(start, start + batch_size)
            embeddings[rows] = self.run([self.prepare(rgb_image(each)) for each in images[rows]], cameras[rows])
        return embeddings

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize an RGB image to the (height, width, 3) pixels that the model takes."""
        return resize_to_spec(image, self.manifest.image)

    def run(self, pixels: Sequence[NDArray[np.uint8]], model_cameras: Sequence[str | None]) -> NDArray[np.float32]:
        """Embed N prepared images as one batch: (N, D), unit length; cameras as in `embed`."""
        if len(pixels) != len(model_cameras):
            raise ValueError(f"{len(pixels)} images with {len(model_cameras)} cameras")
        if not pixels:
            return np.empty((0, self.dimension), dtype=np.float32)
        cameras = np.array([self.manifest.camera_index(camera_id) for camera_id in model_cameras], dtype=np.int64)
        return self.runtime.run(np.stack(pixels), cameras)

    def _try(self, model: Path) -> None:
        """Embed an image of nothing, which also reserves the runtime's memory. Raises BundleDamaged."""
        if (fault := embedding_fault(list(self.run([self.grey], [None])), self.dimension)) is not None:
            raise BundleDamaged(f"the embedding that {model} gives of a grey image {fault[1]}; export the bundle again")
