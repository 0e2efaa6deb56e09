"""The reference runner: onnxruntime on the CPU. Export checks its graphs with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.cores import cores
from vitreid.bundle.errors import BundleDamaged
from vitreid.bundle.manifest import Bundle, Manifest

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Providers = Sequence[str | tuple[str, dict[str, Any]]]
"""Execution providers by onnxruntime's names, best first; each alone or with its options."""

CPU: Providers = ("CPUExecutionProvider",)

Nodes = dict[str, tuple[str, list[int]]]
"""Inputs or outputs by name: onnxruntime's name of the type, and the shape after the batch axis."""


class BundleRunner:
    """A bundle in onnxruntime, which embeds images.

    `threads` is the number of cores of one run; by default all that the process may use. Several threads may run it at
    the same time.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self.manifest = bundle.manifest
        self._session = open_session(bundle, threads=threads)
        self._inputs = {node.name for node in self._session.get_inputs()}

    def run(
        self,
        images: NDArray[np.uint8],
        cameras: NDArray[np.int64] | None = None,
        views: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """Embed uint8 (B, height, width, 3) images; cameras and views are (B,) indices, -1 = unknown.

        Returns unit rows (B, dimension). A model without such inputs ignores cameras and views.
        """
        feed = feed_of(self._inputs, images, cameras, views)
        embeddings: NDArray[np.float32] = self._session.run(["embeddings"], feed)[0]
        return embeddings


def feed_of(
    inputs: Iterable[str],
    images: NDArray[np.uint8],
    cameras: NDArray[np.int64] | None = None,
    views: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the values of a graph's inputs to embed (B, height, width, 3) images; arguments as in `run`."""
    unknown = np.full(len(images), -1, dtype=np.int64)
    values: dict[str, NDArray[Any]] = {
        "images": images,
        "camera": unknown if cameras is None else cameras,
        "view": unknown if views is None else views,
    }
    return {name: values[name] for name in inputs}


def open_session(bundle: Bundle, *, threads: int | None = None, providers: Providers = CPU) -> InferenceSession:
    """Load a bundle's graph and check that its inputs and outputs match the manifest.

    Raises BundleDamaged if the graph does not load or has other inputs or outputs.
    """
    load_onnxruntime()  # a missing package is not the bundle's fault
    try:
        session = load_graph(bundle.model_path, threads=threads, providers=providers)
    except Exception as error:  # onnxruntime's exception types share no base class but this one
        reason = " ".join(str(error).split())
        raise BundleDamaged(f"{bundle.model_path} does not load ({reason}); export the bundle again") from error
    nodes = (session.get_inputs(), session.get_outputs())
    check_graph(bundle, *({node.name: (node.type, node.shape[1:]) for node in each} for each in nodes))
    return session


def load_graph(file: Path | bytes, *, threads: int | None = None, providers: Providers = CPU) -> InferenceSession:
    """Load any ONNX file, or its content. Raises the exceptions of onnxruntime."""
    onnxruntime = load_onnxruntime()
    source = file if isinstance(file, bytes) else str(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")  # assignment of nodes to providers
    options.log_severity_level = 3
    # With a fallback it would print a warning and continue with other providers.
    return onnxruntime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry disabled."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it is read once, during the import
    import onnxruntime

    return onnxruntime


def check_graph(bundle: Bundle, inputs: Nodes, outputs: Nodes) -> None:
    """Compare a graph's inputs and outputs with the manifest. Raises BundleDamaged."""
    if inputs != expected_inputs(bundle.manifest):
        raise BundleDamaged(
            f"{bundle.model_path} has inputs {inputs}; the manifest expects {expected_inputs(bundle.manifest)}; "
            "export the bundle again"
        )
    if outputs.get("embeddings") != ("tensor(float)", [bundle.manifest.dimension]):
        raise BundleDamaged(
            f"{bundle.model_path} has outputs {outputs}; "
            f"the manifest expects embeddings of {bundle.manifest.dimension} floats; export the bundle again"
        )


def expected_inputs(manifest: Manifest) -> Nodes:
    """Return the inputs that the manifest expects of the graph."""
    inputs = {"images": ("tensor(uint8)", [manifest.image.height, manifest.image.width, 3])}
    optional = {"camera": manifest.cameras, "view": manifest.views}
    return inputs | {name: ("tensor(int64)", []) for name, names in optional.items() if names}
