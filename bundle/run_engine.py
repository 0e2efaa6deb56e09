"""The runner of a bundle's TensorRT engine on the first GPU. It builds nothing; TensorRT 10 and 11 work."""

from __future__ import annotations

import importlib
import re
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.errors import BundleDamaged, RuntimeMissing
from vitreid.bundle.gpu import Gpu, first_gpu
from vitreid.bundle.manifest import Bundle, Manifest
from vitreid.bundle.run import expected_inputs, feed_of

OUTPUT = "embeddings"


class EngineRunner:
    """A TensorRT engine, which embeds images like BundleRunner.

    Batches larger than the engine was built for are split. Several threads may run it at the same time; their runs are
    executed one after the other.

    Raises RuntimeMissing if TensorRT, cuda-python or the GPU is missing, and BundleDamaged if the engine does not load
    on this machine or was not built from this bundle's graph.
    """

    def __init__(self, manifest: Manifest, engine: bytes) -> None:
        self.manifest = manifest
        self._cuda = _import("cuda.bindings.runtime", "cuda-python")
        trt = load_tensorrt()
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))  # lives as long as its engine
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise BundleDamaged(
                f"the engine does not load in TensorRT {trt.__version__} on this GPU; build it again with "
                "`vitreid export tensorrt`"
            )
        self._inputs = expected_inputs(manifest)
        self._check_names()
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise RuntimeMissing("the GPU has not enough memory for the engine; build one with a smaller --max-batch")
        self._largest = int(self._engine.get_tensor_profile_shape("images", 0)[2][0])
        self._lock = threading.Lock()  # context and memory serve one run at a time
        [self._stream] = self._call(self._cuda.cudaStreamCreate())
        self._memory = {name: self._call(self._cuda.cudaMalloc(size))[0] for name, size in self._sizes().items()}
        for name, address in self._memory.items():
            self._context.set_tensor_address(name, int(address))

    @classmethod
    def open(cls, bundle: Bundle) -> EngineRunner:
        """Open the bundle's engine for this GPU and TensorRT. Raises RuntimeMissing if it has none."""
        name = engine_name(bundle.manifest, first_gpu(), load_tensorrt().__version__)
        if name not in bundle.manifest.files:
            others = [each for each in bundle.manifest.files if each.startswith("engines/")]
            raise RuntimeMissing(
                f"{bundle.path} has no {name} (but {', '.join(others) or 'no engines'}); build it on this machine with "
                "`vitreid export tensorrt`"
            )
        return cls(bundle.manifest, (bundle.path / name).read_bytes())

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
        embeddings = np.empty((len(images), self.manifest.dimension), dtype=np.float32)
        with self._lock:
            for start in range(0, len(images), self._largest):
                part = slice(start, start + self._largest)
                self._run({name: np.ascontiguousarray(value[part]) for name, value in feed.items()}, embeddings[part])
        return embeddings

    def _run(self, feed: dict[str, NDArray[Any]], embeddings: NDArray[np.float32]) -> None:
        cuda = self._cuda
        for name, value in feed.items():
            self._context.set_input_shape(name, value.shape)
            self._copy(self._memory[name], value.ctypes.data, value.nbytes, cuda.cudaMemcpyKind.cudaMemcpyHostToDevice)
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError("TensorRT could not run the engine; it logs the reason on stderr")
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(embeddings.ctypes.data, self._memory[OUTPUT], embeddings.nbytes, kind)
        self._call(cuda.cudaStreamSynchronize(self._stream))

    def _copy(self, target: Any, source: Any, size: int, kind: Any) -> None:
        self._call(self._cuda.cudaMemcpyAsync(target, source, size, kind, self._stream))

    def _call(self, result: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the results of a CUDA function without its error code. Raises RuntimeMissing if that is not 0."""
        code, *values = result
        if int(code):
            raise RuntimeMissing(f"the GPU cannot be used (CUDA error {int(code)}); check nvidia-smi for its memory")
        return tuple(values)

    def _check_names(self) -> None:
        found = {self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)}
        if found != {*self._inputs, OUTPUT}:
            raise BundleDamaged(
                f"the engine has {', '.join(sorted(found))}; the bundle's graph has "
                f"{', '.join([*self._inputs, OUTPUT])}; build it again with `vitreid export tensorrt`"
            )

    def _sizes(self) -> dict[str, int]:
        """Return the bytes of each input and of the output for the largest batch."""
        image = self.manifest.image
        blank = np.zeros((1, image.height, image.width, 3), dtype=np.uint8)
        sizes = {name: value.nbytes for name, value in feed_of(self._inputs, blank).items()}
        return {name: self._largest * size for name, size in (sizes | {OUTPUT: 4 * self.manifest.dimension}).items()}


def engine_name(manifest: Manifest, gpu: Gpu, tensorrt: str) -> str:
    """Return the file name of a bundle's engine; an engine loads only on its GPU and TensorRT version."""
    return f"engines/{re.sub('[^A-Za-z0-9]+', '-', gpu.name)}-{tensorrt}-{manifest.precision}.engine"


def load_tensorrt() -> Any:
    """Import `tensorrt`. Raises RuntimeMissing."""
    return _import("tensorrt", "tensorrt-cu13")


def _import(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RuntimeMissing(f"{module} cannot be imported ({error}): pip install {package}") from error
