"""The foreground of images, by which candidates are compared once more, patch by patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageError, read_image
from vitreid.scoring.patches import Foreground, patch_scores, with_patches
from vitreid.service.gallery.errors import ImagesMissing
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.models.explainer import Explainer


@dataclass(frozen=True)
class PatchReranker:
    """How patches are looked at, and the query's own: asked for only where they are needed, which takes a model run."""

    explainer: Explainer
    prepare: Callable[[Image.Image], NDArray[np.uint8]]
    query: Callable[[], Sequence[Foreground]]
    """Of each image that the query is made of."""

    def distances(self, gallery: Gallery, ids: Sequence[int], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances (N,), 0..1, of the query to items, from their cosines (N,) and their patches.

        Raises ExplainUnsupported, ImagesMissing, ItemNotFound, BundleError.
        """
        seen = np.concatenate([each.vectors for each in self.query()])
        items = foregrounds(gallery, ids, self.explainer, self.prepare)
        together = with_patches(scores, patch_scores(seen, (each.vectors for each in items)))
        return np.clip((1 - together) / 2, 0, 1).astype(np.float32)


def foregrounds(
    gallery: Gallery,
    ids: Sequence[int],
    explainer: Explainer,
    prepare: Callable[[Image.Image], NDArray[np.uint8]],
) -> list[Foreground]:
    """The foreground of items: as the gallery keeps it, or else of their stored images.

    Raises ExplainUnsupported, ImagesMissing for an item without an image that can be read, ItemNotFound, BundleError.
    """
    found = {} if explainer.model is None else gallery.store.foregrounds(ids, explainer.model)
    if missing := [item_id for item_id in ids if item_id not in found]:
        cameras = [gallery.get(item_id).model_camera for item_id in missing]
        pixels = [prepare(stored_image(gallery, item_id)) for item_id in missing]
        found |= dict(zip(missing, explainer.look(pixels, cameras), strict=True))
    return [found[item_id] for item_id in ids]


def stored_image(gallery: Gallery, item_id: int) -> Image.Image:
    """An item's image. Raises ImagesMissing, ItemNotFound."""
    try:
        return read_image(gallery.image(item_id) or b"", name=f"the image of item {item_id}")
    except ImageError as error:
        raise ImagesMissing(
            f"item {item_id} has no image that can be read, so nothing can be told about its patches; choose an item "
            "whose image is kept"
        ) from error
