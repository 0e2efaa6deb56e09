"""The reference way to run a bundle: onnxruntime on the CPU. Export checks its graphs with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BundleDamaged
from bundle.manifest import Bundle, Manifest

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CPU = ("CPUExecutionProvider",)


class BundleRunner:
    """Embeds pictures with a bundle.

    `threads` is the number of cores one run uses; by default all of them. Runs may overlap from several threads.
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
        """Embed uint8 (B, height, width, 3) pictures; cameras and views are (B,) indices, -1 = unknown.

        Returns unit rows (B, dimension). Cameras and views are ignored by a model without such an input.
        """
        unknown = np.full(len(images), -1, dtype=np.int64)
        values = {
            "images": images,
            "camera": unknown if cameras is None else cameras,
            "view": unknown if views is None else views,
        }
        feed = {name: values[name] for name in self._inputs}
        embeddings: NDArray[np.float32] = self._session.run(["embeddings"], feed)[0]
        return embeddings


def open_session(bundle: Bundle, *, threads: int | None = None, providers: Sequence[str] = CPU) -> InferenceSession:
    """Load a bundle's graph and check that it takes and gives what the manifest says.

    Raises BundleDamaged where the graph does not load or has other inputs or outputs.
    """
    try:
        session = load_graph(bundle.model_path, threads=threads, providers=providers)
    except Exception as error:  # onnxruntime's exception types share no base class but this one
        reason = " ".join(str(error).split())
        raise BundleDamaged(f"{bundle.model_path} does not load ({reason}); export the bundle again") from error
    _check_graph(bundle, session)
    return session


def load_graph(file: Path, *, threads: int | None = None, providers: Sequence[str] = CPU) -> InferenceSession:
    """Load any ONNX file. Raises whatever onnxruntime raises."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it once, while it is imported
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=list(providers))


def _check_graph(bundle: Bundle, session: InferenceSession) -> None:
    found = {node.name: (node.type, node.shape[1:]) for node in session.get_inputs()}
    outputs = {node.name: (node.type, node.shape[1:]) for node in session.get_outputs()}
    if found != expected_inputs(bundle.manifest):
        raise BundleDamaged(
            f"{bundle.model_path} takes {found}, the manifest says {expected_inputs(bundle.manifest)}; "
            "export the bundle again"
        )
    if outputs.get("embeddings") != ("tensor(float)", [bundle.manifest.dimension]):
        raise BundleDamaged(
            f"{bundle.model_path} gives {outputs}, the manifest says embeddings of {bundle.manifest.dimension} floats; "
            "export the bundle again"
        )


def expected_inputs(manifest: Manifest) -> dict[str, tuple[str, list[int]]]:
    """The graph's inputs by name: onnxruntime's type and the shape after the batch axis."""
    inputs = {"images": ("tensor(uint8)", [manifest.image.height, manifest.image.width, 3])}
    optional = {"camera": manifest.cameras, "view": manifest.views}
    return inputs | {name: ("tensor(int64)", []) for name, names in optional.items() if names}
