"""Models and galleries as the settings of a command say, and the record of what it did."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vitreid.bundle import Bundle, ImageLimits, PixelBudget
from vitreid.service.access.access import record_command
from vitreid.service.access.audit import Entry
from vitreid.service.config import GALLERIES, ServiceConfig
from vitreid.service.gallery import Gallery, bundle_of
from vitreid.service.gallery.errors import GalleryNotFound
from vitreid.service.gallery.galleries import check_name
from vitreid.service.models.bundle_choice import NOTICE, find_bundle, is_starter
from vitreid.service.models.embedder import Embedder
from vitreid.terminal import note


def open_bundle(config: ServiceConfig, gallery: Path | None = None) -> Bundle:
    """Open the bundle of the settings or, without one, that of the gallery, or the starter."""
    return find_bundle(config.bundle, gallery, made_with=None if gallery is None else bundle_of(gallery))


def open_embedder(config: ServiceConfig, gallery: Path | None = None, *, batch_size: int = 1) -> Embedder:
    """Load the model of `open_bundle`; a note says when it is the starter."""
    bundle = open_bundle(config, gallery)
    if is_starter(bundle):
        note(NOTICE)
    choice = config.choice
    return Embedder(bundle, replace(choice, max_batch=max(choice.max_batch, batch_size)))


def open_gallery(
    config: ServiceConfig, folder: Path, embedder: Embedder, *, create: bool = False, load: bool = True
) -> Gallery:
    """Open the gallery in a folder for the embeddings of a model. Raises GalleryError."""
    manifest = embedder.manifest
    return Gallery.open(
        folder,
        bundle_id=manifest.bundle_id,
        dimension=manifest.dimension,
        index=config.index,
        create=create,
        load=load,
    )


@contextmanager
def gallery_to_fill(
    config: ServiceConfig, folder: Path, embedder: Embedder, *, dry_run: bool
) -> Iterator[Gallery | None]:
    """Open a gallery for additions and make it where it is missing; None where a dry run has none."""
    if folder.absolute().parent.name == GALLERIES and not folder.exists():
        check_name(folder.name)  # a service of this data folder could not name it
    try:
        opened = open_gallery(config, folder, embedder, create=not dry_run, load=False)
    except GalleryNotFound:
        yield None
        return
    with opened:
        yield opened


def image_limits(config: ServiceConfig) -> ImageLimits:
    """Return the limits of images that are decoded."""
    return ImageLimits(max_pixels=config.max_pixels, budget=PixelBudget(config.max_decoding_pixels))


def record(config: ServiceConfig, gallery: Path, action: str, items: Collection[int] = ()) -> None:
    """Record a command in the audit log of the gallery's service, if it has one. Raises AccessUnusable."""
    entry = Entry(action, gallery=gallery.absolute().name, items=list(items))
    record_command(gallery, entry, audit_days=config.audit_days)
