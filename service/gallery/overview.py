"""Galleries in numbers: those of a data folder in brief, and one in detail."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from vitreid.service.errors import FolderNotFound, GalleryError
from vitreid.service.gallery.any_bundle import open_as_it_is
from vitreid.service.gallery.items import GalleryInfo, GallerySettings
from vitreid.service.gallery.maintenance.purging import unpurged
from vitreid.service.gallery.opening import holds_gallery, open_existing
from vitreid.service.gallery.rows.summary import summary
from vitreid.service.gallery.rows.tables import backups, generations


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
    generations: list[Mapping[str, Any]]
    """id, bundle_id, dimension, state, created_at of each model's embeddings."""
    backups: list[Mapping[str, Any]]
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
    with open_as_it_is(folder) as gallery, gallery.store.database.reading() as connection:
        columns = (column for column in backups.c if column.name != "purged_at")
        present = select(*columns).where(backups.c.purged_at.is_(None)).order_by(backups.c.created_at)
        return Details(
            info=gallery.info(),
            settings=gallery.settings(),
            generations=[dict(row) for row in connection.execute(generations.select()).mappings()],
            backups=[dict(row) for row in connection.execute(present).mappings()],
            purged=unpurged(gallery) is None,
        )


def _listed(path: Path) -> Listed:
    try:
        with closing(open_existing(path)) as database, database.reading() as connection:
            found = summary(connection, database.path)
    except GalleryError as error:
        return Listed(path.name, problem=str(error))
    return Listed(path.name, found["items"], found["bytes"], found["bundle_id"])
