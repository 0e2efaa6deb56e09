"""All that is SQLite's own: connections, error codes, maintenance of the file, ids, and the text of its schema."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import ClauseElement, Connection, Engine, QueuePool, Select, Table, create_engine, event, func, select
from sqlalchemy.dialects.sqlite import dialect, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from vitreid.service.db.faults import Fault

BUSY_TIMEOUT_S = 10.0
STEPS_BETWEEN_CALLS = 100_000  # of SQLite's machine; some hundredths of a second
PAGES_AT_ONCE = 8  # fewer than the smallest gallery has, so that `check` runs before the last are replaced

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL may lose acknowledged rows when the power fails
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # FAST would leave deleted vectors and images in the file
    "PRAGMA trusted_schema = OFF",  # a file from elsewhere calls no function of this program
)
NOT_DURABLE = "PRAGMA synchronous = NORMAL"

NO_ID_TWICE: dict[str, Any] = {"sqlite_autoincrement": True}
"""Option of a table whose ids are never used again."""
BY_KEY: dict[str, Any] = {"sqlite_with_rowid": False}
"""Option of a table whose rows lie in the order of its primary key."""

_ERRORS = {
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_FULL: Fault.FULL,
    # A quota or a limit on the size of files; SQLite knows only ENOSPC as full, and that not of its shared memory.
    sqlite3.SQLITE_IOERR_WRITE: Fault.FULL,
    sqlite3.SQLITE_IOERR_SHMOPEN: Fault.FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: Fault.READ_ONLY,
    sqlite3.SQLITE_PERM: Fault.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
    sqlite3.SQLITE_IOERR: Fault.OTHER,
}
# A file can have triggers and views that are called sqlite_...: only its own tables and indexes are SQLite's.
_DEFINITIONS = (
    "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE NOT (type = 'table' AND name IN "
    "('sqlite_sequence', 'sqlite_stat1', 'sqlite_stat4') OR type = 'index' AND name LIKE 'sqlite~_autoindex~_%' "
    "ESCAPE '~' AND sql IS NULL)"
)

# ---- connections


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that commits each statement. Raises sqlite3.Error."""
    # mode=rw: a file that vanished is an error, not an empty database. isolation_level=None: BEGIN is ours.
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


@contextmanager
def connected_as_it_is(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect without turning the file to WAL mode: it stays one file."""
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def create_file(path: Path) -> None:
    """Make an empty database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def create_pool(path: Path) -> Engine:
    """Return an engine whose option `immediate` begins writing transactions."""
    engine = create_engine(
        "sqlite://", creator=lambda: connect(path), poolclass=QueuePool, pool_size=4, max_overflow=-1
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Switch foreign keys off outside of a transaction, so that a table can be dropped and created again."""
    sqlite: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # Any | None
    sqlite.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        sqlite.execute("PRAGMA foreign_keys = ON")


def fault_of(error: BaseException | None, *, opening: bool = False) -> Fault | None:
    """Return the fault behind an error of SQLite, or None for our own mistakes.

    While `opening`, an error that is not in the table is a damage of the file.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, sqlite3.Error) or isinstance(original, sqlite3.ProgrammingError):
        return None
    # The primary code is the low byte. The sqlite3 module itself raises an OperationalError only where text is
    # not UTF-8, and gives it no code.
    code = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return _ERRORS.get(code) or _ERRORS.get(code & 0xFF, Fault.DAMAGED if opening else None)


# ---- maintenance of the file


def integrity_faults(connection: Connection, limit: int) -> list[str]:
    """Read every page and index; return the faults, a line each."""
    found = connection.exec_driver_sql(f"PRAGMA integrity_check({limit})").scalars()
    return [" ".join(str(line).split()) for line in found if line != "ok"]


def reference_faults(connection: Connection) -> Iterator[tuple[str, int, str]]:
    """Yield table, row and parent of rows whose parent is missing."""
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield table, row, parent


def data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes with every commit of another connection."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def truncate_log(connection: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file and empty it; False where a reader kept it busy."""
    return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


def vacuum(connection: sqlite3.Connection, cancelled: Callable[[], bool], into: Path | None = None) -> bool:
    """Rewrite the file, or write it to a new one; False where it was cancelled."""
    statement, parameters = ("VACUUM", ()) if into is None else ("VACUUM INTO ?", (str(into),))
    connection.set_progress_handler(cancelled, STEPS_BETWEEN_CALLS)
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


def replace_content(source: Path, target: Path, check: Callable[[], None]) -> bool:
    """Replace the content of a database in one transaction; False where another process uses it.

    Not its file: a process that has it open would go on writing into one that has no name any more. `check` runs
    while nobody else can write, and its exception undoes everything.
    """

    def progress(status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _InUse
        if status != sqlite3.SQLITE_DONE:
            check()

    with connected_as_it_is(source) as new, connected_as_it_is(target) as old:
        old.execute("PRAGMA synchronous = FULL")
        try:
            new.backup(old, pages=PAGES_AT_ONCE, progress=progress)
        except _InUse:
            return False
    return True


class _InUse(Exception):
    """Another process reads or writes the database."""


# ---- statements


def compiled(statement: ClauseElement) -> str:
    """Return the SQL of a statement, its parameters in the order in which they stand there."""
    return str(statement.compile(dialect=dialect()))


def among(ids: Collection[int]) -> Select[Any]:
    """Return the ids as a subquery of one parameter, a JSON list, however many they are."""
    return select(func.json_each(json.dumps([int(item_id) for item_id in ids])).table_valued("value").c.value)


def upsert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, in place of those with the same primary key."""
    if rows:
        writing = insert(table)
        changed = {column.name: writing.excluded[column.name] for column in table.c if not column.primary_key}
        keys = list(table.primary_key)
        connection.execute(writing.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def last_id_query(table: str) -> str:
    """Return the SQL for the greatest id that a table with NO_ID_TWICE ever gave out, or 0."""
    return f"SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '{table}'"


def raise_last_id(connection: Connection, table: str, item_id: int) -> None:
    """Let the next id of a table with NO_ID_TWICE be greater than this one."""
    if item_id > connection.exec_driver_sql(last_id_query(table)).scalar_one():
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, item_id))


# ---- the schema as text

Definitions = dict[tuple[str, str], str]
"""By type and name ("table", "items"): the definition in one form."""


def definitions(connection: Connection) -> Definitions:
    """Return what a database has: tables, indexes, views and triggers."""
    return {(kind, name): _one_form(sql) for kind, name, sql in connection.exec_driver_sql(_DEFINITIONS)}


def definitions_of(tables: Iterable[Table]) -> Definitions:
    """Return what a database has once these tables and their indexes are created."""
    made: Definitions = {}
    for table in tables:
        made["table", table.name] = _one_form(compiled(CreateTable(table)))
        made |= {("index", str(index.name)): _one_form(compiled(CreateIndex(index))) for index in table.indexes}
    return made


def _one_form(sql: str) -> str:
    """Return the text without what does not matter: quotes, spaces and case."""
    return re.sub(r"\s+", " ", re.sub(r"[\"`\[\]]", "", sql)).replace("( ", "(").replace(" )", ")").strip().lower()
