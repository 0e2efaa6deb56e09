"""The tables as they are now; `migrations.py` says how a database gets there."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import JSON, Column, Dialect, ForeignKey, Integer, LargeBinary, MetaData, String, Table, TypeDecorator


class UtcText(TypeDecorator[datetime]):
    """An aware datetime as RFC 3339 text of one width in UTC, so that texts sort as times do."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From text."""
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()

gallery = Table(
    "gallery",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("format_version", Integer, nullable=False),
    Column("bundle_id", String, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("created_at", UtcText, nullable=False),
    Column("last_seq", Integer, nullable=False),  # the newest addition or deletion
)

items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),  # AUTOINCREMENT: never used again
    Column("seq", Integer, nullable=False, unique=True),
    Column("image_hash", String, nullable=False, unique=True),
    Column("camera_id", String),
    Column("person_id", String),
    Column("track_id", String),
    Column("captured_at", UtcText),
    Column("box", JSON(none_as_null=True)),
    Column("source", String),
    Column("metadata", JSON, nullable=False),
    Column("created_at", UtcText, nullable=False),
    sqlite_autoincrement=True,
)

# Vectors and pictures lie in tables of their own: reading all vectors between the pictures takes eight times as long.
embeddings = Table(
    "embeddings",
    metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("embedding", LargeBinary, nullable=False),  # little-endian float32
)

pictures = Table(
    "pictures",
    metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("picture", LargeBinary, nullable=False),  # JPEG
)

deletions = Table(
    "deletions",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("item_id", Integer, nullable=False),
    Column("deleted_at", UtcText, nullable=False),
)
