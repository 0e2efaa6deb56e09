"""Computes the foreground patches of stored images that have none yet, for galleries that store patches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageError, read_image
from vitreid.scoring.patches import Foreground
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.rows.patches import (
    WithoutPatches,
    drop_patches,
    has_patches,
    without_patches,
    write_patches,
)

logger = logging.getLogger("vitreid")
AT_ONCE = 32  # per run of the job: it takes the cores that queries need, too

Prepare = Callable[[Image.Image], NDArray[np.uint8]]


class ForegroundModel(Protocol):
    """Finds the foreground patches of images."""

    @property
    def model(self) -> str | None:
        """SHA-256 of the explain.onnx, or None without one."""

    def foreground(self, pixels: Sequence[NDArray[np.uint8]], cameras: Sequence[str | None]) -> Sequence[Foreground]:
        """Return the foreground of each image."""


class PatchBackfill:
    """A maintenance job: stores patches of new items, a few per run; drops them where the settings say so."""

    def __init__(self, explainer: ForegroundModel, prepare: Prepare) -> None:
        self._explainer, self._prepare = explainer, prepare
        self._done: dict[Path, int] = {}  # up to which id, by the gallery's folder

    def __call__(self, gallery: Gallery) -> None:
        """Process the next few items of a gallery. Raises GalleryError, BundleError."""
        database, model = gallery._store.database, self._explainer.model
        if not gallery.settings().store_patches:
            self._done.pop(gallery.folder, None)
            with database.reading() as connection:
                some = has_patches(connection)
            if some:
                with database.writing() as connection:
                    logger.info("gallery %s: dropped the patches of %d items", gallery.name, drop_patches(connection))
        elif model is not None:
            with database.reading() as connection:
                found = without_patches(connection, model, after=self._done.get(gallery.folder, 0), limit=AT_ONCE)
            if found:
                self._explain(gallery, model, found)
                self._done[gallery.folder] = found[-1].id

    def _explain(self, gallery: Gallery, model: str, found: list[WithoutPatches]) -> None:
        readable: list[WithoutPatches] = []
        pixels = []
        for each in found:
            try:
                pixels.append(self._prepare(read_image(each.image, name=f"item {each.id}")))
            except ImageError as error:
                logger.warning("gallery %s stores no patches of %s", gallery.name, error)
                continue
            readable.append(each)
        foregrounds = self._explainer.foreground(pixels, [each.model_camera for each in readable])
        with gallery._store.database.writing() as connection:
            write_patches(connection, model, {each.id: seen for each, seen in zip(readable, foregrounds, strict=True)})
