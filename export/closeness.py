"""Comparison of a runtime's embeddings with those of the model, torch or not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Manifest, Parity
from vitreid.bundle.closeness import MIN_SPREAD, corrected_cosines, cosines, spread_of
from vitreid.export.errors import ParityError
from vitreid.export.ways import REFERENCE

BATCHES = (1, 2, 7, 32)  # a graph whose batch axis is not really dynamic fails on the second of them


def batches(count: int) -> Iterator[slice]:
    """Rows to embed at once: all sizes in turn."""
    begin = 0
    for size in itertools.cycle(BATCHES):
        if begin >= count:
            return
        yield slice(begin, begin + size)
        begin += size


def sides_of(manifest: Manifest, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cameras and views (count,) that go through all known ones, -1 and one index too many."""
    numbers = np.arange(count)
    cameras, views = len(manifest.cameras) + 2, len(manifest.views) + 2
    return numbers % cameras - 1, numbers // cameras % views - 1


def compare(
    found: NDArray[np.float32], expected: NDArray[np.float32], precision: str, *, runtime: str | None = None
) -> Parity:
    """The largest difference of a component, and the cosines, of unit rows (N, D); by default of the reference's.

    Raises ParityError where the expected embeddings are the same for all images, which any network would give.
    """
    spread = spread_of(expected)
    if not spread > MIN_SPREAD:
        raise ParityError(
            f"the model's embeddings of {len(expected)} images do not differ, so they cannot show how near another "
            "runtime is; give a folder of different images as --images"
        )
    # A NaN would make every comparison false, and so pass as small.
    difference = float(np.abs(found - expected).max()) if np.isfinite(found).all() else float("inf")
    plain, corrected = cosines(found, expected), corrected_cosines(found, expected)
    return Parity(
        runtime=runtime or REFERENCE.name(),
        precision=precision,
        images=len(found),
        max_abs_difference=difference,
        min_cosine=float(plain.min()),
        mean_cosine=float(plain.mean()),
        spread=spread,
        min_corrected_cosine=float(corrected.min()),
        mean_corrected_cosine=float(corrected.mean()),
    )
