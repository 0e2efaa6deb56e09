"""Comparison of a runtime's embeddings with those of the model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Manifest, Parity
from vitreid.bundle.closeness import MIN_SPREAD, corrected_cosines, cosines, spread_of
from vitreid.export.errors import ParityError
from vitreid.export.parity_runtimes import REFERENCE

BATCHES = (1, 2, 7, 32)  # a graph whose batch axis is not really dynamic fails on the second of them


def batches(count: int) -> Iterator[slice]:
    """Yield the rows to embed at once: all sizes in turn."""
    begin = 0
    for size in itertools.cycle(BATCHES):
        if begin >= count:
            return
        yield slice(begin, begin + size)
        begin += size


def sides_of(manifest: Manifest, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cameras and views (count,) that run through all known ones, -1 and one index too many."""
    numbers = np.arange(count)
    cameras, views = len(manifest.cameras) + 2, len(manifest.views) + 2
    return numbers % cameras - 1, numbers // cameras % views - 1


def compare(
    found: NDArray[np.float32], expected: NDArray[np.float32], precision: str, *, runtime: str | None = None
) -> Parity:
    """Compare unit rows (N, D) of a `runtime`, by default the reference: cosines and the maximum difference.

    Raises ParityError if the expected embeddings are the same for all images, as any network could produce.
    """
    spread = spread_of(expected)
    if not spread > MIN_SPREAD:
        raise ParityError(
            f"the model's embeddings of {len(expected)} images do not differ, so they cannot be compared with "
            "another runtime's; give a folder of different images as --images"
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
