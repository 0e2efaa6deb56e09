"""Runtimes: what computes a bundle's embeddings. A new one is a file here and a line in RUNTIMES."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bundle import Bundle
from service.errors import UnknownName
from service.runtimes.fake import FakeRuntime
from service.runtimes.onnx import OnnxRuntime


class Runtime(Protocol):
    """A loaded model. Runs may overlap from several threads."""

    provider: str
    """Who computes, as `/v1/info` shows it."""

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) RGB pictures; cameras are (B,) learned indices or -1."""
        ...


class RuntimeLoader(Protocol):
    """What makes a runtime of a bundle."""

    def __call__(self, bundle: Bundle, *, threads: int | None = None) -> Runtime:
        """Load the model; `threads` is the number of cores one run uses, by default all. Raises BundleError."""
        ...


RUNTIMES: dict[str, RuntimeLoader] = {"fake": FakeRuntime, "onnx": OnnxRuntime}


def load_runtime(name: str, bundle: Bundle, *, threads: int | None = None) -> Runtime:
    """The bundle's model in the runtime of this name. Raises UnknownName, BundleError."""
    if name not in RUNTIMES:
        raise UnknownName.of("runtime", name, RUNTIMES)
    return RUNTIMES[name](bundle, threads=threads)


__all__ = ["RUNTIMES", "FakeRuntime", "OnnxRuntime", "Runtime", "RuntimeLoader", "load_runtime"]
