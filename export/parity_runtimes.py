"""The runtimes whose parity a manifest records. A new one is a line in PARITY_RUNTIMES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from vitreid.bundle import Bundle, BundleRunner, OpenVinoRunner
from vitreid.bundle.run import load_onnxruntime

Runner = BundleRunner | OpenVinoRunner


@dataclass(frozen=True)
class ParityRuntime:
    """A runtime of bundles; `open` raises RuntimeMissing if it is not installed here.

    `computed` is the type in which fp32 graphs are computed if that is not float32; other graphs are not run then.
    """

    name: Callable[[], str]
    open: Callable[[Bundle], Runner]
    computed: str | None = None

    def takes(self, bundle: Bundle) -> bool:
        """Return whether it runs bundles of this precision."""
        return self.computed is None or bundle.manifest.precision == "fp32"

    def precision(self, bundle: Bundle) -> str:
        """Return the type in which it computes a bundle."""
        return self.computed or bundle.manifest.precision


def _onnxruntime() -> str:
    return f"onnxruntime {load_onnxruntime().__version__} CPU"


def _openvino() -> str:
    return f"openvino {version('openvino')} CPU"


REFERENCE = ParityRuntime(_onnxruntime, BundleRunner)
PARITY_RUNTIMES = (
    REFERENCE,
    ParityRuntime(_openvino, OpenVinoRunner),
    ParityRuntime(_openvino, partial(OpenVinoRunner, precision="bf16"), computed="bf16"),
)
