"""k-reciprocal re-ranking on sparse neighbour lists.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017. Two images are close if they
are among each other's nearest neighbours and their neighbourhoods are similar (Jaccard distance).

The published code holds several dense matrices of all images by all images: 4 GB for Market-1501, 106 GB for MSMT17.
Only the k1 + 1 nearest neighbours of each image count, so here neighbourhoods are sparse rows, and distances are
computed for a block of queries at a time. Memory is bounded by images * k1 * k2, and by one block of scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from vitreid.scoring.labelled import ScoringError

K1, K2, ORIGINAL_SHARE = 20, 6, 0.3
SCORES_AT_ONCE = 8_000_000  # 32 MB of float32 in one block of scores

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reranking:
    """The parameters of `reranked_distances`; the published ones by default."""

    k1: int = K1
    k2: int = K2
    original_share: float = ORIGINAL_SHARE
    """The paper's lambda."""

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.original_share <= 1:
            raise ScoringError(
                f"re-ranking has k1 {self.k1}, k2 {self.k2} and lambda {self.original_share}; both k are at least 1 "
                "and lambda is 0 to 1"
            )


def reranked_distances(
    query: ArrayLike,
    gallery: ArrayLike,
    *,
    k1: int = K1,
    k2: int = K2,
    original_share: float = ORIGINAL_SHARE,
    sums: type[np.floating] = np.float32,
) -> Iterator[Floats]:
    """Yield distances (B, G) of blocks of (Q, D) queries to (G, D) gallery embeddings, all of unit length.

    A distance is `original_share` times the squared Euclidean distance over the query's largest one, plus the rest
    times the Jaccard distance of the two neighbourhoods: 0..1, lower is better. A neighbourhood is made of the `k1`
    nearest neighbours and averaged over the `k2` nearest images (1: the image itself only). Queries are neighbours as
    well.

    `sums` is the type in which neighbourhoods are compared: float16 rounds like the published code, which changes
    single distances by up to 3e-3.
    """
    queries, images = np.asarray(query, np.float32), np.asarray(gallery, np.float32)
    every = np.concatenate([queries, images])
    nearest, farthest = _neighbours(every, max(k1 + 1, k2))
    weights = _neighbourhoods(every, nearest, farthest, k1)
    if k2 > 1:
        near = nearest[:, :k2]
        weights = csr_array(_rows(near, np.full(near.shape, 1 / near.shape[1], np.float32)) @ weights)
    weights.sort_indices()
    columns = csr_array(weights[len(queries) :].T)  # for each image, the gallery images that have it as a neighbour
    for rows in _blocks(len(queries), len(images)):
        original = _distances(queries[rows] @ images.T) / farthest[rows, None]
        shared = np.stack([_shared(weights, columns, i, sums) for i in range(rows.start, rows.stop)])
        yield original_share * original + (1 - original_share) * (1 - shared / (2 - shared))


def _distances(cosines: Floats) -> Floats:
    return np.maximum(2 - 2 * cosines, 0)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, SCORES_AT_ONCE // max(1, columns))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def _neighbours(every: Floats, count: int) -> tuple[NDArray[np.int32], Floats]:
    """Return the indices (N, count) of each image's nearest, in order, and its largest squared distance (N,)."""
    size = len(every)
    count = min(count, size)
    nearest = np.empty((size, count), np.int32)
    farthest = np.empty(size, np.float32)
    for rows in _blocks(size, size):
        away = -(every[rows] @ every.T)
        farthest[rows] = 2 + 2 * away.max(1)
        away[np.arange(len(away)), np.arange(rows.start, rows.stop)] = -np.inf  # itself first, also among duplicates
        some = np.argpartition(away, count - 1, axis=1)[:, :count]
        order = np.lexsort((some, np.take_along_axis(away, some, 1)), axis=1)
        nearest[rows] = np.take_along_axis(some, order, 1)
    return nearest, np.maximum(farthest, np.finfo(np.float32).tiny)


def _neighbourhoods(every: Floats, nearest: NDArray[np.int32], farthest: Floats, k1: int) -> csr_array:
    """Return sparse (N, N) weights of each image's expanded reciprocal neighbours; each row sums to 1."""
    reciprocal = _reciprocal(nearest[:, : k1 + 1])
    half = _reciprocal(nearest[:, : round(k1 / 2) + 1])
    # A neighbour's own neighbourhood (of half the size) is added if more than two thirds of it are included already.
    common = (reciprocal @ half).multiply(reciprocal).tocoo()
    sizes = np.diff(half.indptr)
    added = 3 * common.data > 2 * sizes[common.col]
    neighbours = csr_array((np.ones(added.sum(), np.float32), (common.row[added], common.col[added])), shape=half.shape)
    expanded = csr_array(reciprocal + neighbours @ half)
    rows = np.repeat(np.arange(len(every)), np.diff(expanded.indptr))
    for part in _blocks(expanded.nnz, every.shape[1]):
        cosines = np.einsum("nd,nd->n", every[rows[part]], every[expanded.indices[part]])
        expanded.data[part] = np.exp(-_distances(cosines) / farthest[rows[part]])
    expanded.data /= np.add.reduceat(expanded.data, expanded.indptr[:-1])[rows]  # no row is empty: each contains itself
    return expanded


def _reciprocal(nearest: NDArray[np.int32]) -> csr_array:
    """Return a sparse (N, N) matrix with 1 for images that are among each other's nearest."""
    forward = _rows(nearest, np.ones(nearest.shape, np.float32))
    return csr_array(forward.multiply(forward.T))


def _rows(columns: NDArray[np.int32], values: Floats) -> csr_array:
    """Return a sparse (N, N) matrix with values (N, count) in these columns of each row."""
    size, count = columns.shape
    return csr_array((values.ravel(), columns.ravel(), np.arange(0, size * count + 1, count)), shape=(size, size))


def _shared(weights: csr_array, columns: csr_array, query: int, sums: type[np.floating]) -> Floats:
    """Return (G,): the sum of the smaller weights of the query's neighbourhood and of each gallery image's."""
    own = slice(weights.indptr[query], weights.indptr[query + 1])
    starts, ends = columns.indptr[weights.indices[own]], columns.indptr[weights.indices[own] + 1]
    lengths = ends - starts
    # The runs starts..ends of all the columns, one after the other.
    entries = np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    smaller = np.minimum(columns.data[entries], np.repeat(weights.data[own], lengths))
    shared = np.zeros(columns.shape[1], sums)
    np.add.at(shared, columns.indices[entries], smaller.astype(sums))
    return shared.astype(np.float32)
