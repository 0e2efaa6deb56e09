"""Re-ranking by the foreground patches of images, matched pairwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageError, read_image
from vitreid.scoring.patches import Foreground, combine_scores, patch_scores
from vitreid.service.gallery.errors import ImagesMissing
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.models.explainer import Explainer


@dataclass(frozen=True)
class PatchReranker:
    """Compares the foreground patches of a query with those of items."""

    explainer: Explainer
    prepare: Callable[[Image.Image], NDArray[np.uint8]]
    """Resizes an image to what the model takes."""

    def distances(
        self, gallery: Gallery, query: Sequence[Foreground], ids: Sequence[int], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return distances (N,), 0..1, of a query's images to items, from their cosines (N,) and their patches.

        Raises ExplainUnsupported, ImagesMissing, ItemNotFound, BundleError.
        """
        vectors = np.concatenate([each.vectors for each in query])
        items = self.foregrounds(gallery, ids)
        combined = combine_scores(scores, patch_scores(vectors, (each.vectors for each in items)))
        return np.clip((1 - combined) / 2, 0, 1).astype(np.float32)

    def foregrounds(self, gallery: Gallery, ids: Sequence[int]) -> list[Foreground]:
        """Return the foreground of items: stored by the gallery, or else computed from their stored images.

        Raises ExplainUnsupported, ImagesMissing for an item without a readable image, ItemNotFound, BundleError.
        """
        explainer = self.explainer
        known = {} if explainer.model is None else gallery.foregrounds(ids, explainer.model)
        if missing := [item_id for item_id in ids if item_id not in known]:
            cameras = [gallery.get(item_id).model_camera for item_id in missing]
            pixels = [self.prepare(stored_image(gallery, item_id)) for item_id in missing]
            known |= dict(zip(missing, explainer.foreground(pixels, cameras), strict=True))
        return [known[item_id] for item_id in ids]


def stored_image(gallery: Gallery, item_id: int) -> Image.Image:
    """Return an item's image. Raises ImagesMissing, ItemNotFound."""
    try:
        return read_image(gallery.image(item_id) or b"", name=f"the image of item {item_id}")
    except ImageError as error:
        raise ImagesMissing(
            f"item {item_id} has no readable image, so its patches are unknown; choose an item whose image is stored"
        ) from error
