"""Opening a gallery for what needs no model: whatever bundle it is of."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from vitreid.service.errors import GalleryError
from vitreid.service.gallery.database import Database
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.opening import FILE, open_existing
from vitreid.service.gallery.rows.tables import gallery
from vitreid.service.indexes import AUTO


def bundle_of(folder: Path) -> str | None:
    """The id of the bundle that a gallery was made with; None where there is no gallery, or it cannot be read."""
    if not (folder / FILE).is_file():
        return None
    try:
        with closing(Database(folder / FILE)) as database, database.reading() as connection:
            found: str | None = connection.execute(select(gallery.c.bundle_id)).scalar()
    except GalleryError:
        return None
    return found


def open_as_it_is(folder: Path, *, index: str = AUTO, read_through: bool = True) -> Gallery:
    """Open the gallery in `folder` with the embeddings that answer now; nothing is loaded for searching yet.

    Without `read_through` the pages of the database are not checked: somebody just did. Raises GalleryNotFound,
    NotAGallery, GalleryDamaged, GalleryTooNew.
    """
    with closing(open_existing(folder, read_through=read_through)) as database, database.reading() as connection:
        bundle_id, dimension = connection.execute(select(gallery.c.bundle_id, gallery.c.dimension)).one()
    return Gallery.open(
        folder, bundle_id=bundle_id, dimension=dimension, index=index, create=False, load=False, read_through=False
    )
