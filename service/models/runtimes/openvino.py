"""The bundle's graph by OpenVINO on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, OpenVinoRunner, RuntimeMissing
from vitreid.bundle.cores import cores
from vitreid.service.models.runtimes.protocol import RuntimeChoice

COMPUTED = "fp32"
"""Default number type; quantised parts of a graph do not change."""


class OpenVinoRuntime:
    """OpenVINO's runner as a runtime."""

    provider = "cpu"

    def __init__(self, bundle: Bundle, choice: RuntimeChoice) -> None:
        if "cpu" not in choice.providers:
            raise RuntimeMissing(
                f"the runtime openvino computes on the cpu only, not on {', '.join(choice.providers)}; "
                "take VITREID_PROVIDER=cpu, or VITREID_RUNTIME=onnx"
            )
        written = bundle.manifest.precision
        self.threads: int | None = choice.threads or cores()
        self.precision = choice.precision or written
        if self.precision == COMPUTED != written:
            raise RuntimeMissing(
                f"the bundle was exported in {written}, of which {COMPUTED} cannot be made again; "
                "leave VITREID_PRECISION empty, or take bf16"
            )
        computed = COMPUTED if self.precision == written else self.precision
        batches = {1, choice.max_batch}  # the common sizes of a service: one request, or many
        self._runner = OpenVinoRunner(bundle, threads=self.threads, precision=computed, batches=batches)

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) images; cameras (B,), -1 = unknown."""
        return self._runner.run(images, cameras)
