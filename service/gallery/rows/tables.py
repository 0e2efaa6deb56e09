"""The tables of a gallery's database."""

from __future__ import annotations

from functools import cache

from sqlalchemy import CheckConstraint, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

from vitreid.service.db import JsonText, UtcText
from vitreid.service.db.sqlite import BY_KEY, NO_ID_TWICE

metadata = MetaData()

gallery = Table(
    "gallery",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("format_version", Integer, nullable=False),
    Column("bundle_id", String, nullable=False),
    Column("dimension", Integer, CheckConstraint("dimension > 0"), nullable=False),
    Column("created_at", UtcText, nullable=False),
    Column("last_seq", Integer, nullable=False),  # the newest addition, change or deletion
    Column("last_at", UtcText, nullable=False),  # the newest time that was given out
    Column("lineage", String, nullable=False),  # made with the gallery and shared by its backups
    Column("generation", Integer, nullable=False),  # the embeddings that answer; bundle_id and dimension are theirs
    Column("purged_seq", Integer, nullable=False),  # nothing deleted up to this seq is left in any file
)

items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True),  # never used again
    Column("seq", Integer, nullable=False, unique=True),
    Column("image_hash", String, nullable=False),
    Column("camera_id", String),
    Column("person_id", String),
    Column("track_id", String),
    Column("captured_at", UtcText),
    Column("box", JsonText),
    Column("source", String),
    Column("model_camera", String),  # the model camera that the embedding was made with
    Column("height", Integer),  # of the crop in pixels; this and the next four are NULL where quality is unknown
    Column("width", Integer),
    Column("sharpness", Float),
    Column("brightness", Float),
    Column("outside", Float),
    Column("metadata", JsonText, nullable=False),
    Column("created_at", UtcText, nullable=False),
    Index("items_by_camera", "camera_id"),
    Index("items_by_person", "person_id"),
    Index("items_by_track", "track_id"),
    Index("items_by_hash", "image_hash"),
    **NO_ID_TWICE,
)

# One row per top-level scalar of an item's metadata, so that filters need not read JSON.
item_metadata = Table(
    "item_metadata",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, primary_key=True),  # JSON text, see conditions.as_text
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Index("item_metadata_by_item", "item_id"),
    **BY_KEY,
)

# One row per model that embedded this gallery; the rows of generation n lie in the table embeddings_n.
generations = Table(
    "generations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bundle_id", String, nullable=False),
    Column("dimension", Integer, CheckConstraint("dimension > 0"), nullable=False),
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

# The foreground patches of items, where a gallery stores them; those of another explain.onnx count as missing.
patches = Table(
    "patches",
    metadata,
    Column("item_id", ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
    Column("model", String, nullable=False),  # SHA-256 of the explain.onnx that found them
    Column("patch_indices", LargeBinary, nullable=False),  # (K,) little-endian uint16, row by row
    Column("vectors", LargeBinary, nullable=False),  # (K, D) little-endian float16
    Column("checksum", Integer, nullable=False),  # CRC-32 of the bytes of both, one after the other
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
    Column("item_ids", JsonText, nullable=False),
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
    Column("value", JsonText(null_text=True), nullable=False),
)

rejections = Table(
    "rejections",
    metadata,
    Column("camera_id", String, primary_key=True),  # "": unknown
    Column("reason", String, primary_key=True),
    Column("count", Integer, nullable=False),
)
