"""A query: the embedding of one person's images or of a stored item, with its cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreid.scoring.patches import Foreground
from vitreid.service.errors import EmbeddingRejected, ExplainUnsupported
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import Item
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.explainer import Explainer
from vitreid.service.search.patches import PatchReranker

MIN_LENGTH = 1e-3


def _no_foregrounds() -> Sequence[Foreground]:
    raise ExplainUnsupported("this query has no patches; use rerank=k-reciprocal")


@dataclass(frozen=True, eq=False)
class Query:
    """One person to search for."""

    embedding: NDArray[np.float32]
    """(D,), unit length."""
    images: int = 1
    """Number of images that `embedding` is the mean of."""
    camera_ids: Sequence[str | None] = (None,)
    """The gallery's cameras that took the images; None: unknown."""
    exclude_ids: frozenset[int] = frozenset()
    """Items that the query itself is made of, which are no candidates."""
    foregrounds: Callable[[], Sequence[Foreground]] = _no_foregrounds
    """Computes the foreground patches of the images, for re-ranking by patches: a run of the model."""


def mean_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of (N, D) unit embeddings as a unit embedding (D,).

    Raises EmbeddingRejected for images so different that they cancel each other out.
    """
    if len(embeddings) == 1:
        return np.asarray(embeddings[0])
    mean = embeddings.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if length < MIN_LENGTH:
        raise EmbeddingRejected(
            f"the mean of {len(embeddings)} embeddings has the length {length:.1e}: these images have nothing in "
            "common; send images of one person"
        )
    return np.asarray(mean / length, dtype=np.float32)


def query_of_images(
    embedder: Embedder,
    explainer: Explainer,
    pixels: Sequence[NDArray[np.uint8]],
    camera_ids: Sequence[str | None],
    model_cameras: Mapping[str, str],
) -> Query:
    """Make a query of prepared images of one person, taken by these cameras of a gallery (None: unknown).

    `model_cameras` maps the gallery's cameras to those of the model. Raises EmbeddingRejected.
    """
    learned = [None if camera_id is None else model_cameras.get(camera_id) for camera_id in camera_ids]
    return Query(
        mean_embedding(embedder.run(pixels, learned)),
        images=len(pixels),
        camera_ids=camera_ids,
        foregrounds=lambda: explainer.foreground(pixels, learned),
    )


def query_of_item(
    gallery: Gallery,
    item: Item,
    patches: PatchReranker,
    *,
    track: bool = False,
    restrict: Callable[[Filter], Filter] = lambda where: where,
) -> Query:
    """Make a query of a stored item or, with `track`, of all items of its track that `restrict` leaves visible.

    Raises ItemNotFound.
    """
    ids = [item.id]
    if track and item.track_id is not None:
        ids = gallery.ids(restrict(Filter(track_id=item.track_id)))
    return Query(
        mean_embedding(gallery.embeddings(ids)),
        images=len(ids),
        camera_ids=(item.camera_id,),
        exclude_ids=frozenset(ids),
        foregrounds=lambda: patches.foregrounds(gallery, [item.id]),
    )
