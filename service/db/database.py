"""A database file: connections with the settings that durability and erasure need, and its errors as the user's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from vitreid.service.db import sqlite
from vitreid.service.db.column_types import Unreadable
from vitreid.service.db.faults import Fault, StorageErrors
from vitreid.service.db.open_files import OPEN_DATABASES, exhausted
from vitreid.service.errors import ServiceError

_OPENINGS = 2**32  # more than the commits that a connection sees


class Database:
    """One database with many readers and one writer at a time. Every method raises the types of `errors`."""

    def __init__(self, path: Path, errors: StorageErrors) -> None:
        self.path = path
        self.errors = errors
        self._pool = sqlite.create_pool(path)
        self._writer = self._pool.execution_options(immediate=True)
        # SQLite lets a second writer of the same process poll; a lock wakes it at once.
        self._writing = threading.Lock()
        self._direct: list[DirectConnection] = []

    @contextmanager
    def reading(self, *, opening: bool = False) -> Iterator[Connection]:
        """Begin a transaction that sees one state of the database throughout.

        While `opening`, whatever the database reports against the file is a damage of the file.
        """
        OPEN_DATABASES.use(self)
        with self._translated(opening=opening), self._pool.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin the only writing transaction; durable once the block ends, undone if it raises."""
        OPEN_DATABASES.use(self)
        with self._writing, self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def restructuring(self) -> Iterator[Connection]:
        """Begin a writing transaction without foreign keys, so that a table can be dropped and created again."""
        with (
            self._writing,
            self._translated(),
            self._writer.connect() as connection,
            sqlite.without_foreign_keys(connection),
            connection.begin(),
        ):
            yield connection

    def check(self) -> None:
        """Read every page and index; raise for the first damage."""
        with self.reading(opening=True) as connection:
            faults = sqlite.integrity_faults(connection, 1)
        if faults:
            raise self.error(Fault.DAMAGED, faults[0])

    def truncate_log(self) -> bool:
        """Empty the write-ahead log, so that no deleted content is left in it.

        False where a reader kept it busy for BUSY_TIMEOUT_S; the next call, or the last process to close, does it.
        """
        with self._raw() as connection:
            return sqlite.truncate_log(connection)

    def vacuum(self, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Rewrite the file, without what deleted rows left in its pages; False where it was cancelled.

        Needs the size of the file twice more meanwhile: in SQLite's temporary folder and in the write-ahead log.
        Writers wait until it is done.
        """
        with self._writing, self._raw() as connection:
            return sqlite.vacuum(connection, cancelled)

    def copy_to(self, path: Path, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Write one state of the database into a new file that holds no trace of deleted rows; others may write.

        `cancelled` is called often; where it returns true the copy stays unfinished, and this returns False.
        """
        with translated(path, self.errors), self._raw() as connection:
            return sqlite.vacuum(connection, cancelled, path)

    def direct(self, *, durable: bool = True) -> DirectConnection:
        """Return a connection for short statements; without `durable` a power failure may undo the last ones."""
        self._direct.append(DirectConnection(self, durable=durable))
        return self._direct[-1]

    def error(self, fault: Fault, reason: str) -> ServiceError:
        """Return the error for this file."""
        return self.errors.error(fault, self.path, reason)

    def close_idle(self) -> None:
        """Close every connection that is not in use; the next use opens one again."""
        for each in self._direct:
            each.close_idle()
        self._pool.dispose()

    def close(self) -> None:
        """Close every connection that is not in use, and the direct ones for good."""
        OPEN_DATABASES.forget(self)
        for each in self._direct:
            each.close()
        self._pool.dispose()

    @contextmanager
    def _raw(self) -> Iterator[sqlite3.Connection]:
        with self._translated(), closing(self._pool.raw_connection()) as pooled:
            connection: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]  # typed Any | None
            yield connection

    @contextmanager
    def _translated(self, *, opening: bool = False) -> Iterator[None]:
        with translated(self.path, self.errors, opening=opening):
            yield


class DirectConnection:
    """One connection that threads use in turn, without the cost of building statements; each is a transaction."""

    def __init__(self, database: Database, *, durable: bool = True) -> None:
        self._database = database
        self._durable = durable
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._openings = 0
        self._closed = False
        self.version()  # reports at once what cannot be opened

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows with the stored values."""
        with self._used() as connection:
            return connection.execute(statement, parameters).fetchall()

    def version(self) -> int:
        """Return a number that changes with every commit of any other connection, of this process or not."""
        with self._used() as connection:  # each connection counts for itself
            return self._openings * _OPENINGS + sqlite.data_version(connection)

    def close_idle(self) -> None:
        """Close the connection unless it is in use; the next use opens it again."""
        if self._lock.acquire(blocking=False):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Close the connection; a later use raises the error for Fault.CLOSED."""
        with self._lock:
            self._closed = True
            self._disconnect()

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        database = self._database
        if not self._closed:
            OPEN_DATABASES.use(database)
        with self._lock, translated(database.path, database.errors):
            if self._closed:
                raise database.error(Fault.CLOSED, "it was closed")
            if self._connection is None:
                self._connection = sqlite.connect(database.path)
                self._openings += 1
                if not self._durable:
                    self._connection.execute(sqlite.NOT_DURABLE)
            yield self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def translated(path: Path, errors: StorageErrors, *, opening: bool = False) -> Iterator[None]:
    """Turn errors of the database into those of its user; our own mistakes keep their traceback."""
    try:
        yield
    except (Unreadable, UnicodeDecodeError) as error:  # a flipped bit that SQLite does not notice, or quotes
        raise errors.error(Fault.DAMAGED, path, str(error)) from error
    except (DBAPIError, sqlite3.Error) as error:
        fault = sqlite.fault_of(error, opening=opening)
        if fault is None:
            raise
        if fault is Fault.READ_ONLY and exhausted():
            fault = Fault.OUT_OF_FILES
        original = error.orig if isinstance(error, DBAPIError) else error
        reason = " ".join(str(original).split())  # it may quote a definition of several lines
        raise errors.error(fault, path, reason) from error
