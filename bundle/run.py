"""The reference way to run a bundle: onnxruntime on the CPU. Export checks its graphs with it."""

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
"""What computes a graph, by onnxruntime's names, best first; each alone or with its options."""

CPU: Providers = ("CPUExecutionProvider",)

Nodes = dict[str, tuple[str, list[int]]]
"""Inputs or outputs by name: onnxruntime's word for the type, and the shape after the batch axis."""


class BundleRunner:
    """Embeds images with a bundle.

    `threads` is the number of cores one run uses; by default all that it may. Runs may overlap from several threads.
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

        Returns unit rows (B, dimension). Cameras and views are ignored by a model without such an input.
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
    """What a graph with these inputs is fed to embed (B, height, width, 3) images; arguments as in `run`."""
    unknown = np.full(len(images), -1, dtype=np.int64)
    values: dict[str, NDArray[Any]] = {
        "images": images,
        "camera": unknown if cameras is None else cameras,
        "view": unknown if views is None else views,
    }
    return {name: values[name] for name in inputs}


def open_session(bundle: Bundle, *, threads: int | None = None, providers: Providers = CPU) -> InferenceSession:
    """Load a bundle's graph and check that it takes and gives what the manifest says.

    Raises BundleDamaged where the graph does not load or has other inputs or outputs.
    """
    load_onnxruntime()  # where it is missing, the bundle is not to blame
    try:
        session = load_graph(bundle.model_path, threads=threads, providers=providers)
    except Exception as error:  # onnxruntime's exception types share no base class but this one
        reason = " ".join(str(error).split())
        raise BundleDamaged(f"{bundle.model_path} does not load ({reason}); export the bundle again") from error
    nodes = (session.get_inputs(), session.get_outputs())
    check_graph(bundle, *({node.name: (node.type, node.shape[1:]) for node in each} for each in nodes))
    return session


def load_graph(file: Path | bytes, *, threads: int | None = None, providers: Providers = CPU) -> InferenceSession:
    """Load any ONNX file, or its content. Raises whatever onnxruntime raises."""
    onnxruntime = load_onnxruntime()
    source = file if isinstance(file, bytes) else str(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")  # which provider has which node
    options.log_severity_level = 3
    # Without a fallback it raises where it would print and go on with other providers.
    return onnxruntime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)


def load_onnxruntime() -> Any:
    """The module, which tells nobody that it was started."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it reads that once, while it is imported
    import onnxruntime

    return onnxruntime


def check_graph(bundle: Bundle, inputs: Nodes, outputs: Nodes) -> None:
    """Compare a graph's inputs and outputs with the manifest. Raises BundleDamaged."""
    if inputs != expected_inputs(bundle.manifest):
        raise BundleDamaged(
            f"{bundle.model_path} takes {inputs}, the manifest says {expected_inputs(bundle.manifest)}; "
            "export the bundle again"
        )
    if outputs.get("embeddings") != ("tensor(float)", [bundle.manifest.dimension]):
        raise BundleDamaged(
            f"{bundle.model_path} gives {outputs}, the manifest says embeddings of {bundle.manifest.dimension} floats; "
            "export the bundle again"
        )


def expected_inputs(manifest: Manifest) -> Nodes:
    """The graph's inputs."""
    inputs = {"images": ("tensor(uint8)", [manifest.image.height, manifest.image.width, 3])}
    optional = {"camera": manifest.cameras, "view": manifest.views}
    return inputs | {name: ("tensor(int64)", []) for name, names in optional.items() if names}
