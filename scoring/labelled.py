"""Embeddings with labels, and the scores of queries against a gallery in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SCORES_AT_ONCE = 64_000_000  # 256 MB of float32 in one block; smaller blocks make each product slower


class ScoringError(ValueError):
    """Embeddings and labels that cannot be scored."""

    exit_code = 2


@dataclass(frozen=True)
class Labelled:
    """Unit embeddings (N, D) with the person and camera of each, (N,) of any type that compares by value."""

    embeddings: NDArray[np.float32]
    persons: NDArray[np.generic]
    cameras: NDArray[np.generic]

    @classmethod
    def of(cls, name: str, embeddings: ArrayLike, persons: ArrayLike, cameras: ArrayLike) -> Labelled:
        """Check shapes and values; `name` names the rows in errors.

        Raises ScoringError for different numbers of rows, no rows, and embeddings that are all zeros or not finite.
        """
        rows = cls(np.asarray(embeddings, dtype=np.float32), np.asarray(persons), np.asarray(cameras))
        if rows.embeddings.ndim != 2 or len({len(rows.embeddings), len(rows.persons), len(rows.cameras)}) != 1:
            raise ScoringError(
                f"{name}: {rows.embeddings.shape} embeddings, {rows.persons.shape} persons and {rows.cameras.shape} "
                "cameras do not match; give one row of each per image"
            )
        if not len(rows.embeddings):
            raise ScoringError(f"{name} is empty; give at least one image")
        if not np.isfinite(rows.embeddings).all():
            raise ScoringError(f"{name}: some embeddings are not finite; the model is broken or diverged")
        if not rows.embeddings.any(axis=1).all():
            raise ScoringError(f"{name}: some embeddings are all zeros; the model is broken")
        return rows

    def __len__(self) -> int:
        return len(self.persons)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Labelled:
        """Return the rows with these indices, or of a mask."""
        return Labelled(self.embeddings[rows], self.persons[rows], self.cameras[rows])


def cosine_blocks(query: Labelled, gallery: Labelled) -> Iterator[NDArray[np.float32]]:
    """Yield scores (B, G) of the queries, in order, against the whole gallery; each block is valid until the next one.

    Raises ScoringError for embeddings of different length.
    """
    size, length = query.embeddings.shape
    if length != gallery.embeddings.shape[1]:
        raise ScoringError(
            f"query embeddings have length {length}, gallery embeddings {gallery.embeddings.shape[1]}; "
            "embed both with one model"
        )
    step = min(size, max(1, SCORES_AT_ONCE // len(gallery)))
    space = np.empty((step, len(gallery)), np.float32)  # reused: new memory for each block takes a third longer
    for start in range(0, size, step):
        block = query.embeddings[start : start + step]
        yield np.matmul(block, gallery.embeddings.T, out=space[: len(block)])


def as_numbers(query: NDArray[np.generic], gallery: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Map labels of any type, of queries (Q,) and gallery (G,), to integers from 0; equal labels get equal ones."""
    numbers = np.unique(np.concatenate([query, gallery]), return_inverse=True)[1]
    return numbers[: len(query)], numbers[len(query) :]
