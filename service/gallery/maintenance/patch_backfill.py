"""Computes the foreground patches of stored images that have none yet, for galleries that keep patches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageError, read_image
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.rows.patches import Unseen, drop_patches, keeps_patches, unseen, write_patches
from vitreid.service.models.explainer import Explainer

logger = logging.getLogger("vitreid")
AT_ONCE = 32  # of one look: it takes the cores that queries need, too


class PatchUpkeep:
    """A job of upkeep: patches of items that came, a few at each look; none where the settings say so (any more)."""

    def __init__(self, explainer: Explainer, prepare: Callable[[Image.Image], NDArray[np.uint8]]) -> None:
        self._explainer, self._prepare = explainer, prepare
        self._done: dict[Path, int] = {}  # up to which id, by the gallery's folder

    def __call__(self, gallery: Gallery) -> None:
        """Look at the next few items of a gallery. Raises GalleryError, BundleError."""
        database, model = gallery.store.database, self._explainer.model
        if not gallery.settings().store_patches:
            self._done.pop(gallery.folder, None)
            with database.reading() as connection:
                some = keeps_patches(connection)
            if some:
                with database.writing() as connection:
                    logger.info("gallery %s: dropped the patches of %d items", gallery.name, drop_patches(connection))
        elif model is not None:
            with database.reading() as connection:
                found = unseen(connection, model, after=self._done.get(gallery.folder, 0), limit=AT_ONCE)
            if found:
                self._look(gallery, model, found)
                self._done[gallery.folder] = found[-1].id

    def _look(self, gallery: Gallery, model: str, found: list[Unseen]) -> None:
        readable: list[Unseen] = []
        pixels = []
        for each in found:
            try:
                pixels.append(self._prepare(read_image(each.image, name=f"item {each.id}")))
            except ImageError as error:
                logger.warning("gallery %s keeps no patches of %s", gallery.name, error)
                continue
            readable.append(each)
        looked = self._explainer.foreground(pixels, [each.model_camera for each in readable])
        with gallery.store.database.writing() as connection:
            write_patches(connection, model, {each.id: seen for each, seen in zip(readable, looked, strict=True)})
