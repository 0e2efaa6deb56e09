"""Galleries in numbers: those of a data folder in brief, and one in detail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreid.service.errors import FolderNotFound, GalleryError
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import GalleryInfo, GallerySettings
from vitreid.service.gallery.maintenance.purging import unpurged
from vitreid.service.gallery.rows.database import holds_gallery


@dataclass(frozen=True)
class Listed:
    """A gallery of a data folder, or why it cannot be opened."""

    name: str
    items: int | None = None
    bytes: int | None = None
    bundle_id: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Details:
    """All that is known about one gallery."""

    info: GalleryInfo
    settings: GallerySettings
    generations: list[dict[str, Any]]
    """id, bundle_id, dimension, state, created_at of each model's embeddings."""
    backups: list[dict[str, Any]]
    """id, created_at, seq, place of those that are not dropped."""
    purged: bool
    """No file holds anything of deleted items."""


def list_galleries(folder: Path) -> list[Listed]:
    """List the galleries of a service, each in a folder of its name. Raises FolderNotFound."""
    if not folder.is_dir():
        raise FolderNotFound(f"{folder} does not exist; name the data folder of a service, which has galleries in it")
    return [_listed(path) for path in sorted(folder.iterdir()) if path.is_dir() and holds_gallery(path)]


def describe(folder: Path) -> Details:
    """Describe one gallery. Raises GalleryError."""
    with Gallery.open_existing(folder) as gallery:
        return Details(
            info=gallery.info(),
            settings=gallery.settings(),
            generations=gallery.generations(),
            backups=gallery.backups(),
            purged=unpurged(gallery) is None,
        )


def _listed(path: Path) -> Listed:
    try:
        with Gallery.open_existing(path) as gallery:
            info = gallery.info()
    except GalleryError as error:
        return Listed(path.name, problem=str(error))
    return Listed(path.name, info.items, info.bytes, info.bundle_id)
