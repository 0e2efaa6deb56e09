"""A SQLite file: connections with the settings that durability and erasure need, and its errors as ours."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from vitreid.service.errors import GalleryError
from vitreid.service.gallery.errors import GalleryBusy, GalleryDamaged, GalleryFull, GalleryOutOfFiles, GalleryReadOnly
from vitreid.service.gallery.resting import AWAKE
from vitreid.service.gallery.rows.tables import Unreadable, stored_json
from vitreid.service.values import descriptors

BUSY_TIMEOUT_S = 10.0
STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine; some hundredths of a second
REMEDY_DAMAGED = "restore the folder from a backup, or move it away and index the images again"

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL may lose acknowledged rows when the power fails
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # FAST would leave deleted vectors and images in the file
    "PRAGMA trusted_schema = OFF",  # a file from elsewhere calls no function of this program
)

OUT_OF_FILES = (GalleryOutOfFiles, "raise the limit on open files (ulimit -n; LimitNOFILE= in a systemd unit)")
_READ_ONLY = (GalleryReadOnly, "check that this user may write the folder and its files")
_DAMAGED = (GalleryDamaged, REMEDY_DAMAGED)
_FULL = (GalleryFull, "free some disk space and repeat the command; what was acknowledged is kept")
_ERRORS: dict[int, tuple[type[GalleryError], str]] = {
    sqlite3.SQLITE_BUSY: (GalleryBusy, "another process is writing to it; try again when it has finished"),
    sqlite3.SQLITE_FULL: _FULL,
    # A quota or a limit on the size of files; SQLite knows only ENOSPC as full, and that not of its shared memory.
    sqlite3.SQLITE_IOERR_WRITE: _FULL,
    sqlite3.SQLITE_IOERR_SHMOPEN: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: (GalleryError, "the disk does not read or write; check it and the system's log"),
}


class Database:
    """One SQLite file with many readers and one writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        self._writer = self._engine.execution_options(immediate=True)
        # SQLite lets a second writer of the same process poll; a lock wakes it at once.
        self._writing = threading.Lock()
        self._resting: list[Callable[[], None]] = []

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout. Raises GalleryError."""
        self.wake()
        with translated(self.path), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The only writing transaction; durable once the block ends, undone if it raises. Raises GalleryError."""
        self.wake()
        with self._writing, translated(self.path), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def restructuring(self) -> Iterator[Connection]:
        """As `writing`, without foreign keys, so that a table can be dropped and made anew. Raises GalleryError."""
        with self._writing, translated(self.path), self._writer.connect() as connection:
            sqlite: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # Any | None
            sqlite.execute("PRAGMA foreign_keys = OFF")  # of no effect inside of a transaction
            try:
                with connection.begin():
                    yield connection
            finally:
                sqlite.execute("PRAGMA foreign_keys = ON")

    def check(self) -> None:
        """Read every page and index. Raises GalleryDamaged for the first thing that cannot be right."""
        with translated(self.path, opening=True), self._engine.begin() as connection:
            found = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
        if found != "ok":
            raise GalleryDamaged(f"{self.path} is damaged ({' '.join(found.split())}); {REMEDY_DAMAGED}")

    def truncate_log(self) -> bool:
        """Move the write-ahead log into the file and empty it, so that no deleted content is left in it.

        False where a reader kept it busy for BUSY_TIMEOUT_S; the next call, or the last process to close, does it.
        """
        with translated(self.path), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            cursor.close()
        return not busy

    def vacuum(self, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Write the file anew, without what deleted rows left in its pages; False where it was cancelled.

        Needs the size of the file twice more meanwhile: in SQLite's temporary folder and in the write-ahead log.
        Writers wait until it is done.
        """
        with self._writing, translated(self.path):
            return self._vacuum("VACUUM", (), cancelled)

    def copy_to(self, path: Path, watch: Callable[[], bool] = lambda: False) -> bool:
        """Write one state of the database into a new file that holds no trace of deleted rows; writers go on.

        `watch` is called now and then; where it returns true the copy ends unfinished, and this with False.
        """
        with translated(path):
            return self._vacuum("VACUUM INTO ?", (str(path),), watch)

    def _vacuum(self, statement: str, parameters: tuple[str, ...], cancelled: Callable[[], bool]) -> bool:
        with closing(self._engine.raw_connection()) as pooled:
            connection: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]  # typed Any | None
            connection.set_progress_handler(cancelled, STEPS_BETWEEN_LOOKS)
            try:
                connection.execute(statement, parameters)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                if not cancelled():  # SQLite swallows an exception of the handler, and Ctrl-C is the one that comes
                    raise KeyboardInterrupt from error
                return False
            finally:
                connection.set_progress_handler(None, 0)
        return True

    def kept(self) -> sqlite3.Connection:
        """A connection of the caller's own, which commits each statement. Raises GalleryError."""
        with translated(self.path):
            return _connect(self.path)

    def wake(self) -> None:
        """Note that the database is asked: those that are not may rest."""
        AWAKE.use(self)

    def when_resting(self, close: Callable[[], None]) -> None:
        """Call `close`, which closes a kept connection, whenever the database rests."""
        self._resting.append(close)

    def rest(self) -> None:
        """Close every connection that is not in use; the next use opens one again."""
        for close in self._resting:
            close()
        self._engine.dispose()

    def close(self) -> None:
        """Close every connection that is not in use."""
        AWAKE.forget(self)
        self._engine.dispose()


@contextmanager
def translated(path: Path, *, opening: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into ours, by its result codes.

    While `opening`, whatever SQLite has to say against a file is a damage of that file; later the same codes can
    only be our own mistakes and keep their traceback.
    """
    try:
        yield
    except (Unreadable, UnicodeDecodeError) as error:  # a flipped bit that SQLite does not notice, or quotes
        raise GalleryDamaged(f"{path} is damaged ({error}); {REMEDY_DAMAGED}") from error
    except (DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        # The primary code is the low byte. The sqlite3 module itself raises an OperationalError only where text is
        # not UTF-8, and gives it no code.
        code = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        misuse = isinstance(original, sqlite3.ProgrammingError)
        known = None if misuse else _ERRORS.get(code) or _ERRORS.get(code & 0xFF, _DAMAGED if opening else None)
        if known is None:
            raise
        kind, remedy = OUT_OF_FILES if known is _READ_ONLY and descriptors.exhausted() else known
        said = " ".join(str(original).split())  # it may quote a definition of several lines
        raise kind(f"{path} cannot be used ({said}); {remedy}") from error


def _engine(path: Path) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(path),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=-1,
        json_deserializer=stored_json,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a file that vanished is an error, not an empty gallery. isolation_level=None: BEGIN is ours.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for setting in SETTINGS:
            connection.execute(setting)
    except BaseException:
        connection.close()
        raise
    return connection
