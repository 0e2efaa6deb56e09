"""The runtimes for whose embeddings a manifest can vouch. Another one is a line in WAYS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from vitreid.bundle import Bundle, BundleRunner, OpenVinoRunner
from vitreid.bundle.run import load_onnxruntime

Runner = BundleRunner | OpenVinoRunner


@dataclass(frozen=True)
class Way:
    """How to run a bundle: `open` raises RuntimeMissing where it cannot be done here.

    `computed` is what fp32 graphs are computed in, where that is not float32; it is not for others.
    """

    name: Callable[[], str]
    open: Callable[[Bundle], Runner]
    computed: str | None = None

    def takes(self, bundle: Bundle) -> bool:
        """Whether it is for bundles of this precision."""
        return self.computed is None or bundle.manifest.precision == "fp32"

    def precision(self, bundle: Bundle) -> str:
        """What it computes a bundle in."""
        return self.computed or bundle.manifest.precision


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
