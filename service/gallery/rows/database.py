"""The database file of a gallery: created, opened and checked."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from vitreid.bundle.atomic import make_folder, sync
from vitreid.service.db import Database, Format, create_tables, schema_faults, sqlite, translated, upgrade
from vitreid.service.errors import GalleryError
from vitreid.service.gallery import lock
from vitreid.service.gallery.errors import (
    STORAGE_ERRORS,
    GalleryDamaged,
    GalleryNotFound,
    GalleryReadOnly,
    NotAGallery,
    disk_errors,
)
from vitreid.service.gallery.rows.tables import embeddings_of, gallery, generations, metadata
from vitreid.service.values.times import utc_now

FILE = "gallery.db"
CHECKED_BYTES = 256 << 20  # read in about half a second
STAGING = ".gallery.db."  # start of the names of folders in which databases are made

FORMAT = Format(metadata, header=gallery)


def open_database(folder: Path, *, read_through: bool = True) -> Database:
    """Open the database in `folder`, checked as a whole, whatever bundle it is of.

    A large one is not read through: embeddings have checksums, SQLite reports a damaged page when it gets there, and
    `vitreid gallery verify` reads everything. Without `read_through` none is: where that was just done, or is done
    next. Raises GalleryNotFound, NotAGallery, GalleryDamaged, GalleryTooNew.
    """
    path = folder / FILE
    if not _is_file(path):
        check_empty(folder)
        raise GalleryNotFound(f"{folder} holds no gallery; make one with `vitreid index IMAGES --gallery {folder}`")
    database = Database(path, STORAGE_ERRORS)
    try:
        if read_through and path.stat().st_size <= CHECKED_BYTES:
            database.check()
        upgrade(database, FORMAT)
        _check_schema(database)
    except BaseException:
        database.close()
        raise
    return database


def create_database(folder: Path, *, bundle_id: str, dimension: int) -> None:
    """Create an empty database in `folder`, whole or not at all; one that is there or appears meanwhile stays.

    Raises NotAGallery, GalleryReadOnly, GalleryFull.
    """
    path = folder / FILE
    if _is_file(path):
        return
    check_empty(folder)
    with disk_errors(folder, "made"):
        make_folder(folder)
        staging = folder / f"{STAGING}{uuid.uuid4().hex[:8]}"
        staging.mkdir()
    try:
        with translated(staging / FILE, STORAGE_ERRORS):
            sqlite.create_file(staging / FILE)
        with closing(Database(staging / FILE, STORAGE_ERRORS)) as database:  # closing moves the log into the file
            _write_header(database, bundle_id=bundle_id, dimension=dimension)
        publish(staging / FILE, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    sync(folder)


def publish(made: Path, path: Path) -> bool:
    """Put a finished database in place; False where another one is there by now, which stays."""
    sync(made)
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links; the rename is as atomic, but would replace a rival's file
        made.rename(path)
    return True


def bundle_of(folder: Path) -> str | None:
    """Return the id of the bundle that a gallery was made with; None for no gallery or an unreadable one."""
    if not (folder / FILE).is_file():
        return None
    try:
        with closing(Database(folder / FILE, STORAGE_ERRORS)) as database, database.reading() as connection:
            found: str | None = connection.execute(select(gallery.c.bundle_id)).scalar()
    except GalleryError:
        return None
    return found


def holds_gallery(folder: Path) -> bool:
    """Return whether a folder holds a gallery, or cannot be read and may."""
    try:
        return _is_file(folder / FILE)
    except GalleryReadOnly:
        return True


def check_empty(folder: Path) -> None:
    """Raise NotAGallery where a folder holds something else, GalleryReadOnly where it cannot be read."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotAGallery(f"{folder} is a file, a gallery is a folder; choose another name")
    with disk_errors(folder, "read"):
        names = [entry.name for entry in folder.iterdir()]
    if others := sorted(name for name in names if not name.startswith(STAGING) and name != lock.FILE):
        raise NotAGallery(
            f"{folder} is not a gallery: it holds {others[0]!r} and no {FILE}; choose an empty or a new folder"
        )


def _is_file(path: Path) -> bool:
    with disk_errors(path.parent, "read"):
        return path.is_file()


def _write_header(database: Database, *, bundle_id: str, dimension: int) -> None:
    now = utc_now()
    model = {"bundle_id": bundle_id, "dimension": dimension, "created_at": now}
    with database.writing() as connection:
        create_tables(
            connection, FORMAT, **model, last_seq=0, last_at=now, lineage=uuid.uuid4().hex, generation=1, purged_seq=0
        )
        embeddings_of(1).create(connection)
        connection.execute(generations.insert().values(id=1, state="live", **model))


def _check_schema(database: Database) -> None:
    """Raise GalleryDamaged where a table or a column is missing, or there is what is not ours."""
    with database.reading(opening=True) as connection:
        numbers = connection.execute(select(generations.c.id)).scalars().all()
        live = connection.execute(select(gallery.c.generation)).scalar_one()
        tables = [*metadata.tables.values(), *map(embeddings_of, {*numbers, live})]
        fault = next(schema_faults(connection, tables), None)
    if fault is not None:
        raise GalleryDamaged.at(database.path, f"{fault}, so it is damaged or not ours")
