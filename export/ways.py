"""The runtimes for whose embeddings a manifest can vouch. Another one is a line in WAYS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from bundle import Bundle, BundleRunner, OpenVinoRunner
from bundle.run import load_onnxruntime

Runner = BundleRunner | OpenVinoRunner


@dataclass(frozen=True)
class Way:
    """How to run a bundle: `open` raises RuntimeMissing where it cannot be done here.

    `computed` is what fp32 graphs are computed in, where that is not float32; others are run as they are.
    """

    name: Callable[[], str]
    open: Callable[[Bundle], Runner]
    computed: str | None = None

    def precision(self, bundle: Bundle) -> str | None:
        """What it computes a bundle in; None where that is not what it is for."""
        written = bundle.manifest.precision
        return self.computed if self.computed and written == "fp32" else None if self.computed else written


def _onnxruntime() -> str:
    return f"onnxruntime {load_onnxruntime().__version__} CPU"


def _openvino() -> str:
    return f"openvino {version('openvino')} CPU"


REFERENCE = Way(_onnxruntime, BundleRunner)
WAYS = (
    REFERENCE,
    Way(_openvino, OpenVinoRunner),
    Way(_openvino, partial(OpenVinoRunner, precision="bf16"), computed="bf16"),
)
