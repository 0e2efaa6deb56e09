"""The bundle's graph by onnxruntime, on the processor or on an NVIDIA GPU."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleRunner, RuntimeMissing
from vitreid.bundle.cores import cores
from vitreid.service.errors import UnknownName
from vitreid.service.models.runtimes.cuda import load_cuda
from vitreid.service.models.runtimes.protocol import Runtime, RuntimeChoice, RuntimeLoader
from vitreid.service.models.runtimes.tensorrt import load_tensorrt

logger = logging.getLogger("vitreid")


class CpuRuntime:
    """The reference runner as a runtime."""

    provider = "cpu"

    def __init__(self, bundle: Bundle, choice: RuntimeChoice) -> None:
        self.precision = bundle.manifest.precision
        self.threads: int | None = choice.threads or cores()
        self._runner = BundleRunner(bundle, threads=self.threads)

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) images; cameras (B,), -1 = unknown."""
        return self._runner.run(images, cameras)


PROVIDERS: dict[str, RuntimeLoader] = {
    "cpu": CpuRuntime,
    "cuda": load_cuda,
    "tensorrt": load_tensorrt,
}


def load_onnx(bundle: Bundle, choice: RuntimeChoice) -> Runtime:
    """Load the graph on the first available provider; if none is, raise the error of the first.

    Raises RuntimeMissing, UnknownName, BundleDamaged.
    """
    written = bundle.manifest.precision
    if choice.precision not in (None, written):
        raise RuntimeMissing(
            f"the runtime onnx computes in what the bundle was exported in, {written}, and not in {choice.precision}; "
            "leave VITREID_PRECISION empty, set VITREID_RUNTIME=openvino, or use vitreid export onnx --precision"
        )
    for name in choice.providers:
        if name not in PROVIDERS:
            raise UnknownName.of("provider", name, PROVIDERS)
    missing: list[RuntimeMissing] = []
    for name in choice.providers:
        try:
            return PROVIDERS[name](bundle, choice)
        except RuntimeMissing as error:
            missing.append(error)
            if len(missing) < len(choice.providers):
                logger.warning("the model cannot run on %s; trying the next provider: %s", name, error)
    raise missing[0]
