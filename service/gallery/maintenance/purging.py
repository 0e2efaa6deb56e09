"""Purging: afterwards no file of a gallery holds anything of what was deleted before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from vitreid.service.gallery.errors import GalleryBusy, GalleryDamaged, GalleryReadOnly
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.opening import UNFINISHED
from vitreid.service.gallery.rows.erasure import mark_purged, unpurged_seq
from vitreid.service.gallery.snapshots.snapshot import generations


def unpurged(gallery: Gallery) -> int | None:
    """Seq of the newest deletion that has left traces in the files; None: there is none."""
    with gallery.store.database.reading() as connection:
        return unpurged_seq(connection)


def purge(gallery: Gallery, clock: Callable[[], datetime], cancelled: Callable[[], bool] = lambda: False) -> bool:
    """Replace snapshots, compact the index, rewrite the database and empty its log; for the gallery's keeper only.

    False where it was cancelled; it is to be done again then. Raises GalleryBusy where a reader of long standing kept
    the log from being emptied.
    """
    database = gallery.store.database
    seq = unpurged(gallery)
    if seq is None:
        return True
    remove_leftovers(gallery.folder)
    if generations(gallery.folder):
        # What replaces them is a snapshot then, not nothing; of a gallery that cannot be loaded they just go.
        with suppress(GalleryDamaged):
            gallery.refresh()
    gallery.replace_snapshots()
    if not database.vacuum(cancelled):
        return False
    if not database.truncate_log():
        raise GalleryBusy(f"the log of {database.path} cannot be emptied while somebody reads it; try again later")
    with database.writing() as connection:
        mark_purged(connection, seq, clock())
    return True


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half made in a gallery's folder. Raises GalleryReadOnly."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
        if left.exists():  # or a receipt would say that nothing is left
            raise GalleryReadOnly(f"{left} cannot be removed; check its permissions")
