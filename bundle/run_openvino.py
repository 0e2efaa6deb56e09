"""The OpenVINO runner on the CPU, in float32 or, if the processor supports it, in bfloat16."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.cores import cores
from vitreid.bundle.errors import BundleDamaged, RuntimeMissing
from vitreid.bundle.extras import install_command
from vitreid.bundle.manifest import Bundle
from vitreid.bundle.run import check_graph, feed_of

if TYPE_CHECKING:
    from openvino import ConstOutput, Core, InferRequest, Model

HINTS = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's names of precisions, as settings."""

CAPABILITIES = {"fp32": "FP32", "bf16": "BF16"}
"""OpenVINO's names of precisions, as capabilities of a processor."""

_STARTING = threading.Lock()

ANY = 0
"""A batch size that stands for any number of images."""

TYPES = {"u8": "tensor(uint8)", "i64": "tensor(int64)", "f32": "tensor(float)"}


class OpenVinoRunner:
    """A bundle in OpenVINO, which embeds images like BundleRunner.

    `threads` is the number of cores of one run; by default all that the process may use. `precision` is that of the
    computation; the weights stay as they are in the file. Batches of a size in `batches` are faster than others, single
    images by a quarter; each such size costs as much memory as the model. Several threads may run it at the same time.

    Raises RuntimeMissing if OpenVINO is missing or the processor does not support the precision, and BundleDamaged if
    the graph does not load or its inputs and outputs do not match the manifest.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        precision: str = "fp32",
        batches: Iterable[int] = (),
    ) -> None:
        self.manifest = bundle.manifest
        core = open_core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",  # one run at a time takes all threads
            "INFERENCE_NUM_THREADS": threads or cores(),
            "INFERENCE_PRECISION_HINT": _hint(core, precision),
            "ENABLE_CPU_PINNING": False,  # two services on one machine would share their first cores
        }
        graph = _read(core, bundle)
        self._inputs = [port.any_name for port in graph.inputs]
        try:
            self._models = {
                size: core.compile_model(_of_size(graph, size), "CPU", settings) for size in {ANY, *batches}
            }
        except RuntimeError as error:
            raise _does_not_load(bundle, error) from error
        self._requests = _Requests()

    def run(
        self,
        images: NDArray[np.uint8],
        cameras: NDArray[np.int64] | None = None,
        views: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """Embed uint8 (B, height, width, 3) images; cameras and views are (B,) indices, -1 = unknown.

        Returns unit rows (B, dimension). A model without such inputs ignores cameras and views.
        """
        if not len(images):
            return np.empty((0, self.manifest.dimension), dtype=np.float32)  # OpenVINO would return the previous ones
        feed = feed_of(self._inputs, images, cameras, views)
        embeddings: NDArray[np.float32] = self._request(len(images)).infer(feed, share_inputs=True)["embeddings"]
        return embeddings

    def _request(self, batch: int) -> InferRequest:
        """Return this thread's own request for batches of this size."""
        size = batch if batch in self._models else ANY
        if size not in self._requests.by_size:
            self._requests.by_size[size] = self._models[size].create_infer_request()
        return self._requests.by_size[size]


class _Requests(threading.local):
    """The requests of one thread by batch size, each made when first needed; a request holds the tensors of a run."""

    def __init__(self) -> None:
        self.by_size: dict[int, InferRequest] = {}


def _hint(core: Core, precision: str) -> str:
    """Return OpenVINO's setting for a precision; without it, OpenVINO takes the fastest one of the processor."""
    if precision not in (supported := _precisions(core)):
        here = "on this processor " if precision in HINTS else ""
        raise RuntimeMissing(f"OpenVINO {here}does not compute in {precision}; choose one of {', '.join(supported)}")
    return HINTS[precision]


def _read(core: Core, bundle: Bundle) -> Model:
    try:
        graph = core.read_model(bundle.model_path)
    except RuntimeError as error:
        raise _does_not_load(bundle, error) from error
    check_graph(bundle, *({port.any_name: _type(port) for port in ports} for ports in (graph.inputs, graph.outputs)))
    return graph


def _of_size(graph: Model, size: int) -> Model:
    """Return the graph for batches of this size only."""
    if size == ANY:
        return graph
    fixed = graph.clone()
    fixed.reshape({port: [size, *list(port.partial_shape)[1:]] for port in fixed.inputs})
    return fixed


def _does_not_load(bundle: Bundle, error: Exception) -> BundleDamaged:
    reason = " ".join(str(error).split())[:300]
    return BundleDamaged(f"{bundle.model_path} does not load in OpenVINO ({reason}); choose another runtime")


def precisions() -> list[str]:
    """Return the precisions that OpenVINO supports on this processor. Raises RuntimeMissing without OpenVINO."""
    return _precisions(open_core())


def _precisions(core: Core) -> list[str]:
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for name in HINTS if CAPABILITIES[name] in capabilities]


def open_core() -> Core:
    """Return the process's only OpenVINO core, without telemetry. Raises RuntimeMissing if OpenVINO is not installed.

    The core is never freed. To use AMX it gives the thread that starts it a signal stack and frees that stack with
    itself; if another thread released the core last, the stack would still be in use, and the next signal would crash
    the process.
    """
    # Importing openvino imports openvino_telemetry, which writes an id into the home folder and, in a process of its
    # own, reports to an analytics server. Without such a module it does neither.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # the documented way to block an import
    try:
        from openvino import Core
    except ModuleNotFoundError as error:
        raise RuntimeMissing(f"openvino is not installed; {install_command('openvino')}") from error
    with _STARTING:
        return _started(Core)


@cache
def _started(core: type[Core]) -> Core:
    return core()


def _type(port: ConstOutput) -> tuple[str, list[int]]:
    name = port.element_type.get_type_name()
    sizes = [each.get_length() if each.is_static else -1 for each in port.partial_shape]
    return TYPES.get(name, name), sizes[1:]
