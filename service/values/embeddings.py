"""Checks that embeddings are finite, of the right shape and of unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import EmbeddingRejected

UNIT_TOLERANCE = 1e-3


def check_embeddings(embeddings: Sequence[NDArray[np.floating]], dimension: int) -> None:
    """Raise EmbeddingRejected unless each is (dimension,), finite and of unit length."""
    if (fault := embedding_fault(embeddings, dimension)) is not None:
        place, reason = fault
        raise EmbeddingRejected(
            f"embedding {place} {reason}; allowed are ({dimension},) finite numbers of length 1 "
            f"within {UNIT_TOLERANCE}, as the gallery's bundle gives them; nothing was done"
        )


def embedding_fault(embeddings: Sequence[NDArray[np.floating]], dimension: int) -> tuple[int, str] | None:
    """Position of the first unusable embedding and what is wrong with it, or None."""
    for place, embedding in enumerate(embeddings):
        if embedding.shape != (dimension,):
            return place, f"has shape {embedding.shape}, not ({dimension},)"
    if not len(embeddings):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(np.stack(embeddings).astype(np.float64), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))  # a NaN compares false
    if not len(wrong):
        return None
    place = int(wrong[0])
    return place, f"has length {lengths[place]:.4g}, not 1" if np.isfinite(lengths[place]) else "is not finite"
