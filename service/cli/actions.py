"""What the commands do, without how they are asked and how they print."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitreid.bundle.name_pattern import NamePattern
from vitreid.service.api.logs import configure_logging, log_what_is_not_caught
from vitreid.service.api.server.serving import address_of, bound_socket, check_address, serve_until_stopped
from vitreid.service.api.state import Service
from vitreid.service.cli.progress import image_progress
from vitreid.service.config import GALLERIES, ServiceConfig, load_config, unknown_variables
from vitreid.service.gallery.any_bundle import bundle_of
from vitreid.service.gallery.errors import GalleryNotFound
from vitreid.service.gallery.galleries import check_name
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.intake.boxes import BoxSource
from vitreid.service.intake.indexing import EmbeddedImages, IndexReport, embed_folder, index_folder
from vitreid.service.intake.sources import read_folder
from vitreid.service.models.bundle_choice import NOTICE, find_bundle, is_starter
from vitreid.service.models.embedder import Embedder
from vitreid.service.values.files import CannotWrite, atomic_write

logger = logging.getLogger("vitreid")


def open_embedder(
    bundle: Path | None, threads: int | None, batch_size: int = 1, *, gallery: Path | None = None
) -> Embedder:
    """The model for a gallery, run as the VITREID_* variables say; that it is the starter is said in one line."""
    config = load_config(bundle=bundle, threads=threads)
    opened = find_bundle(config.bundle, gallery, made_with=None if gallery is None else bundle_of(gallery))
    if is_starter(opened):
        print(f"vitreid: {NOTICE}", file=sys.stderr)
    choice = config.choice
    return Embedder(opened, replace(choice, max_batch=max(choice.max_batch, batch_size)))


def name_pattern(text: str | None, time_zone: str | None) -> NamePattern | None:
    """A pattern that was given, with a note where nothing says the offset of its times. Raises NamePatternError."""
    if text is None:
        return None
    pattern = NamePattern.parse(text, time_zone)
    if pattern.assumes_utc:
        print("vitreid: the times in names are taken as UTC; give --time-zone for another", file=sys.stderr)
    return pattern


def index_images(
    images: Path,
    gallery: Path,
    *,
    bundle: Path | None,
    table: Path | None = None,
    boxes: BoxSource | None = None,
    camera: str | None = None,
    pattern: NamePattern | None = None,
    relabel: bool = False,
    dry_run: bool = False,
    batch_size: int = 32,
    threads: int | None = None,
) -> IndexReport:
    """Add a folder of crops or frames to a gallery, which is made when missing; a dry run makes and adds nothing."""
    # Mistakes in names and tables are found before a model is loaded or a gallery made.
    folder = read_folder(images, table=table, boxes=boxes, camera_id=camera, pattern=pattern)
    embedder = open_embedder(bundle, threads, batch_size, gallery=gallery)
    title = "reading" if dry_run else "indexing"
    with _gallery_to_fill(gallery, embedder, dry_run=dry_run) as opened, image_progress(title) as progress:
        return index_folder(
            folder, opened, embedder, relabel=relabel, batch_size=batch_size, dry_run=dry_run, progress=progress
        )


def embed_images(
    images: Path, out: Path, *, bundle: Path | None, batch_size: int = 32, threads: int | None = None
) -> EmbeddedImages:
    """Embed a folder of images into `out` (.npz: `path` relative to the folder, `embedding` float32 (N, D))."""
    folder = read_folder(images)
    if out.suffix != ".npz" or not out.parent.is_dir():
        raise CannotWrite(f"--out {out} must be a file named *.npz in a folder that exists")
    embedder = open_embedder(bundle, threads, batch_size)
    with image_progress("embedding") as progress:
        embedded = embed_folder(folder, embedder, batch_size=batch_size, progress=progress)
    with atomic_write(out) as file:
        paths = np.array(embedded.paths, dtype=np.str_)
        np.savez(file, allow_pickle=False, path=paths, embedding=embedded.embeddings)
    return embedded


def serve(config: ServiceConfig) -> None:
    """Serve until SIGINT or SIGTERM. The port is taken first, so that a taken one is told at once."""
    check_address(config)
    configure_logging(config.log_level, config.log_format)
    log_what_is_not_caught()
    for line in unknown_variables(os.environ):
        logger.warning("%s", line)
    with bound_socket(config.host, config.port) as listener:
        address = address_of(listener)

        def opened(service: Service) -> None:
            if service.starter:
                logger.warning(NOTICE)
            sizes = ", ".join(f"{name} ({len(each):,})" for name, each in service.galleries.opened().items())
            fields = {"address": address}
            logger.info(
                "serving %s at %s (page /, API /docs); Ctrl-C ends it", sizes, address, extra={"fields": fields}
            )

        ended = serve_until_stopped(config, listener, opened)
    logger.info("stopped")
    if not ended:
        # Native code that loads a model or an index cannot be interrupted, and must not outlive the interpreter.
        os._exit(0)


def open_gallery(folder: Path, embedder: Embedder, *, create: bool, load: bool = True) -> Gallery:
    """The gallery in a folder, for the embeddings of a model. Raises GalleryError."""
    manifest = embedder.manifest
    return Gallery.open(folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension, create=create, load=load)


@contextmanager
def _gallery_to_fill(folder: Path, embedder: Embedder, *, dry_run: bool) -> Iterator[Gallery | None]:
    """Open the gallery, made when missing; None where a dry run has none."""
    if folder.absolute().parent.name == GALLERIES and not folder.exists():
        check_name(folder.name)  # a service of this data folder could not name it
    try:
        opened = open_gallery(folder, embedder, create=not dry_run, load=False)
    except GalleryNotFound:
        yield None
        return
    with opened:
        yield opened
