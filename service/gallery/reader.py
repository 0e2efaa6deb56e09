"""The reads that every search makes, on one kept connection and without the cost of building statements."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from service.gallery.database import Database, translated
from service.gallery.errors import GalleryNotFound

Values = tuple[Any, ...]


class Reader:
    """Short reads of one database, one at a time; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._path = database.path
        self._reading = threading.Lock()
        self._connection: sqlite3.Connection | None = database.kept()

    def rows(self, statement: str, *parameters: object) -> list[Values]:
        """All rows of an answer, as SQLite has them. Raises GalleryError; GalleryNotFound once it is closed."""
        with self._reading, translated(self._path):
            if self._connection is None:
                raise GalleryNotFound(f"{self._path.parent} was closed; it may have been dropped")
            return self._connection.execute(statement, parameters).fetchall()

    def version(self) -> int:
        """A number that is another one after every commit by any other connection, of this process or not."""
        return int(self.rows("PRAGMA data_version")[0][0])

    def close(self) -> None:
        """Close the connection."""
        with self._reading:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
