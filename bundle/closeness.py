"""Closeness of embeddings to reference embeddings of the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_SPREAD = 1e-4
"""Below it two images' cosine is 1 to eight digits: float32 does not tell them apart."""


def cosines(found: NDArray[np.floating], expected: NDArray[np.floating]) -> NDArray[np.float64]:
    """The cosine of each row (N, D) with its like; 0 for zeros, -1 for what is not finite."""
    one, other = found.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(invalid="ignore"):  # infinities
        result: NDArray[np.float64] = np.nan_to_num((one * other).sum(1) / lengths.clip(1e-12), nan=-1.0)
    return result


def spread_of(embeddings: NDArray[np.floating]) -> float:
    """The root mean square distance of rows (N, D) from their mean."""
    with np.errstate(invalid="ignore"):
        differences = embeddings - embeddings.mean(0, dtype=np.float64)
    return float(np.sqrt(np.square(differences).sum(1).mean()))


def corrected_cosines(found: NDArray[np.floating], expected: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosines of unit rows (N, D) by the spread of the expected ones: 1 for equal, 0 for as far as other images are.

    Where all embeddings share a direction every cosine is near 1, also that of two different images: the distance to
    the expected row counts as a share of the distance between images. -1 throughout where images hardly differ.
    """
    spread = spread_of(expected)
    if not spread > MIN_SPREAD:  # a NaN compares false
        return np.full(len(expected), -1.0)
    return 1 - (1 - cosines(found, expected)) / spread**2
