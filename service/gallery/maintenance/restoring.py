"""Restoring: a backup becomes a gallery again, without what was erased after it was made."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects.sqlite import insert

from vitreid.bundle.atomic import make_folder, sync
from vitreid.bundle.checksum import sha256_of
from vitreid.service.gallery.database import BUSY_TIMEOUT_S, Database, translated
from vitreid.service.gallery.errors import BackupDamaged, GalleryBusy, GalleryDamaged, GalleryExists
from vitreid.service.gallery.maintenance.backup import MANIFEST, BackupManifest, check_backup
from vitreid.service.gallery.maintenance.lock import WORKSHOP, MaintenanceLock
from vitreid.service.gallery.opening import FILE, check_empty, open_existing
from vitreid.service.gallery.rows.conditions import among
from vitreid.service.gallery.rows.tables import backups, deletions, erasures, gallery, items
from vitreid.service.gallery.snapshots.snapshot import remove_but
from vitreid.service.gallery.storage_errors import refused

ATTEMPTS = 5
PAGES_AT_ONCE = 8  # fewer than the smallest gallery has, so that what is replaced is looked at before the last


@dataclass(frozen=True)
class Restored:
    """What a restoration did."""

    manifest: BackupManifest
    items: int
    erased_again: int
    """Items of the backup that had been erased since."""


class _ChangedMeanwhile(Exception):
    """Somebody wrote into the gallery while its successor was made ready."""


def restore(backup: Path, folder: Path, *, replace: bool = False) -> Restored:
    """Make the gallery in `folder` what it was when the backup was made; it is so wholly or not at all.

    Where a gallery is replaced that the backup was made from, what was erased since is erased from it again, its
    receipts and list of backups stay, and no id or seq is used twice. The backup is checked first. Raises
    BackupDamaged; GalleryExists where there is a gallery and it is not to be replaced; GalleryBusy where it has a
    keeper; and GalleryDamaged where what was erased since cannot be read.
    """
    manifest = check_backup(backup)
    exists = (folder / FILE).exists()
    if exists and not replace:
        raise GalleryExists(f"{folder} holds a gallery; name another folder, or replace it with --replace")
    if not exists:
        check_empty(folder)
    with _kept(folder), _workshop(folder) as workshop:
        copy = workshop / FILE
        shutil.copyfile(backup / FILE, copy)
        size = _check_copy(workshop, backup, manifest)
        if not exists:
            _put_in_place(copy, folder / FILE)
            return Restored(manifest, size, 0)
        return _replace(folder, workshop, manifest)


def _check_copy(workshop: Path, backup: Path, manifest: BackupManifest) -> int:
    """How many items the copy has. Raises BackupDamaged where it is not what the manifest says, whoever wrote that."""
    if sha256_of(workshop / FILE) != manifest.sha256:
        raise BackupDamaged(f"{backup / FILE} changed while it was copied; restore again")
    try:
        with closing(open_existing(workshop)) as prepared, prepared.reading() as connection:
            header = connection.execute(gallery.select()).one()
            size = connection.execute(select(func.count()).select_from(items)).scalar_one()
    except GalleryDamaged as error:
        raise BackupDamaged(str(error).replace(str(workshop), str(backup))) from error
    found = (header.lineage, header.bundle_id, header.dimension, header.last_seq, size)
    if found != (manifest.lineage, manifest.bundle_id, manifest.dimension, manifest.seq, manifest.items):
        raise BackupDamaged(f"{backup / FILE} is not what {MANIFEST} says of it; take another backup")
    return int(size)


def _replace(folder: Path, workshop: Path, manifest: BackupManifest) -> Restored:
    try:
        live = open_existing(folder)
    except GalleryDamaged as error:
        raise GalleryDamaged(
            f"{folder} is too damaged to tell what was erased from it since the backup; move it away, restore without "
            "--replace and erase those items again"
        ) from error
    with closing(live), closing(open_existing(workshop, read_through=False)) as prepared:
        erased_again = 0
        for _ in range(ATTEMPTS):
            try:
                erased, seq = _carry_over(prepared, live, manifest)
                erased_again += erased
                remove_but(folder, 0)  # they are of what is replaced
                _install(prepared, live, seq)
                break
            except _ChangedMeanwhile:
                continue
        else:
            raise GalleryBusy(f"{folder} is written to all the time; stop what writes to it and restore again")
        live.truncate_log()
        with live.reading() as connection:
            size = connection.execute(select(func.count()).select_from(items)).scalar_one()
    return Restored(manifest, size, erased_again)


def _carry_over(prepared: Database, live: Database, manifest: BackupManifest) -> tuple[int, int]:
    """Bring into the prepared copy what must survive; how many items it lost by that, and the live gallery's seq."""
    with live.reading() as connection:
        header = connection.execute(gallery.select()).one()
        gone = connection.execute(deletions.select().where(deletions.c.seq > manifest.seq)).all()
        kept = {table: connection.execute(table.select()).all() for table in (erasures, backups)}
        last_id = _last_id(connection)
    if header.lineage != manifest.lineage:
        return 0, header.last_seq
    with prepared.writing() as connection:
        ids = [row.item_id for row in gone]
        erased = connection.execute(items.delete().where(items.c.id.in_(among(ids)))).rowcount
        for table, rows in {deletions: gone, **kept}.items():
            _put(connection, table, [row._asdict() for row in rows])
        now = connection.execute(gallery.select()).one()
        connection.execute(
            gallery.update().values(
                last_seq=max(now.last_seq, header.last_seq) + 1, last_at=max(now.last_at, header.last_at)
            )
        )
        if last_id > _last_id(connection):
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'items'")
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('items', ?)", (last_id,))
    prepared.vacuum()
    return erased, header.last_seq


