"""How a gallery's folder comes into being, and how its database is opened."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, select

from vitreid.bundle.atomic import make_folder, sync
from vitreid.service.gallery.database import REMEDY_DAMAGED, Database, translated
from vitreid.service.gallery.errors import (
    BundleMismatch,
    GalleryDamaged,
    GalleryNotFound,
    GalleryReadOnly,
    GalleryTooNew,
    NotAGallery,
)
from vitreid.service.gallery.maintenance import lock
from vitreid.service.gallery.rows.migrations import FORMAT_VERSION, migrate
from vitreid.service.gallery.rows.schema import gallery_schema_faults
from vitreid.service.gallery.rows.tables import embeddings_of, gallery, generations, metadata
from vitreid.service.gallery.storage_errors import refused

FILE = "gallery.db"
CHECKED_BYTES = 256 << 20  # read in about half a second
UNFINISHED = ".gallery.db."  # start of the names of databases that are still being made


def open_database(folder: Path, *, bundle_id: str, dimension: int, create: bool, read_through: bool = True) -> Database:
    """Open the database in `folder`, of this bundle and checked as a whole; make it first where it is missing.

    A large one is not read through: embeddings have checksums, SQLite tells a damaged page when it gets there, and
    `vitreid gallery verify` reads everything.

    Raises GalleryNotFound (missing, and not `create`), NotAGallery, GalleryDamaged, GalleryTooNew, BundleMismatch.
    """
    path = folder / FILE
    if create and not _is_file(path):
        check_empty(folder)
        _create(path, bundle_id=bundle_id, dimension=dimension)
    database = open_existing(folder, read_through=read_through)
    try:
        _check_bundle(database, folder, bundle_id=bundle_id, dimension=dimension)
    except BaseException:
        database.close()
        raise
    return database


def open_existing(folder: Path, *, read_through: bool = True) -> Database:
    """Open the database in `folder`, checked as a whole, whatever bundle it is of.

    Without `read_through` its pages are not: where that was just done, or is done next.

    Raises GalleryNotFound, NotAGallery, GalleryDamaged, GalleryTooNew.
    """
    path = folder / FILE
    if not _is_file(path):
        check_empty(folder)
        raise GalleryNotFound(f"{folder} holds no gallery; make one with `vitreid index IMAGES --gallery {folder}`")
    database = Database(path)
    try:
        if read_through and path.stat().st_size <= CHECKED_BYTES:
            database.check()
        _check_version(database)
        _check_tables(database)
    except BaseException:
        database.close()
        raise
    return database


def _header(database: Database, *columns: Column[Any]) -> tuple[Any, ...]:
    """Columns of the one row that describes the gallery. Raises GalleryDamaged where it is missing."""
    with translated(database.path, opening=True), database.reading() as connection:
        row = connection.execute(select(*columns)).first()
    if row is None:
        raise GalleryDamaged(f"{database.path} is damaged (no row in table gallery); {REMEDY_DAMAGED}")
    return tuple(row)


def holds_gallery(folder: Path) -> bool:
    """Whether a folder holds a gallery, or cannot be looked into and may."""
    try:
        return _is_file(folder / FILE)
    except GalleryReadOnly:
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise refused(error)(f"{path.parent} cannot be read ({error.strerror}); check its permissions") from error


def check_empty(folder: Path) -> None:
    """Raise NotAGallery where a folder holds something else, GalleryReadOnly where it cannot be read."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotAGallery(f"{folder} is a file, a gallery is a folder; choose another name")
    try:
        names = (entry.name for entry in folder.iterdir())
        others = sorted(name for name in names if not name.startswith(UNFINISHED) and name != lock.FILE)
    except OSError as error:
        raise refused(error)(f"{folder} cannot be read ({error.strerror}); check its permissions") from error
    if others:
        raise NotAGallery(
            f"{folder} is not a gallery: it holds {others[0]!r} and no {FILE}; choose an empty or a new folder"
        )


def _create(path: Path, *, bundle_id: str, dimension: int) -> None:
    """Make an empty database aside and put it in place at once; one that another process put there first stays."""
    try:
        make_folder(path.parent)
        workshop = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex[:8]}")
        workshop.mkdir()
    except OSError as error:
        raise refused(error)(f"{path.parent} cannot be made ({error.strerror}); check its permissions") from error
    try:
        made = workshop / FILE
        with translated(made), closing(sqlite3.connect(made)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        database = Database(made)
        try:
            _write_first_tables(database, bundle_id=bundle_id, dimension=dimension)
        finally:
            database.close()  # the last connection moves the log into the file
        sync(made)
        _put_in_place(made, path)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    sync(path.parent)


def _put_in_place(made: Path, path: Path) -> None:
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links; the rename is as atomic, but would replace a rival's file
        made.rename(path)


def _write_first_tables(database: Database, *, bundle_id: str, dimension: int) -> None:
    now = datetime.now(UTC)
    model = {"bundle_id": bundle_id, "dimension": dimension, "created_at": now}
    with database.writing() as connection:
        migrate(connection, 0)
        connection.execute(generations.insert().values(id=1, state="live", **model))
        connection.execute(
            gallery.insert().values(
                id=1,
                format_version=FORMAT_VERSION,
                last_seq=0,
                last_at=now,
                lineage=uuid.uuid4().hex,
                generation=1,
                purged_seq=0,
                **model,
            )
        )


def _check_version(database: Database) -> None:
    (found,) = _header(database, gallery.c.format_version)
    if found > FORMAT_VERSION:
        raise GalleryTooNew(
            f"{database.path} has format_version {found}, this vitreid reads up to {FORMAT_VERSION}; update vitreid"
        )
    if found < FORMAT_VERSION:
        with database.restructuring() as connection:
            # Read again: another process may have migrated in between.
            migrate(connection, connection.execute(select(gallery.c.format_version)).scalar_one())


def _check_tables(database: Database) -> None:
    """Raise GalleryDamaged where a table or a column is missing, or there is what is not ours."""
    with translated(database.path, opening=True), database.reading() as connection:
        (generation,) = connection.execute(select(gallery.c.generation)).one()
        for table in (*metadata.tables.values(), embeddings_of(generation)):
            connection.execute(select(table).limit(0))
        connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence LIMIT 0")  # SQLite's own: the greatest ids
        fault = next(gallery_schema_faults(connection), None)
    if fault is not None:
        raise GalleryDamaged(f"{database.path} is damaged or not ours: {fault}; {REMEDY_DAMAGED}")


def _check_bundle(database: Database, folder: Path, *, bundle_id: str, dimension: int) -> None:
    found_id, found_dimension = _header(database, gallery.c.bundle_id, gallery.c.dimension)
    if (found_id, found_dimension) != (bundle_id, dimension):
        raise BundleMismatch(
            f"{folder} holds embeddings of bundle {found_id[:12]} ({found_dimension} numbers each), "
            f"given is bundle {bundle_id[:12]} ({dimension}); "
            "use the bundle that the gallery was made with, or embed it again with this one: vitreid gallery reembed"
        )
