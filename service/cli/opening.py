"""Opening of the settings, the model and the gallery of a command: VITREID_* variables with its options on top."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vitreid.bundle import Bundle
from vitreid.service.access.access import record_command
from vitreid.service.access.audit import Entry
from vitreid.service.config import GALLERIES, load_config
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.any_bundle import bundle_of
from vitreid.service.gallery.errors import GalleryNotFound
from vitreid.service.gallery.galleries import check_name
from vitreid.service.models.bundle_choice import NOTICE, find_bundle, is_starter
from vitreid.service.models.embedder import Embedder
from vitreid.terminal import note


def open_bundle(bundle: Path | None, gallery: Path | None = None) -> Bundle:
    """Open the given bundle, or that of the settings, the one that the gallery was made with, or the starter."""
    given = load_config(bundle=bundle).bundle
    return find_bundle(given, gallery, made_with=None if gallery is None else bundle_of(gallery))


def open_embedder(
    bundle: Path | None, threads: int | None = None, batch_size: int = 1, *, gallery: Path | None = None
) -> Embedder:
    """Load the model of a bundle, opened as by `open_bundle`; a note says when it is the starter."""
    opened = open_bundle(bundle, gallery)
    if is_starter(opened):
        note(NOTICE)
    choice = load_config(threads=threads).choice
    return Embedder(opened, replace(choice, max_batch=max(choice.max_batch, batch_size)))


def open_gallery(folder: Path, embedder: Embedder, *, create: bool, load: bool = True) -> Gallery:
    """Open the gallery in a folder for the embeddings of a model. Raises GalleryError."""
    manifest, index = embedder.manifest, load_config().index
    return Gallery.open(
        folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension, index=index, create=create, load=load
    )


@contextmanager
def gallery_to_fill(folder: Path, embedder: Embedder, *, dry_run: bool) -> Iterator[Gallery | None]:
    """Open a gallery for additions and make it where it is missing; None where a dry run has none."""
    if folder.absolute().parent.name == GALLERIES and not folder.exists():
        check_name(folder.name)  # a service of this data folder could not name it
    try:
        opened = open_gallery(folder, embedder, create=not dry_run, load=False)
    except GalleryNotFound:
        yield None
        return
    with opened:
        yield opened


def record(gallery: Path, action: str, items: Collection[int] = ()) -> None:
    """Record a command in the audit log of the gallery's service, if it has one. Raises AccessUnusable."""
    entry = Entry(action, gallery=gallery.absolute().name, items=list(items))
    record_command(gallery, entry, audit_days=load_config().audit_days)
