"""Opening a gallery for what needs no model: whatever bundle it is of."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from service.gallery.creation import open_existing
from service.gallery.gallery import Gallery
from service.gallery.tables import gallery
from service.indexes import AUTO


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
