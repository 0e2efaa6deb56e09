"""How a database gets to the tables of `tables.py`: numbered steps, never changed once released."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from vitreid.service.gallery.rows.conditions import as_text
from vitreid.service.gallery.rows.tables import gallery

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
    """CREATE TABLE images (
        item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
        image BLOB NOT NULL
    )""",
    """CREATE TABLE deletions (
        seq INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL,
        deleted_at TEXT NOT NULL
    )""",
)

M002_FILTERS_AND_GENERATIONS = (
    "ALTER TABLE gallery ADD COLUMN last_at TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE gallery ADD COLUMN lineage TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE gallery ADD COLUMN generation INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE gallery ADD COLUMN purged_seq INTEGER NOT NULL DEFAULT 0",
    "UPDATE gallery SET lineage = lower(hex(randomblob(16))), purged_seq = last_seq, last_at = created_at",
    """UPDATE gallery SET last_at = max(
        last_at,
        coalesce((SELECT max(created_at) FROM items), ''),
        coalesce((SELECT max(deleted_at) FROM deletions), '')
    )""",
    *(
        f"ALTER TABLE items ADD COLUMN {column}"
        for column in (
            "model_camera TEXT",
            "height INTEGER",
            "width INTEGER",
            "sharpness REAL",
            "brightness REAL",
            "outside REAL",
        )
    ),
    "CREATE INDEX items_by_track ON items (track_id)",
    """CREATE TABLE generations (
        id INTEGER PRIMARY KEY,
        bundle_id TEXT NOT NULL,
        dimension INTEGER NOT NULL CHECK (dimension > 0),
        state TEXT NOT NULL,
        created_at TEXT NOT NULL
    )""",
    "INSERT INTO generations SELECT 1, bundle_id, dimension, 'live', created_at FROM gallery",
    "ALTER TABLE embeddings RENAME TO embeddings_1",
    "ALTER TABLE embeddings_1 ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
    "UPDATE embeddings_1 SET checksum = crc32(embedding)",
    """CREATE TABLE item_metadata (
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        item_id INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
        PRIMARY KEY (key, value, item_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX item_metadata_by_item ON item_metadata (item_id)",
    """INSERT INTO item_metadata
        SELECT json_each.key, scalar_text(items.metadata, json_each.key), items.id
        FROM items, json_each(items.metadata) WHERE json_each.type NOT IN ('array', 'object')""",
    """CREATE TABLE erasures (
        id TEXT PRIMARY KEY,
        requested_at TEXT NOT NULL,
        unsearchable_at TEXT NOT NULL,
        purged_at TEXT,
        items INTEGER NOT NULL,
        images INTEGER NOT NULL,
        item_ids TEXT NOT NULL,
        reason TEXT,
        requested_by TEXT,
        last_seq INTEGER NOT NULL
    )""",
    """CREATE TABLE backups (
        id TEXT PRIMARY KEY,
        created_at TEXT NOT NULL,
        seq INTEGER NOT NULL,
        place TEXT NOT NULL,
        purged_at TEXT
    )""",
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE rejections (
        camera_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (camera_id, reason)
    )""",
)

M003_PATCHES = (
    """CREATE TABLE patches (
        item_id INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        patch_indices BLOB NOT NULL,
        vectors BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )""",
)

_ITEMS = (
    "id, seq, image_hash, camera_id, person_id, track_id, captured_at, box, source, metadata, created_at, "
    "model_camera, height, width, sharpness, brightness, outside"
)

# One image may be several items: who sees only some cameras must not learn from a refusal what the others hold. SQLite
# cannot drop UNIQUE, so the table is made anew; the next id stays what it was.
M004_HASH_NOT_UNIQUE = (
    """CREATE TABLE items_anew (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL UNIQUE,
        image_hash TEXT NOT NULL,
        camera_id TEXT,
        person_id TEXT,
        track_id TEXT,
        captured_at TEXT,
        box TEXT,
        source TEXT,
        metadata TEXT NOT NULL,
        created_at TEXT NOT NULL,
        model_camera TEXT,
        height INTEGER,
        width INTEGER,
        sharpness REAL,
        brightness REAL,
        outside REAL
    )""",
    f"INSERT INTO items_anew ({_ITEMS}) SELECT {_ITEMS} FROM items",
    "DELETE FROM sqlite_sequence WHERE name = 'items_anew'",
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'items_anew', seq FROM sqlite_sequence WHERE name = 'items'",
    "DROP TABLE items",
    "ALTER TABLE items_anew RENAME TO items",
    "CREATE INDEX items_by_camera ON items (camera_id)",
    "CREATE INDEX items_by_person ON items (person_id)",
    "CREATE INDEX items_by_track ON items (track_id)",
    "CREATE INDEX items_by_hash ON items (image_hash)",
)

MIGRATIONS: tuple[Sequence[str], ...] = (
    M001_FIRST_TABLES,
    M002_FILTERS_AND_GENERATIONS,
    M003_PATCHES,
    M004_HASH_NOT_UNIQUE,
)
"""The step at position n leads from format_version n to n + 1; its SQL may call FUNCTIONS."""

FORMAT_VERSION = len(MIGRATIONS)

FUNCTIONS: dict[str, tuple[int, Callable[..., str | int]]] = {
    "crc32": (1, zlib.crc32),
    "scalar_text": (2, lambda metadata, key: as_text(json.loads(metadata)[key])),
}


def migrate(connection: Connection, found: int) -> None:
    """Take a database from format_version `found` (0: empty) to FORMAT_VERSION, inside the caller's transaction.

    Foreign keys must be off where there are items: a table that is made anew would take what hangs on it along.
    """
    sqlite: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # typed Any | None
    for name, (arguments, function) in FUNCTIONS.items():
        sqlite.create_function(name, arguments, function, deterministic=True)
    for step in MIGRATIONS[found:]:
        for statement in step:
            connection.exec_driver_sql(statement)
    connection.execute(gallery.update().values(format_version=FORMAT_VERSION))
