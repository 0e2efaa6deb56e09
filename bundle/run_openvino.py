"""The other way to run a bundle: OpenVINO on the CPU, in float32 or, where the processor has it, in bfloat16."""

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
"""The precisions that OpenVINO may compute in, and what it calls them when it is told to."""

CAPABILITIES = {"fp32": "FP32", "bf16": "BF16"}
"""What it calls them when it tells what a processor can do."""

_STARTING = threading.Lock()

ANY = 0
"""Instead of a number of images: as many as there are."""

TYPES = {"u8": "tensor(uint8)", "i64": "tensor(int64)", "f32": "tensor(float)"}


class OpenVinoRunner:
    """Embeds images with a bundle, as BundleRunner does.

    `threads` is the number of cores one run uses; by default all that it may. `precision` is what the graph is computed
    in: its weights stay as they are in the file. Runs of a size in `batches` are faster than others, those of single
    images by a quarter; each such size costs as much memory as the model. Runs may overlap from several threads.

    Raises RuntimeMissing where OpenVINO or, for bf16, the processor cannot, BundleDamaged where the graph does not load
    or has other inputs or outputs than the manifest says.
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

        Returns unit rows (B, dimension). Cameras and views are ignored by a model without such an input.
        """
        if not len(images):
            return np.empty((0, self.manifest.dimension), dtype=np.float32)  # OpenVINO would give those of before
        feed = feed_of(self._inputs, images, cameras, views)
        embeddings: NDArray[np.float32] = self._request(len(images)).infer(feed, share_inputs=True)["embeddings"]
        return embeddings

    def _request(self, batch: int) -> InferRequest:
        """This thread's own request for runs of so many images."""
        size = batch if batch in self._models else ANY
        if size not in self._requests.by_size:
            self._requests.by_size[size] = self._models[size].create_infer_request()
        return self._requests.by_size[size]


class _Requests(threading.local):
    """A thread's own, each made when it is first needed: a request holds the tensors of one run."""

    def __init__(self) -> None:
        self.by_size: dict[int, InferRequest] = {}


def _hint(core: Core, precision: str) -> str:
    """Without it, OpenVINO computes in what the processor does fastest."""
    if precision not in (able := _precisions(core)):
        here = "on this processor " if precision in HINTS else ""
        raise RuntimeMissing(f"OpenVINO {here}does not compute in {precision}: choose one of {', '.join(able)}")
    return HINTS[precision]


def _read(core: Core, bundle: Bundle) -> Model:
    try:
        graph = core.read_model(bundle.model_path)
    except RuntimeError as error:
        raise _does_not_load(bundle, error) from error
    check_graph(bundle, *({port.any_name: _type(port) for port in ports} for ports in (graph.inputs, graph.outputs)))
    return graph


def _of_size(graph: Model, size: int) -> Model:
    """The graph for runs of so many images only."""
    if size == ANY:
        return graph
    fixed = graph.clone()
    fixed.reshape({port: [size, *list(port.partial_shape)[1:]] for port in fixed.inputs})
    return fixed


def _does_not_load(bundle: Bundle, error: Exception) -> BundleDamaged:
    reason = " ".join(str(error).split())[:300]
    return BundleDamaged(f"{bundle.model_path} does not load in OpenVINO ({reason}); choose another runtime")


def precisions() -> list[str]:
    """What OpenVINO computes in on this processor. Raises RuntimeMissing where it is not installed."""
    return _precisions(open_core())


def _precisions(core: Core) -> list[str]:
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for name in HINTS if CAPABILITIES[name] in able]


def open_core() -> Core:
    """This process's OpenVINO, which tells nobody that it was started. Raises RuntimeMissing where it is not installed.

    There is one, and it stays. To use AMX it gives the thread that starts it a stack for signals, which it frees with
    itself; where another thread is the last to let go of it, that stack stays in use, and the next signal is the end.
    """
    # Importing openvino imports openvino_telemetry, which writes an id into the home folder and, in a process of its
    # own, reports to an analytics server. Where there is no such module it does neither.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # the documented way to say "not there"
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
