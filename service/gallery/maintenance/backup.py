"""Backups: a folder with one state of a gallery's database, written while others write."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import select

from vitreid.bundle.atomic import atomic_folder, sync
from vitreid.bundle.checksum import sha256_of
from vitreid.service.db import Database, translated
from vitreid.service.db.sqlite import connected_as_it_is
from vitreid.service.errors import BadParameter
from vitreid.service.gallery.errors import STORAGE_ERRORS, BackupDamaged, BackupNotFound, disk_errors
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.gallery.rows.database import FILE
from vitreid.service.gallery.rows.tables import backups
from vitreid.service.gallery.rows.tables import gallery as header
from vitreid.service.gallery.snapshots.checksummed import Checksummed
from vitreid.service.values.messages import first_mistake
from vitreid.service.values.times import UtcTime

MANIFEST = "manifest.json"
NAMES = (FILE, f"{FILE}-journal", f"{FILE}-wal", f"{FILE}-shm", MANIFEST)
"""Names of files in a backup, also in one that is being made."""
FORMAT_VERSION = 1
REMEDY = "choose another place or make room"


class BackupManifest(Checksummed):
    """Description of a backup."""

    format_version: int
    id: str
    created_at: UtcTime
    gallery: str
    """Name of the gallery that it was made from."""
    lineage: str
    bundle_id: str
    dimension: int
    seq: int
    """Position in the gallery's history."""
    items: int
    bytes: int
    """Size of the database; with `sha256` it is checked before anything is restored."""
    sha256: str


def back_up(
    gallery: Gallery, out: Path, now: datetime, progress: Callable[[int, int], None] = lambda done, total: None
) -> BackupManifest:
    """Write one state of a gallery into the new folder `out`, whole or not at all; others may write meanwhile.

    It holds no trace of items that were deleted before. The gallery remembers the backup and its place, so that
    erasures can name it. `progress` gets the bytes done and an estimate of all. Raises BadParameter for a place
    that is taken or lies in the gallery, GalleryFull, GalleryReadOnly.
    """
    database, out = gallery._store.database, out.absolute()
    if out.exists():
        raise BadParameter(f"{out} exists already; name a new folder for the backup")
    if out.resolve().is_relative_to(database.path.parent.resolve()):
        raise BadParameter(f"{out} lies in the gallery itself; name a folder outside of {database.path.parent}")
    backup_id = str(uuid.uuid4())
    # Remembered first: a backup that nobody knows of could keep what is erased later. `seq` may be too low, never
    # too high, so at worst a receipt names a backup that does not hold the items.
    with database.writing() as connection:
        seq = connection.execute(select(header.c.last_seq)).scalar_one()
        connection.execute(backups.insert().values(id=backup_id, created_at=now, seq=seq, place=str(out)))
    try:
        with disk_errors(out, "written", REMEDY), atomic_folder(out) as folder:
            _copy(database, folder / FILE, progress)
            manifest = _describe(folder / FILE, backup_id, now, gallery_name=gallery.name)
            (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except BaseException:
        with database.writing() as connection:
            connection.execute(backups.delete().where(backups.c.id == backup_id))
        raise
    return manifest


def check_backup(folder: Path) -> BackupManifest:
    """Return the manifest of a backup after checking its database. Raises BackupDamaged."""
    remedy = "take another backup"
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise BackupDamaged(f"{folder} is no backup: {MANIFEST} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise BackupDamaged(f"{folder / MANIFEST}: {first_mistake(error)}; {remedy}") from error
    if manifest.format_version > FORMAT_VERSION:
        raise BackupDamaged(
            f"{folder} has format_version {manifest.format_version}, this vitreid reads up to {FORMAT_VERSION}; "
            "update vitreid"
        )
    path = folder / FILE
    try:
        found = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise BackupDamaged(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    if found != (manifest.bytes, manifest.sha256):
        raise BackupDamaged(
            f"{path} is damaged: {found[0]:,} bytes with SHA-256 {found[1][:12]}, "
            f"expected {manifest.bytes:,} with {manifest.sha256[:12]}; {remedy}"
        )
    return manifest


def drop_backup(gallery: Gallery, backup_id: str, now: datetime, *, gone: bool = False) -> Path:
    """Remove a backup and record that it is gone; return the place where it was.

    The folder stays where it holds something else. With `gone` it was removed by other means, wherever it had been
    moved to. Raises BackupNotFound.
    """
    database = gallery._store.database
    with database.reading() as connection:
        row = connection.execute(backups.select().where(backups.c.id == backup_id)).first()
    if row is None or row.purged_at is not None:
        raise BackupNotFound(
            f"no backup {backup_id!r} of this gallery; `vitreid gallery info` lists those that there are"
        )
    place = Path(row.place)
    with disk_errors(place, "written", REMEDY):
        for left in _unfinished(place):
            shutil.rmtree(left, ignore_errors=True)
    if not gone:
        _remove(place, backup_id)
    with database.writing() as connection:
        connection.execute(backups.update().where(backups.c.id == backup_id).values(purged_at=now))
    return place


def _remove(place: Path, backup_id: str) -> None:
    try:
        found = BackupManifest.model_validate_json((place / MANIFEST).read_bytes()).id
    except (OSError, ValidationError) as error:
        raise BackupNotFound(
            f"backup {backup_id} is not at {place} any more; when no copy is left anywhere, confirm it with --gone"
        ) from error
    if found != backup_id:
        raise BackupNotFound(f"{place} holds backup {found} and not {backup_id}; nothing was removed")
    with disk_errors(place, "written", REMEDY):
        real = place.resolve()
        for name in NAMES:  # the manifest last: a removal that is cut short can be repeated
            (real / name).unlink(missing_ok=True)
        if not any(real.iterdir()):  # what somebody put beside the backup stays
            real.rmdir()
            if place.is_symlink():
                place.unlink()
        sync(place.parent)


def _unfinished(place: Path) -> list[Path]:
    """Return what a killed backup to this place left, and nothing else with a similar name."""
    if not place.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(place.name)}\.[0-9a-f]{{8}}\.tmp")
    similar = [path for path in place.parent.iterdir() if name.fullmatch(path.name) and not path.is_symlink()]
    return [path for path in similar if path.is_dir() and {each.name for each in path.iterdir()} <= set(NAMES)]


def _copy(database: Database, path: Path, progress: Callable[[int, int], None]) -> None:
    total = database.path.stat().st_size

    def watch() -> bool:
        progress(path.stat().st_size if path.exists() else 0, total)
        return False

    database.copy_to(path, watch)


def _describe(path: Path, backup_id: str, now: datetime, *, gallery_name: str) -> BackupManifest:
    # Not a Database: that would turn the file to WAL mode, and a backup is one file.
    with translated(path, STORAGE_ERRORS), connected_as_it_is(path) as connection:
        facts = connection.execute("SELECT lineage, bundle_id, dimension, last_seq FROM gallery").fetchone()
        (size,) = connection.execute("SELECT count(*) FROM items").fetchone()
    lineage, bundle_id, dimension, seq = facts
    return BackupManifest(
        format_version=FORMAT_VERSION,
        id=backup_id,
        created_at=now,
        gallery=gallery_name,
        lineage=lineage,
        bundle_id=bundle_id,
        dimension=dimension,
        seq=seq,
        items=size,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    ).with_checksum()
