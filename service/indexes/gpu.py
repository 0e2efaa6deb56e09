"""Exact search on a GPU, with a twin on the CPU for what a GPU index cannot do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from vitreid.bundle.extras import gpu_command
from vitreid.service.errors import ServiceError
from vitreid.service.indexes.columns import Positions, mask_of
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.flat import FlatIndex
from vitreid.service.indexes.protocol import NO_ID, Allowed, Floats, Ids, Parameters, empty_result

MAX_K = 2048  # results of a search that faiss allows on a GPU
SPARE = 32  # results beyond those expected to be enough
SCRATCH_BYTES = 256 << 20  # faiss would take 1.5 GB of the GPU for each index
GARBAGE_SHARE = 0.1  # of the copy, from which it is made again
MIN_GARBAGE = 1000


class GpuMissing(ServiceError):
    """The installed faiss, or this machine, cannot search on a GPU."""

    slug = "gpu-missing"
    status = 503


def gpu_problem() -> str | None:
    """Return why no GPU can be used, or None where one can."""
    faiss = load_faiss()
    if not hasattr(faiss, "StandardGpuResources"):
        return f"the installed faiss has no GPU support; {gpu_command()}"
    if not faiss.get_num_gpus():
        return "faiss sees no GPU: check the driver with nvidia-smi, and that the container has access to one"
    return None


def gpu_copy(dimension: int) -> Any:
    """Return an empty faiss index in the memory of the first GPU. Raises GpuMissing."""
    problem = gpu_problem()
    if problem:
        raise GpuMissing(f"no index of kind gpu: {problem}; or choose flat or ivf")
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(SCRATCH_BYTES)
    return faiss.GpuIndexFlatIP(resources, dimension)


class GpuIndex:
    """faiss's flat index on a GPU.

    It can neither remove nor filter. So the copy on the GPU is searched for more than k, removed and filtered rows are
    masked out, and where too few are left, the twin on the CPU is searched: both are exact.
    """

    kind: ClassVar[str] = "gpu"
    exact_scores: ClassVar[bool] = True

    def __init__(self, twin: FlatIndex) -> None:
        self._twin = twin
        self._lock = threading.Lock()  # a GPU index does one thing at a time
        self._renew()

    @classmethod
    def build(cls, dimension: int, ids: Ids, embeddings: Floats) -> Self:
        """Build an index of (N, D) embeddings under (N,) ids. Raises GpuMissing."""
        return cls(FlatIndex.build(dimension, ids, embeddings))

    @classmethod
    def load(cls, path: Path, dimension: int, slots: int | None = None) -> Self:
        """Load what `save`, or a flat index, wrote. Raises IndexDamaged, GpuMissing."""
        return cls(FlatIndex.load(path, dimension, slots))

    def save(self, path: Path) -> None:
        """Write the twin, and free what was removed from the GPU."""
        if self.garbage:
            self._renew()
        self._twin.save(path)

    def __len__(self) -> int:
        return len(self._twin)

    @property
    def garbage(self) -> int:
        """Removed embeddings that are still on the GPU."""
        return len(self._positions) - len(self)

    @property
    def memory_bytes(self) -> int:
        """On the CPU; about as much again lies on the GPU."""
        return self._twin.memory_bytes + self._positions.nbytes

    @property
    def parameters(self) -> Parameters:
        """Empty: there is nothing to tune."""
        return {}

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Add (N, D) embeddings under (N,) new ids."""
        self._twin.add(ids, embeddings)
        self._put(ids, embeddings)

    def remove(self, ids: Ids) -> None:
        """Remove these ids; unknown ids are ignored. The copy is made again where much of it is garbage."""
        self._twin.remove(ids)
        self._positions.forget(self._positions.find(ids))
        if self.garbage > max(MIN_GARBAGE, GARBAGE_SHARE * len(self._positions)):
            self._renew()

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Return scores and ids, both (Q, min(k, len)), best first."""
        k, left, held = min(k, len(self)), len(self), len(self._positions)
        if allowed is not None:
            left = int(np.count_nonzero(self._twin.members(allowed)))
        if not left or not len(embeddings):
            return empty_result(len(embeddings), k)
        depth = min(held, -(-k * held // left) + SPARE)
        if depth > MAX_K:
            return self._twin.search(embeddings, k, allowed)
        queries = np.ascontiguousarray(embeddings, dtype=np.float32)
        with self._lock:
            scores, rows = self._copy.search(queries, depth)
        scores, ids = self._mask_out(scores, rows, k, allowed)
        short = ids[:, min(k, left) - 1] < 0
        if short.any():
            scores[short], ids[short] = self._twin.search(queries[short], k, allowed)
        return scores, ids

    def _mask_out(self, scores: Floats, rows: Ids, k: int, allowed: Allowed | None) -> tuple[Floats, Ids]:
        """Return the first k of each row, (Q, depth), that are live and allowed."""
        good = self._positions.current(rows)
        ids = self._positions.ids[rows]
        if allowed is not None:
            good &= mask_of(ids, allowed)
        order = np.argsort(~good, axis=1, kind="stable")[:, :k]
        scores = np.where(good, scores, np.float32(-np.inf))
        ids = np.where(good, ids, NO_ID)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)

    def _put(self, ids: Ids, embeddings: Floats) -> None:
        if len(ids):
            with self._lock:
                self._copy.add(np.ascontiguousarray(embeddings, dtype=np.float32))
            self._positions.append(ids)

    def _renew(self) -> None:
        """Make the copy on the GPU from the twin."""
        self._copy: Any = None  # the GPU may not have room for both
        self._copy = gpu_copy(self._twin.dimension)
        self._positions = Positions()
        self._put(*self._twin.rows)
