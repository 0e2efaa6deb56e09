"""DATA/access.db: the tables of keys and of the audit log, and how a file gets to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, Integer, MetaData, String, Table

from vitreid.service.access.errors import AccessUnusable
from vitreid.service.errors import GalleryError
from vitreid.service.gallery.database import Database, translated
from vitreid.service.gallery.rows.schema import Schema, schema_after, schema_faults
from vitreid.service.gallery.rows.tables import UtcText

FILE = "access.db"
OWNER_ONLY = 0o600  # SQLite gives its log the rights of the file

metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("secret_hash", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("galleries", JSON(none_as_null=True)),  # null: every one
    Column("cameras", JSON(none_as_null=True)),
    Column("created_at", UtcText, nullable=False),
    Column("expires_at", UtcText),
    Column("revoked_at", UtcText),
    Column("last_used_at", UtcText),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),  # AUTOINCREMENT: a gap shows that a row is missing
    Column("at", UtcText, nullable=False),
    Column("request_id", String),
    Column("key_id", String),
    Column("name", String, nullable=False),
    Column("address", String),
    Column("action", String, nullable=False),
    Column("gallery", String),
    Column("items", JSON, nullable=False),
    Column("person_id", String),
    Column("status", Integer),
    sqlite_autoincrement=True,
)

M001_FIRST_TABLES = (
    """CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        secret_hash TEXT NOT NULL,
        scopes TEXT NOT NULL,
        galleries TEXT,
        cameras TEXT,
        created_at TEXT NOT NULL,
        expires_at TEXT,
        revoked_at TEXT,
        last_used_at TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        request_id TEXT,
        key_id TEXT,
        name TEXT NOT NULL,
        address TEXT,
        action TEXT NOT NULL,
        gallery TEXT,
        items TEXT NOT NULL,
        person_id TEXT,
        status INTEGER
    )""",
    "CREATE INDEX audit_by_time ON audit (at)",
)

MIGRATIONS: tuple[Sequence[str], ...] = (M001_FIRST_TABLES,)
"""The step at position n leads from user_version n to n + 1; never changed once released."""


class AccessDatabase:
    """The open file of a data folder. Every method raises AccessUnusable.

    What every request does goes over kept connections, without the cost of building statements.
    """

    def __init__(self, data: Path, *, create: bool = True) -> None:
        self.path = data / FILE
        if not create and not self.path.is_file():
            raise AccessUnusable(f"there is no {self.path}; name the data folder of the service with --data")
        with _as_ours(self.path):
            _touch(self.path)
            self._database = Database(self.path)
            _migrate(self._database)
            self._reader = _Kept(self._database)
            self._writer = _Kept(self._database)
            self._writer.run("PRAGMA synchronous = NORMAL")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state throughout."""
        with _as_ours(self.path), self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends."""
        with _as_ours(self.path), self._database.writing() as connection:
            yield connection

    def look_up(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows of one short read, as SQLite has them."""
        with _as_ours(self.path):
            return self._reader.run(statement, *parameters)

    def write_quickly(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """One short change, committed on return, and the rows that it returns.

        A power failure may take it back, the end of a process does not.
        """
        with _as_ours(self.path):
            return self._writer.run(statement, *parameters)

    def touch(self) -> None:
        """Commit a change that changes nothing. Raises AccessUnusable."""
        self.write_quickly(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        self._reader.close()
        self._database.close()


class _Kept:
    """One connection that several threads use in turn; each statement is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._connection = database.kept()
        self._turn = threading.Lock()

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._turn, translated(self._path):
            return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        with self._turn:
            self._connection.close()


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))


def _migrate(database: Database) -> None:
    with database.reading() as connection:
        if _version(connection) == len(MIGRATIONS):
            if (fault := next(schema_faults(connection, _schema()), None)) is not None:
                raise AccessUnusable(f"{database.path} is damaged or not ours: {fault}; restore it from a backup")
            return
    with database.writing() as connection:
        found = _version(connection)  # read again: another process may have been here in between
        if found > len(MIGRATIONS):
            raise AccessUnusable(
                f"{database.path} has version {found}, this vitreid reads up to {len(MIGRATIONS)}; update vitreid"
            )
        for step in MIGRATIONS[found:]:
            for statement in step:
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA user_version = {len(MIGRATIONS)}")


@cache
def _schema() -> Schema:
    return schema_after(MIGRATIONS)


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


@contextmanager
def _as_ours(path: Path) -> Iterator[None]:
    try:
        yield
    except GalleryError as error:
        reason = getattr(error.__cause__, "orig", error.__cause__)
        raise AccessUnusable(
            f"{path} cannot be used ({reason}); check its rights and the disk, or restore it from a backup"
        ) from error
    except OSError as error:
        raise AccessUnusable(f"{path} cannot be made ({error.strerror}); check the folder's rights") from error
