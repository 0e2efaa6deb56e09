"""The TensorRT engine in a bundle, run without onnxruntime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, RuntimeMissing
from vitreid.bundle.run_engine import EngineRunner
from vitreid.service.models.runtimes.protocol import RuntimeChoice


class EngineRuntime:
    """The engine's runner as a runtime."""

    provider = "tensorrt"
    threads: int | None = None

    def __init__(self, bundle: Bundle, choice: RuntimeChoice) -> None:
        self.precision = bundle.manifest.precision
        if "tensorrt" not in choice.providers or choice.precision not in (None, self.precision):
            raise RuntimeMissing(
                f"the runtime engine computes on tensorrt and in the bundle's precision, {self.precision}, only; take "
                "VITREID_PROVIDER=tensorrt, and leave VITREID_PRECISION empty"
            )
        self._runner = EngineRunner.open(bundle)

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) images; cameras (B,), -1 = unknown."""
        return self._runner.run(images, cameras)
