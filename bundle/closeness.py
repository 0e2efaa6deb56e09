"""Closeness of embeddings to reference embeddings of the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_SPREAD = 1e-4
"""Below it, the cosine of two images is 1 to eight digits: float32 cannot distinguish them."""


def cosines(found: NDArray[np.floating], expected: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine (N,) of each row (N, D) with its counterpart; 0 for zero rows, -1 for NaN and Inf."""
    one, other = found.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(invalid="ignore"):  # infinities
        result: NDArray[np.float64] = np.nan_to_num((one * other).sum(1) / lengths.clip(1e-12), nan=-1.0)
    return result


def spread_of(embeddings: NDArray[np.floating]) -> float:
    """Return the root mean square distance of rows (N, D) from their mean."""
    with np.errstate(invalid="ignore"):
        differences = embeddings - embeddings.mean(0, dtype=np.float64)
    return float(np.sqrt(np.square(differences).sum(1).mean()))


def corrected_cosines(found: NDArray[np.floating], expected: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return cosines (N,) of unit rows corrected by the spread of `expected`: 1 for equal, 0 for a different image.

    If all embeddings share a direction, every cosine is near 1, even between different images. Therefore the distance
    to the expected row is divided by the distance between images. All are -1 if the images hardly differ.
    """
    spread = spread_of(expected)
    if not spread > MIN_SPREAD:  # a NaN compares false
        return np.full(len(expected), -1.0)
    return 1 - (1 - cosines(found, expected)) / spread**2
