"""Purging: afterwards no file of a gallery holds anything of what was deleted before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from vitreid.service.gallery.errors import GalleryBusy, GalleryDamaged, GalleryReadOnly
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.rows.database import STAGING
from vitreid.service.gallery.rows.erasure import mark_purged, unpurged_seq
from vitreid.service.gallery.snapshots.snapshot import snapshots


def unpurged(gallery: Gallery) -> int | None:
    """Return the seq of the newest deletion that has left traces in the files, or None."""
    with gallery._store.database.reading() as connection:
        return unpurged_seq(connection)


def purge(gallery: Gallery, clock: Callable[[], datetime], cancelled: Callable[[], bool] = lambda: False) -> bool:
    """Replace snapshots, compact the index, rewrite the database and empty its log.

    Only for the holder of the maintenance lock. False where it was cancelled; call it again then. Raises GalleryBusy
    where a long read kept the log from being emptied.
    """
    database = gallery._store.database
    seq = unpurged(gallery)
    if seq is None:
        return True
    remove_leftovers(gallery.folder)
    if snapshots(gallery.folder):
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
    for left in folder.glob(f"{STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)
        if left.exists():  # or a receipt would claim that nothing is left
            raise GalleryReadOnly(f"{left} cannot be removed; check its permissions")
