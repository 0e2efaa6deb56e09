"""One embedding for several images of one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import EmbeddingRejected
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.gallery import Gallery

SHORTEST = 1e-3


def mean_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of (N, D) unit embeddings as a unit embedding (D,).

    Raises EmbeddingRejected for images so different that they cancel each other out.
    """
    if len(embeddings) == 1:
        return np.asarray(embeddings[0])
    mean = embeddings.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if length < SHORTEST:
        raise EmbeddingRejected(
            f"the mean of {len(embeddings)} embeddings has the length {length:.1e}: these images have nothing in "
            "common; send images of one person"
        )
    return np.asarray(mean / length, dtype=np.float32)


def expanded(
    gallery: Gallery, embedding: NDArray[np.float32], count: int, *, where: Filter, min_score: float | None
) -> NDArray[np.float32]:
    """Average query expansion: the mean (D,) of a query and its best `count` items of at least `min_score`.

    Chum et al., "Total Recall: Automatic Query Expansion with a Generative Feature Model", ICCV 2007. Raises
    ItemNotFound for an item that was deleted meanwhile.
    """
    [matches] = gallery.search(embedding[None], count, where=where, min_score=min_score)
    if not matches:
        return embedding
    found = gallery.embeddings([match.item.id for match in matches])
    return mean_embedding(np.concatenate([embedding[None], found]))
