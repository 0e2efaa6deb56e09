"""What runs a model, and what it is told about how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle


@dataclass(frozen=True)
class RuntimeChoice:
    """What is to run a model, and how; values of settings."""

    runtime: str = "onnx"
    providers: tuple[str, ...] = ("cpu",)
    """What is to compute: the first one that can. One alone has no substitute."""
    precision: str | None = None
    """What it computes in; None: as the bundle says."""
    threads: int | None = None
    """Cores of one run; None: all that the process may use."""
    max_batch: int = 4
    """Images of the largest run that a GPU is made ready for; larger ones are cut."""
    engines: Path | None = None
    """Folder that keeps what TensorRT builds; None: it builds at every start."""


class Runtime(Protocol):
    """A loaded model, and what really runs it. Runs may overlap from several threads."""

    provider: str
    """What computes: cpu, cuda, ..."""
    precision: str
    """What it computes in."""
    threads: int | None
    """Cores of one run; None where it is not for cores to compute."""

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) unit embeddings of (B, height, width, 3) RGB images; cameras are (B,) learned indices or -1."""
        ...


class RuntimeLoader(Protocol):
    """What makes a runtime of a bundle."""

    def __call__(self, bundle: Bundle, choice: RuntimeChoice) -> Runtime:
        """Load the model and make it ready. Raises BundleError, among them RuntimeMissing; UnknownName."""
        ...
