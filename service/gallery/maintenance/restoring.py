"""Restoring a gallery from a backup, without what was erased after the backup was made."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from vitreid.bundle.atomic import make_folder, sync
from vitreid.bundle.checksum import sha256_of
from vitreid.service.db import Database, translated
from vitreid.service.db.sqlite import among, raise_last_id, replace_content, upsert
from vitreid.service.gallery.errors import (
    STORAGE_ERRORS,
    BackupDamaged,
    GalleryBusy,
    GalleryDamaged,
    GalleryExists,
    disk_errors,
)
from vitreid.service.gallery.lock import STAGING, MaintenanceLock
from vitreid.service.gallery.maintenance.backup import MANIFEST, BackupManifest, check_backup
from vitreid.service.gallery.rows.database import FILE, check_empty, open_database, publish
from vitreid.service.gallery.rows.rows import LAST_ID
from vitreid.service.gallery.rows.tables import backups, deletions, erasures, gallery, items
from vitreid.service.gallery.snapshots.snapshot import remove_old_snapshots

ATTEMPTS = 5


@dataclass(frozen=True)
class Restored:
    """Summary of a restoration."""

    manifest: BackupManifest
    items: int
    erased_again: int
    """Items of the backup that had been erased since."""


class _ChangedMeanwhile(Exception):
    """Somebody wrote into the gallery while its successor was made ready."""


def restore(backup: Path, folder: Path, *, replace: bool = False) -> Restored:
    """Restore the gallery in `folder` to the backup's state, wholly or not at all.

    Where a gallery is replaced that the backup was made from, what was erased since is erased from it again, its
    receipts and list of backups stay, and no id or seq is used twice. The backup is checked first. Raises
    BackupDamaged; GalleryExists where there is a gallery and it is not to be replaced; GalleryBusy where it is
    locked; and GalleryDamaged where what was erased since cannot be read.
    """
    manifest = check_backup(backup)
    exists = (folder / FILE).exists()
    if exists and not replace:
        raise GalleryExists(f"{folder} holds a gallery; name another folder, or replace it with --replace")
    if not exists:
        check_empty(folder)
    with _locked(folder), _staging_folder(folder) as staging:
        copy = staging / FILE
        shutil.copyfile(backup / FILE, copy)
        size = _check_copy(staging, backup, manifest)
        if not exists:
            if not publish(copy, folder / FILE):
                raise GalleryExists(f"{folder} became a gallery meanwhile; replace it with --replace")
            return Restored(manifest, size, 0)
        return _replace(folder, staging, manifest)


def _check_copy(staging: Path, backup: Path, manifest: BackupManifest) -> int:
    """Return the number of items. Raises BackupDamaged where the copy is not as the manifest describes it."""
    if sha256_of(staging / FILE) != manifest.sha256:
        raise BackupDamaged(f"{backup / FILE} changed while it was copied; restore again")
    try:
        with closing(open_database(staging)) as prepared, prepared.reading() as connection:
            header = connection.execute(gallery.select()).one()
            size = connection.execute(select(func.count()).select_from(items)).scalar_one()
    except GalleryDamaged as error:
        raise BackupDamaged(str(error).replace(str(staging), str(backup))) from error
    found = (header.lineage, header.bundle_id, header.dimension, header.last_seq, size)
    if found != (manifest.lineage, manifest.bundle_id, manifest.dimension, manifest.seq, manifest.items):
        raise BackupDamaged(f"{backup / FILE} does not match {MANIFEST}; take another backup")
    return int(size)


def _replace(folder: Path, staging: Path, manifest: BackupManifest) -> Restored:
    try:
        live = open_database(folder)
    except GalleryDamaged as error:
        raise GalleryDamaged(
            f"{folder} is too damaged: what was erased since the backup cannot be read; move it away, restore without "
            "--replace and erase those items again"
        ) from error
    with closing(live), closing(open_database(staging, read_through=False)) as prepared:
        erased_again = 0
        for _ in range(ATTEMPTS):
            try:
                erased, seq = _carry_over(prepared, live, manifest)
                erased_again += erased
                remove_old_snapshots(folder, 0)  # they are of what is replaced
                _install(prepared, live, seq)
                break
            except _ChangedMeanwhile:
                continue
        else:
            raise GalleryBusy(f"{folder} is written to again and again; stop what writes to it and restore again")
        live.truncate_log()
        with live.reading() as connection:
            size = connection.execute(select(func.count()).select_from(items)).scalar_one()
    return Restored(manifest, size, erased_again)


def _carry_over(prepared: Database, live: Database, manifest: BackupManifest) -> tuple[int, int]:
    """Bring into the prepared copy what must survive; return how many items it lost by that, and the live seq."""
    with live.reading() as connection:
        header = connection.execute(gallery.select()).one()
        gone = connection.execute(deletions.select().where(deletions.c.seq > manifest.seq)).all()
        records = {table: connection.execute(table.select()).all() for table in (erasures, backups)}
        last_id = connection.exec_driver_sql(LAST_ID).scalar_one()
    if header.lineage != manifest.lineage:
        return 0, header.last_seq
    with prepared.writing() as connection:
        ids = [row.item_id for row in gone]
        erased = connection.execute(items.delete().where(items.c.id.in_(among(ids)))).rowcount
        for table, rows in {deletions: gone, **records}.items():
            upsert(connection, table, [row._asdict() for row in rows])
        now = connection.execute(gallery.select()).one()
        connection.execute(
            gallery.update().values(
                last_seq=max(now.last_seq, header.last_seq) + 1, last_at=max(now.last_at, header.last_at)
            )
        )
        raise_last_id(connection, items.name, last_id)
    prepared.vacuum()
    return erased, header.last_seq


def _install(prepared: Database, live: Database, seq: int) -> None:
    """Replace the live database's content in one transaction, unless it changed after `seq`."""

    def check() -> None:
        # From the first step on nobody else can write, and until the last readers see what was there before.
        with live.reading() as connection:
            if connection.execute(select(gallery.c.last_seq)).scalar_one() != seq:
                raise _ChangedMeanwhile

    with translated(live.path, STORAGE_ERRORS):
        if not replace_content(prepared.path, live.path, check):
            raise GalleryBusy(f"{live.path} is in use by another process; stop it and restore again")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the maintenance lock for the length of the block; the folder is made where it is missing."""
    with disk_errors(folder, "made"):
        make_folder(folder)
    lock = MaintenanceLock.acquire(folder, "vitreid gallery restore")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder in the gallery's; the next holder of the lock removes what a killed process left."""
    staging = folder / f"{STAGING}{uuid.uuid4().hex[:8]}"
    try:
        with disk_errors(folder, "written", "check the disk; nothing was changed"):
            staging.mkdir()
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        sync(folder)  # what was erased since the backup lay in it, too
