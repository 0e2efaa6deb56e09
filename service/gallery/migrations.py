"""How a database gets to the tables of `tables.py`: numbered steps, never changed once released."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from service.gallery.tables import gallery

M001_FIRST_TABLES = (
    """CREATE TABLE gallery (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        format_version INTEGER NOT NULL,
        bundle_id TEXT NOT NULL,
        dimension INTEGER NOT NULL CHECK (dimension > 0),
        created_at TEXT NOT NULL,
        last_seq INTEGER NOT NULL
    )""",
    """CREATE TABLE items (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL UNIQUE,
        image_hash TEXT NOT NULL UNIQUE,
        camera_id TEXT,
        person_id TEXT,
        track_id TEXT,
        captured_at TEXT,
        box TEXT,
        source TEXT,
        metadata TEXT NOT NULL,
        created_at TEXT NOT NULL
    )""",
    "CREATE INDEX items_by_camera ON items (camera_id)",
    "CREATE INDEX items_by_person ON items (person_id)",
    """CREATE TABLE embeddings (
        item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
        embedding BLOB NOT NULL
    )""",
    """CREATE TABLE pictures (
        item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
        picture BLOB NOT NULL
    )""",
    """CREATE TABLE deletions (
        seq INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL,
        deleted_at TEXT NOT NULL
    )""",
)

MIGRATIONS: tuple[Sequence[str], ...] = (M001_FIRST_TABLES,)
"""The step at position n leads from format_version n to n + 1."""

FORMAT_VERSION = len(MIGRATIONS)


def migrate(connection: Connection, found: int) -> None:
    """Take a database from format_version `found` (0: empty) to FORMAT_VERSION, inside the caller's transaction."""
    for step in MIGRATIONS[found:]:
        for statement in step:
            connection.exec_driver_sql(statement)
    connection.execute(gallery.update().values(format_version=FORMAT_VERSION))
