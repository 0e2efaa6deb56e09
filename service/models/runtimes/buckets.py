"""Runs of a few sizes only, in memory that lies on the device: what a GPU is fast with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Manifest
from vitreid.bundle.run import expected_inputs, feed_of, load_onnxruntime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def bucket_sizes(max_batch: int) -> list[int]:
    """1, 2, 4, ... up to the first that holds `max_batch` images."""
    return [2**power for power in range((max_batch - 1).bit_length() + 1)]


class BucketedRuntime:
    """A session whose runs are 1, 2, 4, ... images: others are filled up with black ones, or cut.

    A GPU chooses its kernels and reserves its memory by shape, so it has seen all of them before the first request.
    Inputs and outputs stay where they are on the `device` ("cuda"; "cpu" in tests) and are copied once each way.
    """

    threads: int | None = None

    def __init__(
        self, session: InferenceSession, manifest: Manifest, *, provider: str, max_batch: int, device: str = "cuda"
    ) -> None:
        self.provider = provider
        self.precision = manifest.precision
        self._manifest = manifest
        self._lock = threading.Lock()  # the buckets' memory is that of one run
        self._buckets = {size: _Bucket(session, manifest, device, size) for size in bucket_sizes(max_batch)}
        image = manifest.image
        for size in self._buckets:  # now, and not on the first request
            self.run(np.zeros((size, image.height, image.width, 3), np.uint8), np.full(size, -1, np.int64))

    def run(self, images: NDArray[np.uint8], cameras: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, D) embeddings of any number of (B, height, width, 3) images; cameras (B,), -1 = unknown."""
        embeddings = np.empty((len(images), self._manifest.dimension), dtype=np.float32)
        largest = max(self._buckets)
        with self._lock:
            for start in range(0, len(images), largest):
                part = slice(start, start + largest)
                feed = feed_of(expected_inputs(self._manifest), images[part], cameras[part])
                bucket = next(size for size in self._buckets if size >= len(feed["images"]))
                embeddings[part] = self._buckets[bucket].run(feed)
        return embeddings


class _Bucket:
    """The memory of runs of one size, bound to a session's inputs and output."""

    def __init__(self, session: InferenceSession, manifest: Manifest, device: str, size: int) -> None:
        onnxruntime = load_onnxruntime()
        image = manifest.image
        blank = np.zeros((size, image.height, image.width, 3), dtype=np.uint8)
        self._session = session
        self._filled = feed_of(expected_inputs(manifest), blank)
        self._inputs = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(value, device, 0) for name, value in self._filled.items()
        }
        self._output = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            [size, manifest.dimension], np.float32, device, 0
        )
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output("embeddings", self._output)

    def run(self, feed: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The embeddings of what is fed, at most as many as the bucket's size."""
        for name, value in feed.items():
            self._filled[name][: len(value)] = value
            self._inputs[name].update_inplace(self._filled[name])
        self._session.run_with_iobinding(self._binding)
        embeddings: NDArray[np.float32] = self._output.numpy()[: len(feed["images"])]
        return embeddings
