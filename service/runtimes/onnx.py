"""The bundle's graph by onnxruntime on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bundle import Bundle, BundleRunner


class OnnxRuntime:
    """The reference runner, as the service sees it."""

    provider = "onnxruntime cpu"

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._runner = BundleRunner(bundle, threads=threads)

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) pictures; cameras (B,), -1 = unknown."""
        return self._runner.run(images, cameras)
