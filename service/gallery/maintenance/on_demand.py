"""Maintenance that an operator asks for: a new index, and erasure with an immediate purge."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vitreid.service.db import Reserve
from vitreid.service.gallery.errors import GalleryBusy, ItemNotFound, PersonNotFound
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.items import GalleryInfo
from vitreid.service.gallery.maintenance.purging import purge
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.gallery.snapshots.snapshot import remove_old_snapshots
from vitreid.service.values.times import utc_now


def rebuild(folder: Path, index: str) -> GalleryInfo:
    """Rebuild index and snapshot from the rows, and purge. Raises GalleryBusy where the gallery is locked."""
    with Gallery.open_existing(folder, index=index) as gallery:
        gallery.acquire_maintenance_lock("vitreid gallery rebuild")
        gallery.rebuild_index()
        gallery.write_snapshot()
        remove_old_snapshots(folder, 1)
        purge(gallery, utc_now)
        return gallery.info()


def ids_to_erase(gallery: Gallery, item_ids: Collection[int], person_id: str | None) -> list[int]:
    """Return those of the items that exist, and all with the label. Raises ItemNotFound, PersonNotFound."""
    labelled = [] if person_id is None else gallery.ids(Filter(person_id=person_id))
    if person_id is not None and not labelled:
        raise PersonNotFound(f"no item in {gallery.folder} has the person_id {person_id!r}")
    there = gallery.items_of(item_ids)
    if item_ids and not there and not labelled:
        raise ItemNotFound(f"none of the {len(set(item_ids))} items to erase is in {gallery.folder}")
    return sorted({*there, *labelled})


def erase_items(gallery: Gallery, ids: Collection[int], reason: str | None) -> Receipt:
    """Erase items, and purge at once unless another process has locked the gallery, which then purges soon."""
    gallery.reserve = Reserve(gallery.folder.absolute().parent.parent)  # of the service, where one has this folder
    receipt = gallery.erase(ids, reason=reason, requested_by="vitreid gallery erase")
    try:
        gallery.acquire_maintenance_lock("vitreid gallery erase")
        purge(gallery, utc_now)
    except GalleryBusy:
        return receipt
    return gallery.receipt(receipt.id)
