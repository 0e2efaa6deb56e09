"""The reads that every search makes, on one kept connection and without the cost of building statements."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from vitreid.service.gallery.database import Database, translated
from vitreid.service.gallery.errors import GalleryNotFound

Values = tuple[Any, ...]
_OPENINGS = 2**32  # more than the commits that a connection sees


class Reader:
    """Short reads of one database, one at a time; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._path = database.path
        self._reading = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._openings = 0
        self._closed = False
        database.when_resting(self._rest)
        self.version()  # what cannot be opened is told at once

    def rows(self, statement: str, *parameters: object) -> list[Values]:
        """All rows of an answer, as SQLite has them. Raises GalleryError; GalleryNotFound once it is closed."""
        self._database.wake()
        with self._reading, translated(self._path):
            return self._open().execute(statement, parameters).fetchall()

    def version(self) -> int:
        """A number that is another one after every commit by any other connection, of this process or not."""
        self._database.wake()
        with self._reading, translated(self._path):
            (version,) = self._open().execute("PRAGMA data_version").fetchone()
            return self._openings * _OPENINGS + int(version)  # each connection counts for itself

    def close(self) -> None:
        """Close the connection."""
        with self._reading:
            self._closed = True
            self._shut()

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise GalleryNotFound(f"{self._path.parent} was closed; it may have been dropped")
        if self._connection is None:
            self._connection = self._database.kept()
            self._openings += 1
        return self._connection

    def _rest(self) -> None:
        if self._reading.acquire(blocking=False):  # who reads now is not idle
            try:
                self._shut()
            finally:
                self._reading.release()

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
