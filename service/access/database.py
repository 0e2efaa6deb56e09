"""DATA/access.db: the tables of keys and of the audit log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, inspect

from vitreid.service.access.errors import AccessUnusable
from vitreid.service.db import (
    Database,
    Fault,
    Format,
    JsonText,
    StorageErrors,
    UtcText,
    create_tables,
    schema_faults,
    upgrade,
)
from vitreid.service.db.sqlite import BY_KEY, NO_ID_TWICE

FILE = "access.db"
OWNER_ONLY = 0o600  # SQLite gives its log the rights of the file
REMEDY = "check its rights and the disk, or restore it from a backup"
ERRORS = StorageErrors(
    dict.fromkeys(Fault, AccessUnusable), {fault: REMEDY for fault in Fault if fault is not Fault.TOO_NEW}
)

metadata = MetaData()

access = Table(
    "access",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("format_version", Integer, nullable=False),
    Column("checks", Integer, nullable=False),  # written to see that the file can be written
)

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("secret_hash", String, nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("galleries", JsonText),  # null: every one
    Column("cameras", JsonText),
    Column("created_at", UtcText, nullable=False),
    Column("expires_at", UtcText),
    Column("revoked_at", UtcText),
    Column("last_used_at", UtcText),
    **BY_KEY,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),  # a gap shows that a row is missing
    Column("at", UtcText, nullable=False),
    Column("request_id", String),
    Column("key_id", String),
    Column("name", String, nullable=False),
    Column("address", String),
    Column("action", String, nullable=False),
    Column("gallery", String),
    Column("items", JsonText, nullable=False),
    Column("person_id", String),
    Column("status", Integer),
    Index("audit_by_time", "at"),
    **NO_ID_TWICE,
)

FORMAT = Format(metadata, header=access)


class AccessDatabase(Database):
    """The open file of a data folder. Every method raises AccessUnusable."""

    def __init__(self, data: Path, *, create: bool = True) -> None:
        path = data / FILE
        if not create and not path.is_file():
            raise AccessUnusable(f"there is no {path}; name the data folder of the service with --data")
        try:
            data.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        except OSError as error:
            raise AccessUnusable(f"{path} cannot be made ({error.strerror}); check the folder's rights") from error
        super().__init__(path, ERRORS)
        self._prepare()
        self._reader = self.direct()
        self._quick_writer = self.direct(durable=False)

    def _prepare(self) -> None:
        with self.reading(opening=True) as connection:
            empty = not inspect(connection).get_table_names()
        if empty:
            with self.writing() as connection:
                if not inspect(connection).get_table_names():  # another process may have been here in between
                    create_tables(connection, FORMAT, checks=0)
        upgrade(self, FORMAT)
        with self.reading(opening=True) as connection:
            fault = next(schema_faults(connection, metadata.tables.values()), None)
        if fault is not None:
            raise self.error(Fault.DAMAGED, f"{fault}, so it is damaged or not ours")

    def look_up(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return all rows of one short read, with the stored values."""
        return self._reader.run(statement, *parameters)

    def write_quickly(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Make one short change, committed on return; return the rows of the statement.

        A power failure may undo it, the end of a process does not.
        """
        return self._quick_writer.run(statement, *parameters)

    def check_writable(self) -> None:
        """Commit a change that matters to nobody."""
        self.write_quickly("UPDATE access SET checks = checks + 1")
