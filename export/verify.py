"""Is the bundle the model that was trained? Embeddings of the same pictures, compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray

from bundle import Bundle, BundleRunner, Manifest, Parity
from export.errors import ParityError
from export.graph import EmbeddingGraph

MAX_ABS_DIFFERENCE = 1e-5
MIN_COSINE = 0.99999
BATCHES = (1, 2, 7, 32)  # a graph whose batch axis is not really dynamic fails on the second of them


def measure_parity(bundle: Bundle, graph: EmbeddingGraph, images: NDArray[np.uint8]) -> Parity:
    """Embed `images` (N, H, W, 3) with both, in batches of several sizes, and measure the difference.

    They are said to come from every camera and view that the bundle knows, and from some that it does not.
    """
    runner = BundleRunner(bundle)
    cameras, views = sides_of(bundle.manifest, len(images))
    found: list[NDArray[np.float32]] = []
    expected: list[NDArray[np.float32]] = []
    for rows in batches(len(images)):
        seen = images[rows], cameras[rows], views[rows]
        found.append(runner.run(*seen))
        with torch.inference_mode():
            expected.append(graph(*map(torch.from_numpy, seen)).numpy())
    return compare(np.concatenate(found), np.concatenate(expected), bundle.manifest.precision)


def sides_of(manifest: Manifest, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cameras and views (count,) that go through all known ones, -1 and one index too many."""
    numbers = np.arange(count)
    cameras, views = len(manifest.cameras) + 2, len(manifest.views) + 2
    return numbers % cameras - 1, numbers // cameras % views - 1


def batches(count: int) -> Iterator[slice]:
    """Rows to embed at once: all sizes in turn."""
    begin = 0
    for size in itertools.cycle(BATCHES):
        if begin >= count:
            return
        yield slice(begin, begin + size)
        begin += size


def check_sanity(bundle: Bundle, images: NDArray[np.uint8]) -> None:
    """Embed pictures (N, H, W, 3) and check what any embedding must satisfy.

    Raises ParityError for values that are not finite, rows that are not of unit length, embeddings that depend on
    the other pictures of their batch, and a model to which all pictures are alike.
    """
    runner = BundleRunner(bundle)
    together = runner.run(images)
    alone = np.concatenate([runner.run(images[i : i + 1]) for i in range(len(images))])
    faults = {
        "are not finite": not np.isfinite(together).all(),
        "are not of unit length": np.abs(np.linalg.norm(together, axis=1) - 1).max() > 1e-4,
        "change with the pictures beside them": np.abs(together - alone).max() > 1e-4,
        "are the same for all pictures": len(images) > 1 and together.std(0).max() < 1e-6,
    }
    if found := [fault for fault, present in faults.items() if present]:
        raise ParityError(f"{bundle.path}: embeddings {' and '.join(found)}; export the bundle again")


def compare(found: NDArray[np.float32], expected: NDArray[np.float32], precision: str) -> Parity:
    """The largest difference of a component and the smallest cosine of unit rows (N, D)."""
    # A NaN would make every comparison false, and so pass as small.
    difference = float(np.abs(found - expected).max()) if np.isfinite(found).all() else float("inf")
    cosines = (found.astype(np.float64) * expected).sum(1) / np.linalg.norm(found.astype(np.float64), axis=1).clip(
        1e-12
    )
    cosines /= np.linalg.norm(expected.astype(np.float64), axis=1)
    return Parity(
        runtime=f"onnxruntime {version('onnxruntime')} CPU",
        precision=precision,
        images=len(found),
        max_abs_difference=difference,
        min_cosine=float(np.nan_to_num(cosines, nan=-1.0).min()),
    )


def check_parity(parity: Parity) -> None:
    """Raises ParityError where the difference is larger than fp32 arithmetic explains."""
    if parity.max_abs_difference > MAX_ABS_DIFFERENCE or parity.min_cosine < MIN_COSINE:
        raise ParityError(
            f"{parity.runtime} differs from torch on {parity.images} pictures: by {parity.max_abs_difference:.2e} "
            f"(at most {MAX_ABS_DIFFERENCE:.0e} allowed), cosine {parity.min_cosine:.7f} (at least {MIN_COSINE} "
            "needed); the bundle would not be the trained model, so none was kept"
        )