def _install(prepared: Database, live: Database, seq: int) -> None:
    """Replace the live database's content in one transaction, unless it has gone on from `seq`.

    Not its file: a process that has it open would go on writing into one that has no name any more.
    """

    def look(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise GalleryBusy(f"{live.path} is in use by another process; stop it and restore again")
        if status == sqlite3.SQLITE_DONE:
            return
        # From the first step on nobody else can write, and until the last readers see what was there before.
        with live.reading() as connection:
            if connection.execute(select(gallery.c.last_seq)).scalar_one() != seq:
                raise _ChangedMeanwhile

    with (
        translated(live.path),
        closing(sqlite3.connect(prepared.path)) as source,
        closing(sqlite3.connect(live.path, timeout=BUSY_TIMEOUT_S)) as target,
    ):
        for connection in (source, target):
            connection.execute("PRAGMA trusted_schema = OFF")
        target.execute("PRAGMA synchronous = FULL")
        source.backup(target, pages=PAGES_AT_ONCE, progress=look)


def _put_in_place(copy: Path, path: Path) -> None:
    sync(copy)
    try:
        os.link(copy, path)
    except FileExistsError as error:
        raise GalleryExists(f"{path.parent} became a gallery meanwhile; replace it with --replace") from error
    except OSError:  # a file system without links; the rename is as atomic, but would replace a rival's file
        copy.rename(path)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Be the gallery's keeper for as long as the block lasts; the folder is made where it is missing."""
    try:
        make_folder(folder)
    except OSError as error:
        raise refused(error)(f"{folder} cannot be made ({error.strerror}); check its permissions") from error
    keeper = MaintenanceLock.take(folder, "vitreid gallery restore")
    try:
        yield
    finally:
        keeper.release()


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A hidden folder in the gallery's; one that a killed process leaves is removed by the gallery's next keeper."""
    workshop = folder / f"{WORKSHOP}{uuid.uuid4().hex[:8]}"
    try:
        workshop.mkdir()
        yield workshop
    except OSError as error:
        raise refused(error)(
            f"{folder} cannot be written ({error.strerror}); check the disk; nothing was changed"
        ) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
        sync(folder)  # what was erased since the backup lay in it, too


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        putting = insert(table)
        changed = {column.name: putting.excluded[column.name] for column in table.c if not column.primary_key}
        keys = list(table.primary_key)
        connection.execute(putting.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def _last_id(connection: Connection) -> int:
    """The greatest id that an item ever had."""
    found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'items'").scalar()
    return int(found or 0)
