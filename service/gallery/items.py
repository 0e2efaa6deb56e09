"""The values that go into a gallery and come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, Strict, StringConstraints, field_validator

from vitreid.bundle.calibration import Domain
from vitreid.service.values.fields import at_most

Box = tuple[float, float, float, float]
Range = tuple[float | None, float | None]
"""Minimum and maximum, both included; None: no limit on that side."""

MAX_CAMERAS = 10_000
"""That a gallery maps to model cameras."""

QUALITIES = ("height", "width", "aspect", "sharpness", "brightness", "outside")
"""Names of the measurements of a crop."""


CameraName = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
FiniteRange = Annotated[tuple[FiniteFloat | None, FiniteFloat | None], Strict(False)]
"""The same in a body: JSON has lists only; their numbers stay strict."""


@dataclass(frozen=True)
class Quality:
    """Measurements of a crop as an image."""

    height: int
    width: int
    sharpness: float
    brightness: float
    outside: float
    """Share of the person's box that lies outside of the frame, 0..1."""

    @property
    def aspect(self) -> float:
        """Height by width."""
        return self.height / self.width


@dataclass(frozen=True, eq=False)
class NewItem:
    """One image of a person on its way into a gallery."""

    embedding: NDArray[np.float32]
    """(D,), unit length."""
    image_hash: str
    """SHA-256 of the source file's bytes, hex; the same hash is the same item, to whoever sees that item."""
    image: bytes | None = None
    """The image re-encoded as JPEG, or None where images are not stored."""
    camera_id: str | None = None
    model_camera: str | None = None
    """The model camera that the embedding was made with; None: unknown."""
    person_id: str | None = None
    track_id: str | None = None
    captured_at: datetime | None = None
    """Aware; stored as UTC."""
    box: Box | None = None
    """left, top, right, bottom in pixels of the frame that the crop was taken from."""
    source: str | None = None
    """Relative path or name of the upload."""
    quality: Quality | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One row of a gallery, without its embedding and image."""

    id: int
    seq: int
    """Position of the item's last change in the gallery's history of additions, changes and deletions."""
    image_hash: str
    camera_id: str | None
    model_camera: str | None
    person_id: str | None
    track_id: str | None
    captured_at: datetime | None
    box: Box | None
    source: str | None
    quality: Quality | None
    metadata: dict[str, JsonValue]
    created_at: datetime
    has_image: bool


class ItemChanges(TypedDict, total=False):
    """New values for some of an item's labels; what is not named stays as it is."""

    camera_id: str | None
    person_id: str | None
    track_id: str | None
    captured_at: datetime | None
    metadata: dict[str, JsonValue]


@dataclass(frozen=True)
class AddResult:
    """Outcome for one NewItem."""

    id: int
    duplicate: bool
    """True: an item with this image_hash was there already (or came earlier in the same call); its labels stay."""


@dataclass(frozen=True)
class Match:
    """An item found by a search."""

    item: Item
    score: float
    """Cosine, -1..1, higher is better; scores closer than 1e-6 are reported equal."""


class GallerySettings(BaseModel):
    """The operator's settings of one gallery, stored in it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"retention_days": 30, "min_score": 0.5, "reject": {"height": [64, None]}}]},
    )

    retention_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Items are erased when they are older; without it they stay until somebody erases them."
    )
    store_images: bool = True
    store_patches: bool = Field(
        False,
        description="The foreground patches of each stored image are stored too, so that `rerank=patches` need not "
        "compute them again.",
    )
    cameras: Annotated[dict[CameraName, CameraName], at_most(MAX_CAMERAS)] = Field(
        {},
        description="The gallery's camera -> the model camera whose embedding it gets; one that is not named is "
        "unknown.",
    )
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description='Under this score a query\'s answer is "no match".'
    )
    domain: Domain | None = Field(
        None,
        description="What the images are: `drawn` people, or, where it is null, photographs. Probabilities are those "
        "of a calibration that was measured on the same.",
    )
    reject: Mapping[str, FiniteRange] = Field(
        {},
        description="Quality that items must have to be added: [min, max] of height, width, aspect, sharpness, "
        "brightness and outside; null: no limit on that side.",
    )

    @field_validator("reject")
    @classmethod
    def _known_qualities(cls, reject: Mapping[str, Range]) -> Mapping[str, Range]:
        if unknown := sorted(set(reject) - set(QUALITIES)):
            raise ValueError(f"unknown quality {unknown[0]!r}: choose of {', '.join(QUALITIES)}")
        for name, (low, high) in reject.items():
            if low is not None and high is not None and low > high:
                raise ValueError(
                    f"the minimum {name} {low:g} is greater than the maximum {high:g}: nothing would be taken"
                )
        return reject


@dataclass(frozen=True)
class GalleryInfo:
    """A gallery in numbers."""

    path: Path
    bundle_id: str
    dimension: int
    format_version: int
    lineage: str
    """Made with the gallery and shared by its backups."""
    generation: int
    """Number of the embeddings in use; a new model makes the next."""
    created_at: datetime
    seq: int
    purged_seq: int
    """Nothing deleted up to this seq is left in the gallery's files."""
    items: int
    images: int
    patches: int
    """Items whose foreground patches are stored."""
    persons: int
    """Distinct person_id; items of nobody are not counted."""
    cameras: dict[str, int]
    """Items per camera_id; items of an unknown camera are not counted."""
    bytes: int
    """Size of the database on disk, its write-ahead log included."""
    index: str
    index_reason: str
    """Why this index."""
    index_parameters: dict[str, int | float]
    index_bytes: int
    """Memory of the index."""
    snapshot_seq: int | None
    """The seq that the newest snapshot reaches; None: there is none."""
    snapshot_at: datetime | None
