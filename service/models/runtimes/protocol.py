"""Runtimes and their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle


@dataclass(frozen=True)
class RuntimeChoice:
    """The runtime of a model and its options; values of settings."""

    runtime: str = "onnx"
    providers: tuple[str, ...] = ("cpu",)
    """Hardware in order of preference: the first that is available computes."""
    precision: str | None = None
    """Number type of the computation; None: that of the bundle."""
    threads: int | None = None
    """Cores of one run; None: all that the process may use."""
    max_batch: int = 4
    """Images of the largest run that a GPU is made ready for; larger ones are cut."""
    engines: Path | None = None
    """Folder of the engines that TensorRT builds; None: it builds at every start."""


class Runtime(Protocol):
    """A loaded model with what runs it in fact. Runs may overlap from several threads."""

    provider: str
    """The hardware: cpu, cuda, ..."""
    precision: str
    """Number type of the computation."""
    threads: int | None
    """Cores of one run; None on a GPU."""

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) RGB images; cameras are (B,) learned indices or -1."""
        ...


class RuntimeLoader(Protocol):
    """A function that loads a bundle in a runtime."""

    def __call__(self, bundle: Bundle, choice: RuntimeChoice) -> Runtime:
        """Load the model and make it ready. Raises BundleError, among them RuntimeMissing; UnknownName."""
        ...
