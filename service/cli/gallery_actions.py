"""What `vitreid gallery` does, without how it is asked and how it prints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from vitreid.service.config import gallery_folder, load_config
from vitreid.service.errors import BadParameter, FolderNotFound, GalleryError
from vitreid.service.gallery import Filter, Gallery, GalleryInfo, GallerySettings
from vitreid.service.gallery.any_bundle import bundle_of, open_as_it_is
from vitreid.service.gallery.errors import GalleryBusy, ItemNotFound, PersonNotFound
from vitreid.service.gallery.maintenance.backup import BackupManifest, back_up, drop_backup
from vitreid.service.gallery.maintenance.purging import purge, unpurged
from vitreid.service.gallery.maintenance.reembedding import Reembedded, drop_generation, reembed
from vitreid.service.gallery.maintenance.reserve import Reserve
from vitreid.service.gallery.opening import holds_gallery, open_existing
from vitreid.service.gallery.rows.erasure import Receipt
from vitreid.service.gallery.rows.store import utc_now
from vitreid.service.gallery.rows.summary import summary
from vitreid.service.gallery.rows.tables import backups, generations
from vitreid.service.gallery.snapshots.snapshot import remove_but
from vitreid.service.intake.cameras import CameraReport, map_cameras, report_cameras
from vitreid.service.models.bundle_choice import find_bundle
from vitreid.service.models.embedder import Embedder

Progress = Callable[[int, int], None]


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
    """Whether the files hold nothing of deleted items."""


def list_galleries(data: Path) -> list[Listed]:
    """The galleries of a service's data folder. Raises FolderNotFound."""
    folder = gallery_folder(data).parent
    if not folder.is_dir():
        raise FolderNotFound(f"{folder} does not exist; name the data folder of a service, which has galleries in it")
    return [_listed(path) for path in sorted(folder.iterdir()) if path.is_dir() and holds_gallery(path)]


def describe(folder: Path) -> Details:
    """One gallery in numbers. Raises GalleryError."""
    with open_as_it_is(folder) as gallery, gallery.store.database.reading() as connection:
        kept = select(*(column for column in backups.c if column.name != "purged_at"))
        kept = kept.where(backups.c.purged_at.is_(None)).order_by(backups.c.created_at)
        return Details(
            info=gallery.info(),
            settings=gallery.settings(),
            generations=[row._asdict() for row in connection.execute(generations.select())],
            backups=[row._asdict() for row in connection.execute(kept)],
            purged=unpurged(gallery) is None,
        )


def rebuild(folder: Path, index: str) -> GalleryInfo:
    """Make index and snapshot anew from the rows, and purge. Raises GalleryBusy where somebody keeps the gallery."""
    with open_as_it_is(folder, index=index) as gallery:
        gallery.keep("vitreid gallery rebuild")
        gallery.rebuild_index()
        gallery.write_snapshot()
        remove_but(folder, 1)
        purge(gallery, utc_now)
        return gallery.info()


def back_up_gallery(folder: Path, out: Path, progress: Progress) -> BackupManifest:
    """Write a backup, also while a service runs."""
    with closing(open_existing(folder)) as database:
        return back_up(database, out, utc_now(), progress)


def forget_backup(folder: Path, backup_id: str, *, gone: bool) -> Path:
    """Remove a backup, or believe that it is gone; where it was."""
    with closing(open_existing(folder)) as database:
        return drop_backup(database, backup_id, utc_now(), gone=gone)


def reembed_gallery(
    folder: Path, embedder: Embedder, *, batch_size: int, drop_without_image: bool, progress: Progress
) -> Reembedded:
    """Embed a gallery with another model, beside whoever uses it."""
    with closing(open_existing(folder)) as database:
        return reembed(
            database,
            embedder,
            utc_now,
            batch_size=batch_size,
            drop_without_image=drop_without_image,
            progress=progress,
        )


def drop_embeddings(folder: Path, generation: int) -> None:
    """Remove the embeddings of a model that does not answer."""
    with closing(open_existing(folder)) as database:
        drop_generation(database, generation)


def ids_to_erase(gallery: Gallery, item_ids: Collection[int], person_id: str | None) -> list[int]:
    """Those of the named items that are there, and all with the label. Raises ItemNotFound, PersonNotFound."""
    labelled = [] if person_id is None else gallery.ids(Filter(person_id=person_id))
    if person_id is not None and not labelled:
        raise PersonNotFound(f"no item in {gallery.folder} has the person_id {person_id!r}")
    there = gallery.store.items_of(item_ids)
    if item_ids and not there and not labelled:
        raise ItemNotFound(f"none of the {len(set(item_ids))} items to erase is in {gallery.folder}")
    return sorted({*there, *labelled})


def erase_items(gallery: Gallery, ids: Collection[int], reason: str | None) -> Receipt:
    """Erase, and purge at once unless somebody else keeps the gallery, who will do it soon, or writes to it."""
    gallery.reserve = Reserve(gallery.folder.absolute().parent.parent)  # of the service, where one has this folder
    receipt = gallery.erase(ids, reason=reason, requested_by="vitreid gallery erase")
    try:
        gallery.keep("vitreid gallery erase")
        purge(gallery, utc_now)
    except GalleryBusy:
        return receipt
    return gallery.store.receipt(receipt.id)


def cameras(gallery: Path, bundle: Path | None, mapping: Sequence[str] | None) -> list[CameraReport]:
    """A gallery's cameras, after `mapping` (CAMERA=LEARNED each) has replaced the one there was, where it is given."""
    manifest = find_bundle(load_config(bundle=bundle).bundle, gallery, made_with=bundle_of(gallery)).manifest
    with open_as_it_is(gallery) as opened:
        if mapping:
            map_cameras(opened, manifest, dict(_pair(each) for each in mapping))
        return report_cameras(opened, manifest)


def _pair(text: str) -> tuple[str, str]:
    camera, equals, learned = text.partition("=")
    if not equals or not camera or not learned:
        raise BadParameter(f"--map {text!r} is not CAMERA=LEARNED, such as gate=c1")
    return camera, learned


def _listed(path: Path) -> Listed:
    try:
        with closing(open_existing(path)) as database, database.reading() as connection:
            found = summary(connection, database.path)
    except GalleryError as error:
        return Listed(path.name, problem=str(error))
    return Listed(path.name, found["items"], found["bytes"], found["bundle_id"])
