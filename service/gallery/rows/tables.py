"""The tables as they are now; `migrations.py` says how a database gets there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
)

from vitreid.service.values.texts import readable

_UNSENDABLE = ("NaN", "Infinity", "\\ud")


def utc_text(time: datetime) -> str:
    """RFC 3339 text of one width in UTC."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class Unreadable(ValueError):
    """A stored value that cannot be what was stored."""


def stored_json(text: str) -> Any:
    """The value of a JSON column. Raises Unreadable."""
    try:
        value = json.loads(text)
        # An older version took what no JSON of others can hold; the rest need not be looked through.
        return readable(value) if any(mark in text for mark in _UNSENDABLE) else value
    except (ValueError, TypeError) as error:
        raise Unreadable(f"a text that is no JSON: {error}") from error


def stored_time(text: str) -> datetime:
    """The time of a text column. Raises Unreadable."""
    try:
        return datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"a text that is no time: {error}") from error


class UtcText(TypeDecorator[datetime]):
    """An aware datetime as RFC 3339 text of one width in UTC, so that texts sort as times do."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From text. Raises Unreadable."""
        return None if value is None else stored_time(value)


metadata = MetaData()

gallery = Table(
    "gallery",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("format_version", Integer, nullable=False),
    Column("bundle_id", String, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("created_at", UtcText, nullable=False),
    Column("last_seq", Integer, nullable=False),  # the newest addition, change or deletion
    Column("last_at", UtcText, nullable=False),  # the newest time that was given out
    Column("lineage", String, nullable=False),  # made with the gallery and kept by its backups
    Column("generation", Integer, nullable=False),  # the embeddings that answer; bundle_id and dimension are theirs
    Column("purged_seq", Integer, nullable=False),  # nothing deleted up to this seq is left in any file
)

items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),  # AUTOINCREMENT: never used again
    Column("seq", Integer, nullable=False, unique=True),
    Column("image_hash", String, nullable=False),
    Column("camera_id", String),
    Column("person_id", String),
    Column("track_id", String),
    Column("captured_at", UtcText),
    Column("box", JSON(none_as_null=True)),
    Column("source", String),
    Column("model_camera", String),  # the learned camera that the embedding was made with
    Column("height", Integer),  # of the crop in pixels; this and the next four are NULL where quality is unknown
    Column("width", Integer),
    Column("sharpness", Float),
    Column("brightness", Float),
    Column("outside", Float),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcText, nullable=False),
    sqlite_autoincrement=True,
)

# One row per top-level scalar of an item's metadata, so that filters need not read JSON.
item_metadata = Table(
    "item_metadata",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, primary_key=True),  # JSON text, see conditions.as_text
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
)

# One row per model that embedded this gallery; the rows of generation n lie in the table embeddings_n.
generations = Table(
    "generations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bundle_id", String, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("state", String, nullable=False),  # "live", "making" or "kept"
    Column("created_at", UtcText, nullable=False),
)


@cache
def embeddings_of(generation: int) -> Table:
    """The table of one generation's embeddings.

    Embeddings and images lie in tables of their own: reading all vectors between the images takes eight times as
    long.
    """
    return Table(
        f"embeddings_{generation}",
        MetaData(),
        Column("item_id", ForeignKey(items.c.id, ondelete="CASCADE"), primary_key=True),
        Column("embedding", LargeBinary, nullable=False),  # little-endian float32
        Column("checksum", Integer, nullable=False),  # CRC-32 of the embedding's bytes: SQLite does not notice a flip
    )


images = Table(
    "images",
    metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("image", LargeBinary, nullable=False),  # JPEG
)

# The foreground patches of items, where a gallery keeps them; those of another explain.onnx count as missing.
patches = Table(
    "patches",
    metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("model", String, nullable=False),  # SHA-256 of the explain.onnx that looked
    Column("patch_indices", LargeBinary, nullable=False),  # (K,) little-endian uint16, by rows
    Column("vectors", LargeBinary, nullable=False),  # (K, D) little-endian float16
    Column("checksum", Integer, nullable=False),  # CRC-32 of patch_indices and vectors, concatenated
)

deletions = Table(
    "deletions",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("item_id", Integer, nullable=False),
    Column("deleted_at", UtcText, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", String, primary_key=True),  # uuid4
    Column("requested_at", UtcText, nullable=False),
    Column("unsearchable_at", UtcText, nullable=False),
    Column("purged_at", UtcText),
    Column("items", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("item_ids", JSON, nullable=False),
    Column("reason", String),
    Column("requested_by", String),
    Column("last_seq", Integer, nullable=False),  # purged once gallery.purged_seq reaches it
)

backups = Table(
    "backups",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", UtcText, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("place", String, nullable=False),
    Column("purged_at", UtcText),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", JSON, nullable=False),
)

rejections = Table(
    "rejections",
    metadata,
    Column("camera_id", String, primary_key=True),  # "": unknown
    Column("reason", String, primary_key=True),
    Column("count", Integer, nullable=False),
)
