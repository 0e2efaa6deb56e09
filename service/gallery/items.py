"""The values that go into a gallery and come out of it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class NewItem:
    """One picture of a person on its way into a gallery."""

    embedding: NDArray[np.float32]
    """(D,), unit length."""
    image_hash: str
    """SHA-256 of the source file's bytes, hex; the same hash is the same item."""
    picture: bytes | None = None
    """The picture re-encoded as JPEG, or None where pictures are not kept."""
    camera_id: str | None = None
    person_id: str | None = None
    track_id: str | None = None
    captured_at: datetime | None = None
    """Aware; stored as UTC."""
    box: Box | None = None
    """left, top, right, bottom in pixels of the frame that the crop was taken from."""
    source: str | None = None
    """Relative path or name of the upload."""
    metadata: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One row of a gallery, without its embedding and picture."""

    id: int
    seq: int
    """Position in the gallery's history of additions and deletions."""
    image_hash: str
    camera_id: str | None
    person_id: str | None
    track_id: str | None
    captured_at: datetime | None
    box: Box | None
    source: str | None
    metadata: dict[str, JsonValue]
    created_at: datetime
    has_picture: bool


@dataclass(frozen=True)
class AddResult:
    """What became of one NewItem."""

    id: int
    duplicate: bool
    """True: an item with this image_hash was there already (or came earlier in the same call); it keeps its labels."""


@dataclass(frozen=True)
class Match:
    """An item found by a search."""

    item: Item
    score: float
    """Cosine, -1..1, higher is better; scores closer than 1e-6 are reported equal."""


@dataclass(frozen=True)
class GalleryInfo:
    """A gallery in numbers."""

    path: Path
    bundle_id: str
    dimension: int
    format_version: int
    created_at: datetime
    seq: int
    items: int
    pictures: int
    persons: int
    """Distinct person_id; items of nobody are not counted."""
    cameras: dict[str, int]
    """Items per camera_id; items of an unknown camera are not counted."""
    bytes: int
    """Size of the database on disk, its write-ahead log included."""
    index: str
